"""Models of other makes, made into what an engine runs."""
