"""Fingerprints and profiles beside their peers."""
