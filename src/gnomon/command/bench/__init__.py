"""`gnomon bench`: load tests, checks of load generators, and comparisons with peers."""
