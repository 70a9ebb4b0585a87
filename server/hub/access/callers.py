"""Who calls REST or the pages: by API key, key of the data folder, issuer or session."""

from collections.abc import Callable

from gnomon.runtime.errors import NotAllowed, Unauthenticated
from gnomon.server.hub.access import principals, sessions
from gnomon.server.hub.access.guesses import Guesses
from gnomon.server.hub.access.local_key import LocalKey
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor


class Callers:
    """Finds callers; limits how often an address may guess. Threads may share it."""

    def __init__(self, database: Database, local_key: LocalKey) -> None:
        self._database = database
        self._local_key = local_key
        self._guesses = Guesses()

    def by_key(self, authorization: str, address: str) -> Actor:
        """Return whose key an Authorization header shows.

        Raises:
            Unauthenticated: it shows none.
            NotAllowed: the key is not known.
            Overloaded: too many unknown keys were shown from this address.
        """
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Unauthenticated("an API key is shown as Authorization: Bearer …")
        return self.of_key(key, address)

    def of_key(self, key: str, address: str) -> Actor:
        """Return whose key this is; raises as `by_key`."""
        if self._local_key.matches(key):
            return principals.LOCAL
        self._guesses.check(address, key)
        try:
            actor = principals.find(self._database, key)
        except NotAllowed:
            self._guesses.failed(address, key)
            raise
        self._guesses.accepted(key)
        return actor

    def by_issuer(self, secret: str, address: str, sign_in: Callable[[], Actor]) -> Actor:
        """Return whom an issuer names.

        Args:
            secret: of the browser that signs in.
            address: of the browser.
            sign_in: asks the issuer.

        Raises:
            GnomonError: what `sign_in` raises.
            Overloaded: too many unknown credentials were shown from this address.
        """
        self._guesses.check(address, secret)
        try:
            return sign_in()
        except NotAllowed:
            self._guesses.failed(address, secret)
            raise

    def by_session(self, secret: str, address: str) -> Actor:
        """Return whose session this is.

        Raises:
            Unauthenticated: it has ended.
            Overloaded: too many unknown credentials were shown from this address.
        """
        self._guesses.check(address, secret)
        actor = sessions.find(self._database, secret)
        if actor is None:
            self._guesses.failed(address, secret)
            raise Unauthenticated("the session has ended; sign in again")
        self._guesses.accepted(secret)
        return actor
