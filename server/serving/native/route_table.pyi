"""The table in which a loop finds what answers a request, after admission: who calls, how much."""

from collections.abc import Mapping

from gnomon.server.serving.native.native_admission import NativeAdmission
from gnomon.server.serving.native.route import NativeRoute
from gnomon.server.serving.native.shadow_queue import NativeShadowQueue

class NativeRouteTable:
    """The routes by name. A target that usually runs longer than `slow_seconds` declines.

    Without `admission` anyone may call every route. Requests for shadows are put in `shadows`.
    """

    def __init__(
        self,
        slow_seconds: float,
        admission: NativeAdmission | None = None,
        shadows: NativeShadowQueue | None = None,
    ) -> None: ...
    def publish(self, routes: Mapping[str, NativeRoute]) -> None:
        """Replace all routes at once; when it returns, no call is on the old ones."""
    @property
    def reasons(self) -> Mapping[str, int]:
        """Return how many requests were taken, and how many declined for which reason."""
    @property
    def stages(self) -> Mapping[str, float]:
        """Return how long the stages of a request take on average, in ns; one of 61 is timed."""
    def try_message(self, message: bytes) -> bytes | None:
        """Return what a request's message is answered with, None if it is not; for tests."""
    def try_exchange(
        self, message: bytes, authorization: bytes = b""
    ) -> tuple[bytes | None, int | None, tuple[bytes, bytes] | None]:
        """Return the answer, its traffic bucket, and a refusal's message and details."""
