"""Triton's extensions of the Open Inference Protocol."""
