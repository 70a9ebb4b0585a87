"""What became of a request at a model: an answer, a rejection or a failure.

Each holds the checked inputs and outputs as far as there are any. Those of one row are buffers of
the `RowScratch` that it was answered in: they are valid until that is released.
"""

from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from numpy.typing import NDArray

from gnomon.core.contract.violations import Violations
from gnomon.core.row import Columns, Row
from gnomon.core.window import ANSWERED_CODE, FAILED_CODE, REFUSED_CODE
from gnomon.runtime.errors import GnomonError

__all__ = ["ColumnsResult", "Failure", "ModelAnswer", "Rejection", "RowResult"]

Checked = TypeVar("Checked", Row, Columns)
Outputs = TypeVar("Outputs")


class Rejection(msgspec.Struct, Generic[Checked], frozen=True):
    """The inputs cannot be read (`inputs` is None), or break their contract."""

    error: GnomonError
    inputs: Checked | None = None
    violations: Violations | None = None

    code: ClassVar[int] = REFUSED_CODE
    checked_outputs: ClassVar[None] = None
    output_violations: ClassVar[None] = None


class Failure(msgspec.Struct, Generic[Checked], frozen=True):
    """The engine failed, or its outputs, then in `checked_outputs`, break their contract."""

    error: GnomonError
    inputs: Checked
    violations: Violations | None
    checked_outputs: Checked | None = None
    output_violations: Violations | None = None

    code: ClassVar[int] = FAILED_CODE


class ModelAnswer(msgspec.Struct, Generic[Checked, Outputs], frozen=True):
    """Outputs by name, repaired as their policies say; violations were corrected or flagged."""

    outputs: Outputs
    inputs: Checked
    violations: Violations | None
    checked_outputs: Checked
    output_violations: Violations | None

    code: ClassVar[int] = ANSWERED_CODE


RowResult = ModelAnswer[Row, dict[str, Any]] | Rejection[Row] | Failure[Row]
ColumnsResult = (
    ModelAnswer[Columns, dict[str, NDArray[Any]]] | Rejection[Columns] | Failure[Columns]
)
