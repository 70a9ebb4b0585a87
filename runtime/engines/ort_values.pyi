"""Tensors as ONNX Runtime's values: wrapped, viewed and copied through its C interface."""

__all__ = ["SessionClosed", "SessionError", "initialise"]

class SessionError(Exception):
    """ONNX Runtime said no; the message is its own."""

class SessionClosed(SessionError):
    """The session was closed before the call."""

def initialise(get_base: int) -> str:
    """Take the library's `OrtGetApiBase` (its address) into use, once a process.

    Returns the library's version. Raises `SessionError` if it is too old.
    """
