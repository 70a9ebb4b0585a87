"""The REST frontend."""
