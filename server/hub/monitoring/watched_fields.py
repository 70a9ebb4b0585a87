"""The fields that the monitor watches for a model, and their place in a package's windows.

Windows of several formats and versions are compared field by field if name and layout of the cells
are equal, and pair by pair if the medians are equal too. Outputs of two versions may rightly
differ, so only the windows of the version in service count for them.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.moments import NO_MOMENTS, merge_moments
from gnomon.core.field_reference import fingerprint
from gnomon.core.fields import Field, Policy
from gnomon.core.reference import (
    PAIR_CELLS,
    FieldReference,
    PairReference,
    Reference,
)
from gnomon.core.window import Window
from gnomon.core.window.reading import Moments
from gnomon.runtime.packages.profile import Profile
from gnomon.server.hub.store.limits import MAXIMUM_ROWS

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WatchedField:
    """One field and its reference, under the name that people read."""

    reference: FieldReference
    name: str  # in the profile
    is_output: bool
    refused: frozenset[int] = frozenset()  # cells that only values of refused rows are in

    def accepted(self, cells: Counts) -> Counts:
        """Return the cells without those of refused rows."""
        if not self.refused:
            return cells
        kept = cells.copy()
        kept[list(self.refused)] = 0
        return kept

    def means_refusal(self, kind: ChangeKind) -> bool:
        """Return whether a change of this kind says that rows are refused."""
        one = self.reference
        places = {
            ChangeKind.BELOW: 0,
            ChangeKind.ABOVE: one.bins + 1,
            ChangeKind.UNSEEN: one.bins,
            ChangeKind.MISSING: one.missing_cell,
            ChangeKind.INVALID: one.invalid_cell,
        }
        return places.get(kind) in self.refused


@dataclass(frozen=True, slots=True)
class WatchedPair:
    """Two watched fields of one side, and their pair's reference under the names people read."""

    reference: PairReference
    first: FieldReference
    second: FieldReference
    name: tuple[str, str]  # in the profile
    is_output: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """A field of which at most a share `allowance` may be missing."""

    name: str
    allowance: float
    place: str  # name in the profile
    is_output: bool


@dataclass(slots=True)
class FieldTotals:
    """Cells of one field in one interval, and the moments of its present values."""

    cells: Counts
    moments: Moments = NO_MOMENTS

    def add(self, other: "FieldTotals") -> None:
        """Add other totals of the same field."""
        _add_saturated(self.cells, other.cells)
        self.moments = merge_moments((self.moments, other.moments))

    @property
    def mean(self) -> float | None:
        """The mean of the present values, or None if there are none or it is not finite."""
        return self.moments.mean if math.isfinite(self.moments.mean) else None


@dataclass(slots=True)
class SourceTotals:
    """What one source, or all of them, counted in one interval."""

    fields: list[FieldTotals]
    pairs: Counts  # pairs × cells
    gaps: Counts  # limits × (missing rows, all rows)

    def add(self, other: "SourceTotals") -> None:
        """Add what another source, or another window, has counted."""
        for mine, one in zip(self.fields, other.fields, strict=True):
            mine.add(one)
        _add_saturated(self.pairs, other.pairs)
        _add_saturated(self.gaps, other.gaps)


class WatchedFields:
    """What is watched for one version of a model.

    Raises `ValueError` if the profile has no monitored field.
    """

    def __init__(self, profile: Profile) -> None:
        inputs = {one.name for one in profile.input_reference.fields}
        self.fields = tuple(_fields(profile, inputs))
        self.pairs = tuple(_pairs(self.fields, profile))
        self.limits = tuple(
            Limit(_shown(one.name, is_output, inputs), one.missing_allowance, one.name, is_output)
            for is_output, side, _ in _sides(profile)
            for one in side
            if one.missing_allowance < 1.0
        )
        self.block_rows = profile.input_reference.block_rows

    @property
    def references(self) -> list[FieldReference]:
        """The fields' references, in order."""
        return [one.reference for one in self.fields]

    @property
    def fingerprint(self) -> str:
        """What changes when something else is watched or compared with."""
        return fingerprint(
            [dataclasses.asdict(one.reference) for one in self.fields],
            [dataclasses.asdict(one.reference) for one in self.pairs],
            self.block_rows,
        )

    def empty(self) -> SourceTotals:
        """Return totals without rows."""
        return SourceTotals(
            [FieldTotals(np.zeros(one.reference.cells, dtype=np.int64)) for one in self.fields],
            np.zeros((len(self.pairs), PAIR_CELLS), dtype=np.int64),
            np.zeros((len(self.limits), 2), dtype=np.int64),
        )

    def totals_of(self, window: Window, profile: Profile, in_service: bool) -> SourceTotals:
        """Return what a window of any of the model's packages says."""
        found, cells = self.empty(), window.read_cells()
        sides = {
            False: (profile.input_reference, cells.fields, cells.pairs),
            True: (profile.output_reference, cells.outputs, cells.output_pairs),
        }
        for watched, totals in zip(self.fields, found.fields, strict=True):
            side, counts, _ = sides[watched.is_output]
            place = _field_place(watched, side)
            if place is None or (watched.is_output and not in_service):
                continue
            totals.cells += counts[place]
            if watched.reference.kind == "numeric":
                moments = window.output_moments if watched.is_output else window.moments
                totals.moments = moments(place)
        for index, pair in enumerate(self.pairs):
            side, _, pair_counts = sides[pair.is_output]
            place = _pair_place(pair, side)
            if place is not None and (in_service or not pair.is_output):
                found.pairs[index] = pair_counts[place]
        for index, limit in enumerate(self.limits):
            side, counts, _ = sides[limit.is_output]
            names = [one.name for one in side.fields]
            if limit.place in names and (in_service or not limit.is_output):
                of_field = counts[names.index(limit.place)]
                missing = side.fields[names.index(limit.place)].missing_cell
                found.gaps[index] = of_field[missing], of_field.sum()
        return found


