"""The hub with much in it, and while it is killed."""
