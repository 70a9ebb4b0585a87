"""Signed metadata of The Update Framework: what nodes and hub share of it."""
