"""Webhooks: what happens at the hub is told to those whom operators named, at least once."""
