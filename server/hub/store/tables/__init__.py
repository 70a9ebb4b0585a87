"""The hub's tables, by room; `gnomon.server.hub.store.schema` has them all."""
