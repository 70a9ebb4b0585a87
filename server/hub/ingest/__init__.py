"""Ingestion of the telemetry that nodes send."""
