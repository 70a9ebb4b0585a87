"""Admission for the native loops, without Python; all counts are those of `Admission`."""

from dataclasses import dataclass

from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.authentication import LOCAL
from gnomon.server.serving.admission.credential_cache import CredentialCache
from gnomon.server.serving.admission.rate_limiter import RateLimiter


@dataclass(frozen=True, slots=True)
class NativeAdmission:
    """Credential cache, rate limiter, and the anonymous caller."""

    credentials: CredentialCache
    limiter: RateLimiter
    asks_who: bool
    anyone: str
    anyone_client: int


def native_admission(admission: Admission, *, asks_certificates: bool) -> NativeAdmission:
    """Return what the native loops use of an admission."""
    return NativeAdmission(
        credentials=admission.authentication.credentials,
        limiter=admission.throttle.limiter,
        asks_who=asks_certificates or admission.authentication.needs_keys,
        anyone=LOCAL.name,
        anyone_client=admission.clients.place(LOCAL.name),
    )
