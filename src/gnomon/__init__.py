"""Gnomon: an inference runtime for edge and server."""
