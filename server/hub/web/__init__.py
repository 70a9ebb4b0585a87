"""The hub's web page."""
