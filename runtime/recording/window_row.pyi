"""Counts one call of one row in one step: inputs, outputs, outcome and latency."""

from gnomon.core.row import Row
from gnomon.core.window import Window

__all__ = ["count_row"]

def count_row(
    window: Window, inputs: Row, outputs: Row | None, outcome: int, latency_ns: int
) -> None:
    """Do `update_row`, `update_output_row` if there are outputs, and `observe`, in one call.

    Raises `ValueError` if the rows or the outcome are not what the window counts; nothing was
    counted then.
    """
