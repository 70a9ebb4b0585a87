"""Buffers in which one thread answers one row at a time."""

from gnomon.core.contract import Contract
from gnomon.runtime.engines import Engine, RowRunner


class RowScratch:
    """The checked inputs and outputs of one row, and the engine with its way for one row.

    Reused call by call; what became of the row is in the result of `Model.answer_row`.
    """

    __slots__ = ("engine", "inputs", "outputs", "runner")

    def __init__(
        self, inputs: Contract, outputs: Contract, engine: Engine, runner: RowRunner | None
    ) -> None:
        self.engine = engine
        self.runner = runner
        self.inputs = inputs.new_row()
        self.outputs = outputs.new_row()
