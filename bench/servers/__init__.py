"""Benchmarks of servers: under load, during swaps and drains, and under attack."""
