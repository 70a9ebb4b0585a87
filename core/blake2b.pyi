"""BLAKE2b for other extensions, compiled once; Python has `hashlib`'s."""
