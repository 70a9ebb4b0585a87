"""The doors and the hub."""
