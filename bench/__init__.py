"""Benchmarks against comparable systems, and the drift evaluation."""
