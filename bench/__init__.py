"""Benchmarks beside the peers, and the drift evaluation."""
