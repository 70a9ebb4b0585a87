"""`gnomon package`: build, inspect, verify, push and pull packages."""
