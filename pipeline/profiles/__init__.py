"""What training data look like, counted in one pass."""
