"""Secrets that sign deliveries: of no use to a reader of the database, or of a dump of it.

They are derived from a key outside of the database, which holds none. Earlier versions made them at
random and stored them in clear text; those are sealed with a key of the same source when a hub
starts.
"""

import base64
import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gnomon.runtime.errors import StorageError

_PREFIX = "gnomon_"
_SECRET_BYTES = 32
#: Each webhook has a key of its own, which seals one secret.
_NONCE = bytes(12)


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

        Raises:
            StorageError: if what is stored was sealed with another key, or is damaged.
        """
        if not stored:
            return _text(hmac.new(self._key, webhook.encode(), hashlib.sha256).digest())
        return stored if is_clear(stored) else self._open(webhook, stored)

    def seal(self, webhook: str, secret: str) -> str:
        """Return a secret as it is stored.

        Raises:
            ValueError: if no earlier version made such a secret.
        """
        raw = base64.urlsafe_b64decode(secret.removeprefix(_PREFIX) + "=")
        if _text(raw) != secret or len(raw) != _SECRET_BYTES:
            raise ValueError("no secret of a webhook")
        # 64 characters: as many as the column has.
        return base64.urlsafe_b64encode(self._cipher(webhook).encrypt(_NONCE, raw, None)).decode()

    def _open(self, webhook: str, sealed: str) -> str:
        try:
            data = base64.urlsafe_b64decode(sealed)
            return _text(self._cipher(webhook).decrypt(_NONCE, data, None))
        except (ValueError, InvalidTag) as error:
            raise StorageError(
                f"the secret of webhook {webhook} cannot be opened: it is damaged, or of another "
                "authority; remove the webhook, and set it again"
            ) from error

    def _cipher(self, webhook: str) -> AESGCM:
        return AESGCM(hmac.new(self._key, b"seal " + webhook.encode(), hashlib.sha256).digest())


def is_clear(stored: str) -> bool:
    """Return whether a stored secret is in clear text."""
    return stored.startswith(_PREFIX)


def _text(raw: bytes) -> str:
    return _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
