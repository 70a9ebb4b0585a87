"""The hub's tables, by topic; `gnomon.server.hub.store.schema` has them all."""
