"""A node's calls to its hub, with the hub's errors as typed errors. The node always calls."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import grpc

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.enrolment.identity import Identity
from gnomon.runtime.errors import HubError, HubUnavailable
from gnomon.runtime.wire import read_error

#: Seconds that a call may take, and the most that it may take on a link that has shown to be slow.
CALL_SECONDS = 15.0
_SLOW_CALL_SECONDS = 240.0
#: The same of a call that fetches blobs.
DOWNLOAD_SECONDS = 600.0
_SLOW_DOWNLOAD_SECONDS = 7_200.0

#: Blobs of one call: few, so that a broken connection costs little.
BLOBS_PER_CALL = 64

_OPTIONS = (
    ("grpc.max_receive_message_length", 8 << 20),
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
)


class DeadlineExceeded(HubUnavailable):
    """The call did not end in its time: the link may be slow."""


class ContentRefused(HubUnavailable):
    """The hub can be reached, and refuses content that was asked for; it may be mended there."""


class Patience:
    """How long a call may take: twice as long after each call that did not end in its time."""

    def __init__(self, seconds: float, longest_seconds: float) -> None:
        self.seconds = self._shortest_seconds = seconds
        self._longest_seconds = longest_seconds

    def run(self, call: Callable[[float], Any]) -> Any:
        """Execute a call with the seconds that it may take, and learn from how long it took."""
        started = time.monotonic()
        try:
            answer = call(self.seconds)
        except DeadlineExceeded:
            self.seconds = min(2 * self.seconds, self._longest_seconds)
            raise
        if time.monotonic() - started < self.seconds / 4:
            self.seconds = max(self.seconds / 2, self._shortest_seconds)
        return answer


def enrol(address: str, authority: bytes, request: hub_pb2.EnrollRequest) -> hub_pb2.EnrollResponse:
    """Exchange a token for a certificate at a hub that `authority` (PEM) verifies.

    Raises:
        HubUnavailable: the hub cannot be reached.
        GnomonError: the hub refused; the error is the hub's.
    """
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    with grpc.secure_channel(address, credentials, options=_OPTIONS) as channel:
        answer: hub_pb2.EnrollResponse = call(_stub("Enrolment", channel).Enroll, request)
        return answer


def open_channel(address: str, identity: Identity, key: bytes) -> grpc.Channel:
    """Return a channel to the hub under a certificate and its private key (PEM)."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=identity.authority,
        private_key=key,
        certificate_chain=identity.certificate,
    )
    return grpc.secure_channel(address, credentials, options=_OPTIONS)


class HubChannel:
    """A connection to the hub under the node's certificate; each certificate needs its own."""

    def __init__(self, address: str, identity: Identity, key: bytes) -> None:
        #: Called with the seconds that the next step of a call may take, by the calling thread.
        self.on_progress: Callable[[float], None] = lambda _seconds: None
        self._channel = open_channel(address, identity, key)
        self._sync = _stub("Sync", self._channel)
        self._enrolment = _stub("Enrolment", self._channel)
        self._exchange_patience = Patience(CALL_SECONDS, _SLOW_CALL_SECONDS)
        self._download_patience = Patience(DOWNLOAD_SECONDS, _SLOW_DOWNLOAD_SECONDS)

    def exchange(self, request: hub_pb2.ExchangeRequest) -> hub_pb2.ExchangeResponse:
        """Send the reported state and return the desired state; raises the errors of `call`."""

        def exchange(seconds: float) -> hub_pb2.ExchangeResponse:
            answer: hub_pb2.ExchangeResponse = call(self._sync.Exchange, request, seconds)
            return answer

        response: hub_pb2.ExchangeResponse = self._exchange_patience.run(exchange)
        return response

    def upload(
        self, request: hub_pb2.UploadRequest, timeout_seconds: float = CALL_SECONDS
    ) -> hub_pb2.UploadResponse:
        """Upload records of one boot, compressed, in order of their sequence.

        Raises:
            DeadlineExceeded: the call did not end within `timeout_seconds`.
            GnomonError: as `call`.
        """
        self.on_progress(timeout_seconds)
        upload = partial(self._sync.Upload, compression=grpc.Compression.Gzip)
        response: hub_pb2.UploadResponse = call(upload, request, timeout_seconds)
        return response

    def renew(self, request: hub_pb2.EnrollRequest) -> hub_pb2.EnrollResponse:
        """Renew the certificate before it expires."""
        answer: hub_pb2.EnrollResponse = call(self._enrolment.Enroll, request)
        return answer

    def blobs(self, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the blobs of these hashes as they come; the caller verifies each.

        A connection that was lost costs the blob that was under way. If not even one came in time,
        the next call may take twice as long.
        """
        wanted = list(digests)
        for start in range(0, len(wanted), BLOBS_PER_CALL):
            yield from self._fetch(wanted[start : start + BLOBS_PER_CALL])

    def _fetch(self, digests: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        request = hub_pb2.GetBlobsRequest(digests=digests)
        self.on_progress(self._download_patience.seconds)
        stream = self._sync.GetBlobs(request, timeout=self._download_patience.seconds)

        def first(_: float) -> hub_pb2.Blob | None:
            return _next_blob(stream)

        blob = self._download_patience.run(first)
        while blob is not None:
            yield blob.digest, blob.data
            self.on_progress(self._download_patience.seconds)
            blob = _next_blob(stream)

    def close(self) -> None:
        """Close the connection; running calls are cancelled."""
        self._channel.close()


def _next_blob(stream: Iterator[hub_pb2.Blob]) -> hub_pb2.Blob | None:
    """Return the next blob, or None at the end.

    Raises:
        HubUnavailable: any failure may be temporary, since a download is resumed.
        ContentRefused: the hub was reached, and did not send it.
    """
    try:
        return next(stream, None)
    except grpc.RpcError as error:
        known = _translate(error)
        kind = type(known) if isinstance(known, HubUnavailable) else ContentRefused
        raise kind(f"download interrupted: {known}") from error


def _stub(service: str, channel: grpc.Channel) -> Any:
    return getattr(hub_pb2_grpc, f"{service}Stub")(channel)


def call(method: Callable[..., Any], request: Any, timeout_seconds: float = CALL_SECONDS) -> Any:
    """Call with the hub's errors as typed errors; `HubUnavailable` if it cannot be reached."""
    try:
        return method(request, timeout=timeout_seconds)
    except grpc.RpcError as error:
        raise _translate(error) from error
    except ValueError as error:
        raise HubUnavailable(f"the connection to the hub was closed: {error}") from error


def _translate(error: Any) -> Exception:
    message = error.details() or ""
    if known := read_error(message, error.trailing_metadata() or ()):
        return known
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("the hub cannot be reached in time: the call has not ended")
    if error.code() in _AWAY:
        return HubUnavailable(f"the hub cannot be reached: {message}")
    return HubError(f"the hub answered {error.code().name}: {message}")
