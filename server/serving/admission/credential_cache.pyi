"""Callers who have shown who they are, found again without the GIL by what they show."""

from gnomon.server.serving.admission.authentication import Caller

class CredentialCache:
    """Up to 4,096 callers by a tag of what they have shown. Threads may share it."""

    #: How often everybody was forgotten.
    generation: int
    def learn(
        self,
        authorization: bytes | None,
        certificate: bytes | None,
        caller: Caller,
        client: int,
        expires: float,
        generation: int,
    ) -> None:
        """Remember who showed this until `expires` (epoch seconds).

        Nothing is remembered where everybody was forgotten since the generation.
        """
    def find(
        self, authorization: bytes | None, certificate: bytes | None, moment: float, now: float
    ) -> Caller | None:
        """Return the caller who showed this before, or None.

        `moment` in epoch seconds, `now` in seconds of the monotonic clock.
        """
    def forget(self) -> None:
        """Forget everybody."""
    def valid_until(self, moment: float) -> None:
        """Set how long passes hold unless this is said again, in seconds of the monotonic clock."""
