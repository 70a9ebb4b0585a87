"""Bare model files: where they lie, what their tensors say, packages made of them."""
