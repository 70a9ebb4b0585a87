"""From answers to windows and samples, and out to the sink."""
