"""Metrics and traces of what the frontends answer."""
