"""Mergeable statistics of predictions: counted row by row, kept and sent in a compact form."""

from gnomon.core.window.window import (
    ANSWERED_CODE,
    FAILED_CODE,
    FALLBACK_CODE,
    REFUSED_CODE,
    Window,
)

__all__ = ["ANSWERED_CODE", "FAILED_CODE", "FALLBACK_CODE", "REFUSED_CODE", "Window"]
