"""Metrics and traces of what the doors answer."""
