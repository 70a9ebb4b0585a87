"""Ensembles of decision trees: the file format, and the loops that run it."""

from gnomon.core.trees.model import TreeFileError, TreeModel, log_float32

__all__ = ["TreeFileError", "TreeModel", "log_float32"]
