"""Contract and window beside their peers."""
