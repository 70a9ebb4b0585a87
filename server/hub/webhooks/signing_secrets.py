"""Secrets that sign deliveries: derived from a key outside of the database, which holds none.

A reader of the database, or of a dump of it, cannot forge a delivery.
"""

import base64
import hashlib
import hmac


class SigningSecrets:
    """The secrets of all webhooks of a hub."""

    def __init__(self, key: bytes) -> None:
        """Derive them from a key that all hubs of one database have."""
        self._key = key

    def of(self, webhook: str, stored: str = "") -> str:
        """Return the secret of a webhook.

        Args:
            webhook: its id.
            stored: the secret of a webhook that was set before secrets were derived.
        """
        if stored:
            return stored
        made = hmac.new(self._key, webhook.encode(), hashlib.sha256).digest()
        return "gnomon_" + base64.urlsafe_b64encode(made).rstrip(b"=").decode()
