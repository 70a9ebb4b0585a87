"""A node that no hub decides for: its packages, and its file of routes."""
