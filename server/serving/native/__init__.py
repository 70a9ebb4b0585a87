"""The native frontend: HTTP/2, protocol and hot path in C, without the interpreter's lock."""
