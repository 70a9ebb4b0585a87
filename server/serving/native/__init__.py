"""The native door: HTTP/2, the protocol and the hot path in C, without the interpreter's lock."""
