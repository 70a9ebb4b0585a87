"""Transfer of a registry's content between hubs without a network."""
