"""Benchmarks of a hub with much data, and of a hub that is killed."""
