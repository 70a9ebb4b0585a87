"""A contract compiled to flat C structures that can be read without the GIL."""

from collections.abc import Sequence
from typing import Any

from gnomon.core.expression.evaluation import CompiledProgram
from gnomon.core.row import Row

__all__ = ["CompiledContract"]

class CompiledContract:
    """Holds the plan that native code reads; made from `gnomon.core.contract.layout`."""

    def __init__(
        self,
        layouts: Sequence[dict[str, Any]],
        conditions: Sequence[tuple[CompiledProgram, int]],
    ) -> None: ...
    def new_row(self) -> Row:
        """Return a row buffer of this contract's size, for one thread's use."""

    @property
    def needs_python(self) -> bool:
        """Whether some field has a pattern, which only Python can match."""
