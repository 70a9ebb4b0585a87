"""The hub's clock and its identifiers, which builders and nodes mint as well."""

from gnomon.runtime.ids import new_id, now_ms

__all__ = ["new_id", "now_ms"]
