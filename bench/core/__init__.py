"""Benchmarks of contract and window against comparable libraries."""
