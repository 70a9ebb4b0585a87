"""Servers: prediction frontends, streams and the hub."""
