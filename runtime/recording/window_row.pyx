"""Counts one call of one row in one step: inputs, outputs, outcome and latency."""

from libc.stdint cimport int64_t

from gnomon.core.row cimport Row
from gnomon.core.window.window cimport (
    OUTCOMES, Outcome, Window, window_observe, window_update_output_row, window_update_row,
)

__all__ = ["count_row"]


def count_row(
    Window window not None, Row inputs not None, Row outputs, int outcome, int64_t latency_ns
):
    if inputs.fields != window._inputs.fields:
        raise ValueError(f"{inputs.fields} inputs, the window counts {window._inputs.fields}")
    if not 0 <= outcome < OUTCOMES:
        raise ValueError(f"outcome {outcome}, expected 0 to {OUTCOMES - 1}")
    if outputs is not None:
        if not window._has_outputs or outputs.fields != window._outputs.fields:
            raise ValueError("the window does not count these outputs")
        window_update_output_row(window, outputs.value_buffer, outputs.status_buffer)
    window_update_row(window, inputs.value_buffer, inputs.status_buffer)
    window_observe(window, <Outcome>outcome, latency_ns, 1)
