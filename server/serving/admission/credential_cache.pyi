"""A cache of authenticated callers, searched without the GIL by their credentials."""

from gnomon.server.serving.admission.authentication import Caller

class CredentialCache:
    """Up to 4,096 callers by a keyed hash of their credentials. Threads may share it."""

    #: How often the cache was cleared.
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
        """Add the caller of these credentials until `expires` (epoch seconds).

        Args:
            authorization: The header, or None.
            certificate: The common name of the verified certificate, or None.
            caller: Who they authenticate.
            client: The index of the caller's label in the counts.
            expires: Epoch seconds.
            generation: As it was when the files were read; if the cache was cleared since then,
                nothing is added.
        """
    def find(
        self, authorization: bytes | None, certificate: bytes | None, moment: float, now: float
    ) -> Caller | None:
        """Return the cached caller of these credentials, or None.

        `moment` in epoch seconds, `now` in seconds of the monotonic clock.
        """
    def forget(self) -> None:
        """Clear the cache."""
    def valid_until(self, moment: float) -> None:
        """Set until when entries are valid, in seconds of the monotonic clock."""
