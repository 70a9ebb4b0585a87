"""A node's calls to its hub, with the hub's errors as typed errors. The node always calls."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grpc

from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.enrolment.identity import Identity
from gnomon.runtime.errors import HubError, HubUnavailable
from gnomon.runtime.wire import read_error

#: Seconds that a call may take.
CALL_SECONDS = 15.0
DOWNLOAD_SECONDS = 600.0

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
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)


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
        self._channel = open_channel(address, identity, key)
        self._sync = _stub("Sync", self._channel)
        self._enrolment = _stub("Enrolment", self._channel)

    def exchange(self, request: hub_pb2.ExchangeRequest) -> hub_pb2.ExchangeResponse:
        """Send the reported state and return the desired state; raises the errors of `call`."""
        answer: hub_pb2.ExchangeResponse = call(self._sync.Exchange, request)
        return answer

    def upload(
        self, boot_id: str, records: Sequence[bytes], timeout_seconds: float = CALL_SECONDS
    ) -> int:
        """Upload records of one boot; return the watermark up to which all are durable."""
        request = hub_pb2.UploadRequest(boot=boot_id, records=records)
        response = call(self._sync.Upload, request, timeout_seconds)
        return int(response.watermark)

    def renew(self, request: hub_pb2.EnrollRequest) -> hub_pb2.EnrollResponse:
        """Renew the certificate before it expires."""
        answer: hub_pb2.EnrollResponse = call(self._enrolment.Enroll, request)
        return answer

    def blobs(self, digests: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the blobs of these hashes as they come; the caller verifies each."""
        wanted = list(digests)
        for start in range(0, len(wanted), BLOBS_PER_CALL):
            request = hub_pb2.GetBlobsRequest(digests=wanted[start : start + BLOBS_PER_CALL])
            try:
                for blob in self._sync.GetBlobs(request, timeout=DOWNLOAD_SECONDS):
                    yield blob.digest, blob.data
            except grpc.RpcError as error:
                # Any failure may be temporary: a download is resumed.
                raise HubUnavailable(f"download interrupted: {_translate(error)}") from error

    def close(self) -> None:
        """Close the connection; running calls are cancelled."""
        self._channel.close()


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
    if error.code() in _AWAY:
        return HubUnavailable(f"the hub cannot be reached: {message}")
    return HubError(f"the hub answered {error.code().name}: {message}")