def _add_saturated(total: Counts, added: Counts) -> None:
    """Add in place, up to `MAXIMUM_ROWS`: further sums over cells and sources stay exact."""
    total += added
    np.minimum(total, MAXIMUM_ROWS, out=total)


def pool(totals: Mapping[str, SourceTotals], fields: WatchedFields) -> SourceTotals:
    """Return all sources together."""
    together = fields.empty()
    for of_source in totals.values():
        together.add(of_source)
    return together


def _sides(profile: Profile) -> Iterator[tuple[bool, Sequence[Field], Reference]]:
    yield False, profile.inputs, profile.input_reference
    yield True, profile.outputs, profile.output_reference


def _fields(profile: Profile, inputs: Iterable[str]) -> Iterator[WatchedField]:
    for is_output, side, reference in _sides(profile):
        units = {one.name: one.unit for one in side if one.unit}
        rules = {one.name: one for one in side if not is_output}
        for one in reference.fields:
            if one.monitored:
                # A unit that a person has written into the profile is worth more.
                shown = dataclasses.replace(
                    one,
                    name=_shown(one.name, is_output, inputs),
                    unit=units.get(one.name, one.unit),
                )
                refused = _refused_cells(rules.get(one.name), one)
                yield WatchedField(shown, one.name, is_output, refused)


def _refused_cells(field: Field | None, reference: FieldReference) -> frozenset[int]:
    """Return the cells that only values of refused rows are in, by the field's contract."""
    if field is None or field.policy is not Policy.REJECT:
        return frozenset()
    cells = {reference.invalid_cell}
    if field.required and not field.nullable:
        cells.add(reference.missing_cell)
    if reference.kind == "category":
        allowed = {str(value) for value in field.allowed or ()}
        if allowed and allowed <= set(reference.categories):
            cells.add(reference.bins)
    elif reference.edges:
        if field.minimum is not None and field.minimum >= reference.edges[0]:
            cells.add(0)
        if field.maximum is not None and field.maximum <= reference.edges[-1]:
            cells.add(reference.bins + 1)
    return frozenset(cells)


def _pairs(fields: Sequence[WatchedField], profile: Profile) -> Iterator[WatchedPair]:
    watched = {(one.is_output, one.name): one.reference for one in fields}
    for is_output, _, reference in _sides(profile):
        for pair in reference.pairs:
            first = watched.get((is_output, pair.first))
            second = watched.get((is_output, pair.second))
            if first is None or second is None:
                continue
            shown = dataclasses.replace(pair, first=first.name, second=second.name)
            yield WatchedPair(shown, first, second, (pair.first, pair.second), is_output)


def _shown(name: str, is_output: bool, inputs: Iterable[str]) -> str:
    return f"{name} (output)" if is_output and name in inputs else name


def _field_place(watched: WatchedField, side: Reference) -> int | None:
    for index, one in enumerate(side.fields):
        if one.name == watched.name:
            return index if one.layout == watched.reference.layout else None
    return None


def _pair_place(watched: WatchedPair, side: Reference) -> int | None:
    """Return the pair's place if its rows were split at the same medians."""
    known = {one.name: (one.median, one.tie_sign) for one in side.fields}
    wanted = [(one.median, one.tie_sign) for one in (watched.first, watched.second)]
    for index, pair in enumerate(side.pairs):
        if (pair.first, pair.second) == watched.name:
            return index if [known[pair.first], known[pair.second]] == wanted else None
    return None
