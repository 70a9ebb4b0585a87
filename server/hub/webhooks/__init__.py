"""Webhooks: events of the hub are delivered to URLs that operators set, at least once."""
