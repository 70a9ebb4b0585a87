"""Which path the gRPC calls of a route take, and why."""

from typing import NamedTuple


class RoutePath(NamedTuple):
    """`reason` is a short code, "" for the native path; `detail` explains it."""

    is_native: bool
    reason: str = ""
    detail: str = ""


#: All routes of a server whose front end for gRPC is grpcio's.
OTHER_FRONTEND = RoutePath(False, "frontend", "the native front end does not serve here")
