"""The fields that the monitor watches for a model, and their cells in any package's windows.

Windows of several formats and versions are compared field by field, where name and layout of the
cells are equal. An output is another matter: two versions may rightly answer differently, so only
the windows of the version in service count for it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.core.reference import FieldReference, fingerprint
from gnomon.core.window import Window
from gnomon.runtime.profile import Profile

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WatchedField:
    """One field and its reference, under the name that people read."""

    reference: FieldReference
    name: str  # in the profile
    is_output: bool


@dataclass(slots=True)
class Tally:
    """Cells of one field in one interval, and the sum of its present values where it has any."""

    cells: Counts
    total: float = 0.0
    present: int = 0

    def add(self, other: "Tally") -> None:
        """Add another tally of the same field."""
        self.cells += other.cells
        self.total += other.total
        self.present += other.present

    @property
    def mean(self) -> float | None:
        """The mean of the present values, or nothing where there are none."""
        return self.total / self.present if self.present else None


class WatchedFields:
    """What is watched for one version of a model.

    Raises `ValueError` where nothing of the profile is to be monitored.
    """

    def __init__(self, profile: Profile) -> None:
        inputs = {one.name for one in profile.input_reference.fields}
        self.fields = tuple(
            WatchedField(_named(one, is_output, inputs), one.name, is_output)
            for is_output, side in (
                (False, profile.input_reference),
                (True, profile.output_reference),
            )
            for one in side.fields
            if one.monitored
        )
        self.block_rows = profile.input_reference.block_rows

    @property
    def references(self) -> list[FieldReference]:
        """The references, in order."""
        return [one.reference for one in self.fields]

    @property
    def fingerprint(self) -> str:
        """What changes when something else is watched or compared with."""
        return fingerprint(
            [dataclasses.asdict(one.reference) for one in self.fields], self.block_rows
        )

    def empty(self) -> list[Tally]:
        """Return tallies without rows."""
        return [Tally(np.zeros(one.reference.cells, dtype=np.int64)) for one in self.fields]

    def tally(self, window: Window, profile: Profile, in_service: bool) -> list[Tally]:
        """Return what a window of any of the model's packages says of each field."""
        tallies = self.empty()
        for watched, tally in zip(self.fields, tallies, strict=True):
            place = self._place(watched, profile)
            if place is None or (watched.is_output and not in_service):
                continue
            cells = window.output_cells if watched.is_output else window.cells
            tally.cells = cells(place)
            if watched.reference.kind == "numeric":
                moments = window.output_moments if watched.is_output else window.moments
                found = moments(place)
                tally.present = found.count
                tally.total = found.count * found.mean if found.count else 0.0
        return tallies

    @staticmethod
    def _place(watched: WatchedField, profile: Profile) -> int | None:
        side = profile.output_reference if watched.is_output else profile.input_reference
        for index, one in enumerate(side.fields):
            if one.name == watched.name:
                return index if one.layout == watched.reference.layout else None
        return None


def pool(tallies: Mapping[str, Sequence[Tally]], fields: WatchedFields) -> list[Tally]:
    """Return all sources together."""
    together = fields.empty()
    for of_source in tallies.values():
        for total, one in zip(together, of_source, strict=True):
            total.add(one)
    return together


def _named(one: FieldReference, is_output: bool, inputs: set[str]) -> FieldReference:
    if is_output and one.name in inputs:
        return dataclasses.replace(one, name=f"{one.name} (output)")
    return one
