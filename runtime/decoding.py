"""What decoding untrusted JSON may raise."""

import msgspec

#: msgspec hands on as they are its errors of text that is no UTF-8 and of nesting without end.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
