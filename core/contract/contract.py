"""The contract: a model's hard rules for its inputs or outputs, compiled."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gnomon.core.contract.blocks import clean_columns
from gnomon.core.contract.columns import CheckedColumn, check_column, count_rows
from gnomon.core.contract.report import column_violations, row_violations
from gnomon.core.contract.terms import ContractTerms
from gnomon.core.contract.violations import Violations
from gnomon.core.row import Columns, Row

__all__ = ["Contract"]


class Contract(ContractTerms):
    """Fields and the conditions over several of them, for inputs and outputs alike.

    `check_row(mapping, row)` takes one mapping of Python values and fills a reusable `Row`;
    `check_columns(mapping)` takes arrays or lists. Both return `None` for the violations if no rule
    is broken, find the same violations, and apply each field's policy to the values that they pass
    on. `unknown` is the policy for keys that are not fields: reject or flag.

    Of each field, the first rule that it breaks is reported, in the order of `rule_names`. A text,
    a bool and a number are never taken for each other; a whole float is a whole number. A
    condition that reads a missing value passes unless it tests `is missing`: see
    `gnomon.core.expression`. Conditions read the values that are passed on, repaired ones included.

    Threads may share a contract; each needs a `Row` of its own.

    Raises:
        ContractError: names occur twice, or conditions are wrong.

    >>> from gnomon.core.fields import Field, Kind
    >>> contract = Contract([Field(name="distance", kind=Kind.FLOAT64, minimum=0)])
    >>> violations = contract.check_row({"distance": -1.0}, contract.new_row())
    >>> print(violations.describe()[0])
    row 0: field 'distance': -1.0 breaks 'minimum'; right would be >= 0
    """

    def check_columns(self, mapping: Mapping[str, Any]) -> tuple[Columns, Violations | None]:
        """Check columns of one length: arrays, or lists of what `check_row` takes.

        Arrays of a field's own dtype are passed on without a copy, unless a policy repairs them.

        Raises:
            ContractError: lengths differ.
        """
        rows = count_rows(self, mapping)
        arrays = clean_columns(self, self.names, mapping)
        statuses: list[NDArray[np.uint8] | None] = [None] * len(arrays)
        looked_at: dict[int, CheckedColumn] = {}
        for index, array in enumerate(arrays):
            if array is None:
                column = check_column(self, index, mapping.get(self.names[index]), rows)
                looked_at[index] = column
                arrays[index], statuses[index] = column.array, column.status
        columns = Columns(cast("list[NDArray[Any]]", arrays), statuses, self._codes)
        answers = [program.evaluate_columns(columns) for program in self._programs]
        return columns, column_violations(self, looked_at, answers, mapping, rows)

    def violations_of(self, row: Row, mapping: Mapping[str, Any]) -> Violations:
        """Return what a checked row broke; `describe` finds the values in `mapping`."""
        return row_violations(self, row, mapping)
