"""Batch scoring: the rows of files through a package, each part exactly once."""
