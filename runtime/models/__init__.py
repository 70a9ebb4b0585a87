"""Loaded packages: a model ready to answer, and which of them a process keeps."""
