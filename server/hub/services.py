"""What REST, the web page and the gRPC services share; made once by the process."""

from dataclasses import dataclass, field

from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.access.callers import Callers
from gnomon.server.hub.access.oidc import OidcSignIn
from gnomon.server.hub.ingest.quotas import Quotas
from gnomon.server.hub.settings import HubAddresses, HubSettings
from gnomon.server.hub.store.blobs import Blobs
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.trust.repository import TrustRepository
from gnomon.server.hub.versions.catalogue import Catalogue
from gnomon.server.hub.webhooks.signing_secrets import SigningSecrets


@dataclass(frozen=True)
class Services:
    """Handles on the hub's state; the frontends keep no other state."""

    settings: HubSettings
    database: Database
    blobs: Blobs
    authority: Authority
    addresses: HubAddresses
    callers: Callers
    webhook_secrets: SigningSecrets
    trust: TrustRepository
    quotas: Quotas
    catalogue: Catalogue = field(default_factory=Catalogue)
    oidc: OidcSignIn | None = None
