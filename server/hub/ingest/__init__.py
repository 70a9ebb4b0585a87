"""Telemetry: what nodes send becomes rows."""
