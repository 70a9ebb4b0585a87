"""Compiled kernels: contracts, windows, distances, detectors. NumPy only, no I/O, no threads."""
