"""Benchmarks of fingerprints and profiles against comparable tools."""
