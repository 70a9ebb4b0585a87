"""Evaluation of windows and labels: drift, errors, alerts."""
