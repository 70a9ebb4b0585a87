"""Desired states of nodes."""
