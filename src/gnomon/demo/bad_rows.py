"""Invalid rows, and what the refusal of each must name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BadRow:
    """One kind of bad input: the row, how the call must end, and what the message must name."""

    kind: str
    row: Mapping[str, Any]
    outcome: str
    names: str


def bad_rows(good: Mapping[str, Any], negative: Mapping[str, Any] | None) -> list[BadRow]:
    """Return one bad row of each kind, made from a good one.

    `negative` keeps the inputs' contract, but the model's answer to it is below zero; None if
    the model has no such row.
    """
    rows = [
        BadRow("a negative distance", {**good, "distance": -1400.0}, "refused", "distance"),
        BadRow("a text for a number", {**good, "distance": "far"}, "refused", "distance"),
        BadRow("a missing field", _without(good, "origin"), "refused", "origin"),
        BadRow("an unknown airport", {**good, "dest": "XXX"}, "refused", "dest"),
        BadRow("a NaN", {**good, "distance": float("nan")}, "refused", "distance"),
        BadRow("an empty request", {}, "refused", ""),
    ]
    if negative is not None:
        rows.append(BadRow("a negative prediction", negative, "failed", "air_time"))
    return rows


def _without(row: Mapping[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != field}
