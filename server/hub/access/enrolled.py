"""The check of callers, remembered until something is decided.

Revocations, enrolments and renewals are decisions, so a certificate that counted counts while the
audit chain does not grow. Only its time is looked at again.
"""

import threading
from collections.abc import Callable

from gnomon.server.hub.access import nodes
from gnomon.server.hub.access.authority import CertificateIdentity
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.decisions import Decisions

#: Certificates that are remembered; all are forgotten when there are more.
_KEPT = 65_536


class EnrolledCallers:
    """Who is enrolled. Threads may share it."""

    def __init__(
        self,
        database: Database,
        decisions: Decisions,
        on_unknown: Callable[[CertificateIdentity], None] = lambda _: None,
    ) -> None:
        """Remember no caller yet.

        Args:
            database: of the hub.
            decisions: tells whether anything was decided since.
            on_unknown: called with who shows a certificate of a name that is not enrolled.
        """
        self._database = database
        self._decisions = decisions
        self._on_unknown = on_unknown
        self._lock = threading.Lock()
        self._checked: dict[str, int] = {}  # serial to the length of the chain

    def check(self, identity: CertificateIdentity, *, renews: bool = False) -> None:
        """Check that the holder of a certificate is still enrolled; raises as the check of `nodes`.

        Args:
            identity: what the certificate says.
            renews: the call renews the certificate.
        """
        decided = self._decisions.read()
        if self._checked.get(identity.serial) == decided:
            nodes.check_time(identity, renews=renews)
            return
        try:
            is_only = nodes.check_enrolled(self._database, identity, renews=renews)
        except nodes.NotEnrolled:
            self._on_unknown(identity)
            raise
        if is_only:
            with self._lock:
                if len(self._checked) >= _KEPT:
                    self._checked.clear()
                self._checked[identity.serial] = decided
