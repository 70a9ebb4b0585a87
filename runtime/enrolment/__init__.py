"""How a node or a builder becomes known to a hub: key, certificate, connection."""
