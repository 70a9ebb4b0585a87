"""Deliveries over HTTP: signed, to checked addresses, without following redirects.

The header `Gnomon-Signature: t=<Unix seconds>,v1=<hex>` holds the HMAC-SHA256, under the webhook's
secret, of the time, a full stop, and the body. Receivers check it with `verify` of
`gnomon.runtime.webhooks`. Deliveries come at least once, in no certain order; one with a known id
is a duplicate.
"""

import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import structlog

from gnomon.runtime.errors import InvalidInput, StorageError
from gnomon.runtime.webhooks import SIGNATURE, sign
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.webhooks import queue
from gnomon.server.hub.webhooks.delivery_addresses import Network, check_url, resolve
from gnomon.server.hub.webhooks.formats import encode
from gnomon.server.hub.webhooks.queue import Claim, DeliveryState, QueueSettings
from gnomon.server.hub.webhooks.signing_secrets import SigningSecrets

_log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 5.0
_AT_ONCE = 4


class Deliverer:
    """Creates deliveries from the audit chain, and sends those that are due."""

    def __init__(
        self,
        secrets: SigningSecrets,
        networks: Sequence[Network] = (),
        settings: QueueSettings | None = None,
        own_ports: Collection[int] = (),
        page: str = "",
    ) -> None:
        """Allow these networks besides loopback and public addresses, but none of our ports.

        Args:
            secrets: sign the deliveries.
            networks: private networks that may be reached.
            settings: how often is tried.
            own_ports: ports of this hub.
            page: the address of the hub's page, which alerts link to.
        """
        self._page = page
        self._own_ports = frozenset(own_ports)
        self._secrets = secrets
        self._networks = tuple(networks)
        self._settings = settings or QueueSettings()

    def run_once(self, database: Database) -> None:
        """Create and send what is due now; return when each attempt has ended."""
        queue.fill(database, self._settings)
        claimed = queue.claim(database, self._settings)
        if not claimed:
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="hub-webhook") as pool:
            for one, error in zip(claimed, pool.map(self._send, claimed), strict=True):
                state = queue.settle(database, one, error, self._settings)
                if state is DeliveryState.DEAD:
                    _log.warning("webhook_gave_up", delivery=one.id, event_name=one.event)

    def _send(self, claimed: Claim) -> str:
        """Send one; return what went wrong, without any secret, or nothing."""
        try:
            return self._post(claimed)
        except (InvalidInput, StorageError) as error:
            return str(error)
        except (httpx.HTTPError, OSError) as error:
            # Their texts may quote the URL, and that may hold a secret.
            return type(error).__name__
        except Exception as error:
            _log.error("webhook_failed", delivery=claimed.id, kind=type(error).__name__)
            return "the hub failed to send it"

    def _post(self, claimed: Claim) -> str:
        text, url = encode(claimed.format, claimed.body, claimed.url, self._page)
        target = resolve(check_url(url), self._networks, self._own_ports)
        body = text.encode()
        secret = self._secrets.of(claimed.webhook, claimed.secret)
        headers = {
            "host": target.url.netloc,
            "content-type": "application/json",
            "user-agent": "gnomon-webhook",
            "gnomon-event": claimed.event,
            "gnomon-delivery": claimed.id,
            SIGNATURE: sign(secret, body, int(time.time())),
        }
        extensions = {"sni_hostname": target.url.hostname}
        with (
            httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, follow_redirects=False) as http,
            http.stream(
                "POST", target.connect_url, content=body, headers=headers, extensions=extensions
            ) as answer,
        ):
            if answer.is_success:
                return ""
            if answer.is_redirect:
                return f"answered {answer.status_code}; redirects are not followed"
            return f"answered {answer.status_code}"
