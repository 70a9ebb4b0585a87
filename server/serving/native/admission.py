"""Admission for the native loops, without Python; all counts are those of `Admission`."""

from dataclasses import dataclass

from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.authentication import LOCAL
from gnomon.server.serving.admission.credential_cache import Passes
from gnomon.server.serving.admission.rate_limiter import Buckets


@dataclass(frozen=True, slots=True)
class NativeAdmission:
    """Who is known, how much was asked, and who asks where nobody is asked who they are."""

    passes: Passes
    buckets: Buckets
    asks_who: bool
    anyone: str
    anyone_client: int


def native_admission(admission: Admission, *, asks_certificates: bool) -> NativeAdmission:
    """Return the gates of an admission."""
    return NativeAdmission(
        passes=admission.authentication.passes,
        buckets=admission.throttle.buckets,
        asks_who=asks_certificates or admission.authentication.needs_keys,
        anyone=LOCAL.name,
        anyone_client=admission.clients.place(LOCAL.name),
    )
