"""Comparisons of an imported model with the library that trained it."""
