"""`gnomon hub`: run a hub, and call one."""
