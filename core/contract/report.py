"""From the codes that a check left behind to `Violations`."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.blocks import severity_table
from gnomon.core.contract.columns import CheckedColumn
from gnomon.core.contract.layout import FIRST_CONDITION, SEVERITIES, UNKNOWN_FIELD
from gnomon.core.contract.terms import ContractTerms
from gnomon.core.contract.violations import Violations
from gnomon.core.row import Row

__all__ = ["column_violations", "row_violations"]

# One row of nonsense must not fill memory with its report.
LISTED_UNKNOWN_FIELDS = 16

Found = tuple[NDArray[Any], int, NDArray[Any] | int, NDArray[Any] | int]


def row_violations(contract: ContractTerms, row: Row, mapping: Mapping[str, Any]) -> Violations:
    """Return what one checked row broke: fields, then conditions, then unknown fields."""
    count = len(contract.fields)
    zero = np.zeros(1, dtype=np.int64)
    found: list[Found] = []
    for position in np.flatnonzero(row.rules):
        code = int(row.rules[position])
        if position < count:
            severity = severity_table(contract, int(position))[code]
            found.append((zero, int(position), code, int(severity)))
        else:
            policy = contract.rules[position - count].policy
            found.append((zero, -1, code, SEVERITIES[policy]))
    return _gathered(contract, found, mapping, 1, single=True)


def column_violations(
    contract: ContractTerms,
    checked: Mapping[int, CheckedColumn],
    answers: Sequence[NDArray[np.float64]],
    mapping: Mapping[str, Any],
    rows: int,
) -> Violations | None:
    """Return the violations of checked columns, ordered by row, or None.

    Args:
        contract: whose check it was.
        checked: by field index, the columns that are not clean.
        answers: for each condition, float64 of shape (rows,): 0 broken, 1 holds, NaN unknown.
        mapping: the caller's columns, from which values are described later.
        rows: number of rows.
    """
    found: list[Found] = []
    for index, column in checked.items():
        if column.rules is not None and column.severities is not None:
            broken = np.flatnonzero(column.rules != 0)  # three times as fast on logicals
            found.append((broken, index, column.rules[broken], column.severities[broken]))
    for index, answer in enumerate(answers):
        broken = np.flatnonzero(answer == 0.0)
        if len(broken):
            severity = SEVERITIES[contract.rules[index].policy]
            found.append((broken, -1, FIRST_CONDITION + index, severity))
    if not found and all(key in contract.positions for key in mapping):
        return None
    violations = _gathered(contract, found, mapping, rows, single=False)
    return violations if len(violations) else None


def _gathered(
    contract: ContractTerms,
    found: list[Found],
    mapping: Mapping[str, Any],
    rows: int,
    *,
    single: bool,
) -> Violations:
    unknown = (key for key in mapping if key not in contract.positions)
    unknown_keys = list(islice(unknown, LISTED_UNKNOWN_FIELDS))
    every = np.arange(rows)
    for _ in unknown_keys:
        found.append((every, -1, UNKNOWN_FIELD, SEVERITIES[contract.unknown]))
    lengths = [len(part[0]) for part in found]
    at = np.concatenate([part[0] for part in found] or [every[:0]])
    order = np.argsort(at, kind="stable")

    def column(place: int, dtype: type) -> NDArray[Any]:
        parts: list[NDArray[Any]] = [
            np.broadcast_to(np.asarray(part[place], dtype=dtype), length)
            for part, length in zip(found, lengths, strict=True)
        ]
        return np.concatenate([*parts, np.empty(0, dtype=dtype)])[order]

    return Violations(
        contract=contract,
        rows=at[order].astype(np.int64, copy=False),
        fields=column(1, np.int32),
        rules=column(2, np.int16),
        severities=column(3, np.uint8),
        source=mapping,
        single=single,
        unknown=unknown_keys * rows,
    )
