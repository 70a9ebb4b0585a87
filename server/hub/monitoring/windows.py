"""Windows as the hub reads them: decoded against the profile of the package that sent them."""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from gnomon.core.cells import latency
from gnomon.core.reference import ReferenceMismatch
from gnomon.core.window import Window
from gnomon.core.window.codec import CorruptWindow
from gnomon.core.window.reading import Totals
from gnomon.runtime.errors import InvalidInput, PackageError, UnknownModel
from gnomon.runtime.packages.profile import Profile, decode_profile
from gnomon.server.hub.store import schema
from gnomon.server.hub.store.limits import MAXIMUM_ROWS

#: The columns of a window that the hub does not look into.
UNREAD: Mapping[str, Any] = {"outcomes": {}, "latency": {}}

_KEPT = 256
_profiles: dict[str, Profile] = {}
_profiles_lock = Lock()


def profile_of(connection: Connection, digest: str) -> Profile:
    """Return the profile of a package; a digest stands for its content, so it is kept once read.

    Raises:
        UnknownModel: if the registry does not have the package.
        PackageError: if it is one of an older Gnomon that this one refuses.
    """
    with _profiles_lock:
        known = _profiles.get(digest)
    if known is not None:
        return known
    columns = schema.version.c
    row = connection.execute(
        select(columns.name, columns.version, columns.profile).where(columns.digest == digest)
    ).one_or_none()
    if row is None:
        raise UnknownModel(f"there is no package {digest} in the registry")
    try:
        profile = decode_profile(row.profile)
    except PackageError as error:
        raise PackageError(f"{row.name}@{row.version}: {error}") from error
    with _profiles_lock:
        if len(_profiles) >= _KEPT:
            _profiles.clear()
        _profiles[digest] = profile
    return profile


def read(connection: Connection, digest: str, data: bytes) -> Window:
    """Return a window that a node counted.

    Raises:
        UnknownModel: if the registry does not have the package.
        PackageError: if it is one of an older Gnomon that this one refuses.
        InvalidInput: if the bytes are damaged, were counted against another profile, count more
            rows than a window may, or more latencies than answers.
    """
    try:
        window = profile_of(connection, digest).read_window(data)
    except (CorruptWindow, ReferenceMismatch) as error:
        raise InvalidInput(f"a window of package {digest}: {error}") from error
    _check(digest, window.read_totals())
    return window


def _check(digest: str, totals: Totals) -> None:
    # Sums over windows are 64-bit integers, which wrap silently.
    most = max(
        totals.rows,
        totals.output_rows,
        *totals.outcomes.values(),
        *totals.outcome_rows.values(),
        int(totals.latency_counts.max()),
        int(totals.violations.max(initial=0)),
    )
    if most > MAXIMUM_ROWS:
        raise InvalidInput(
            f"a window of package {digest} counts {most} rows; at most {MAXIMUM_ROWS} are allowed"
        )
    latencies, outcomes = int(totals.latency_counts.sum()), totals.outcomes
    if latencies > outcomes["answered"] + outcomes["fallback"]:
        raise InvalidInput(
            f"a window of package {digest} has {latencies} latencies of "
            f"{outcomes['answered'] + outcomes['fallback']} answers"
        )


def service_counts(connection: Connection, digest: str, data: bytes) -> Mapping[str, Any]:
    """Return a window's columns `outcomes` (rows by outcome) and `latency` (answers by bucket).

    Both are empty (`UNREAD`) for a package that the registry does not have, or that an older Gnomon
    accepted and this one refuses: its windows are kept.

    Raises:
        InvalidInput: as `read`.
    """
    try:
        totals = read(connection, digest, data).read_totals()
    except (UnknownModel, PackageError):
        return UNREAD
    buckets = totals.latency_counts
    return {
        "outcomes": totals.outcome_rows,
        "latency": {str(bucket): int(buckets[bucket]) for bucket in np.flatnonzero(buckets)},
    }


def merge_latency(sparse: Iterable[Mapping[str, int]]) -> NDArray[np.int64]:
    """Add up columns `latency` (answers by bucket of `gnomon.core.cells.latency`); int64 vector."""
    total = np.zeros(latency.BUCKETS, dtype=np.int64)
    for buckets in sparse:
        for bucket, count in buckets.items():
            total[int(bucket)] = min(int(total[int(bucket)]) + count, MAXIMUM_ROWS)
    return total
