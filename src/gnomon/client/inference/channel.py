"""The connection of a client: address, TLS, API key, retries."""

import time
from pathlib import Path
from typing import Any, ClassVar

import grpc

from gnomon.client.inference.failures import check_address, error_of
from gnomon.client.inference.labels import ADD_LABELS
from gnomon.client.inference.retries import Attempts, RetryBudget
from gnomon.proto.private import SERVICE, inference_messages

INFER = f"/{SERVICE}/ModelInfer"
READY = f"/{SERVICE}/ModelReady"
METADATA = f"/{SERVICE}/ModelMetadata"

#: Short pauses, so that a restarted server is found again soon.
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 256 << 20),
    ("grpc.max_send_message_length", 256 << 20),
)


class Connection:
    """What the clients share: the channel, the key that is sent, time limits and retries."""

    #: The library that opens the channel: `grpc` or `grpc.aio`.
    _library: ClassVar[Any] = grpc

    def __init__(
        self,
        address: str,
        *,
        api_key: str | None = None,
        authority_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        key_file: str | Path | None = None,
        timeout_seconds: float = 5.0,
        retries: int = 10,
    ) -> None:
        """Connect when the first call is made.

        Args:
            address: `host:port` of the server.
            api_key: sent with every call.
            authority_file: PEM of who signed the server's certificate; with it the connection is
                encrypted.
            certificate_file: PEM of the client's own certificate.
            key_file: PEM of the client's own private key.
            timeout_seconds: the longest that a call takes, retries included.
            retries: how many retries in a row; ten answers allow one more.

        Raises:
            ConfigurationError: the address is empty or a URL, or its port is out of range.
            OSError: a file cannot be read.
        """
        check_address(address)
        self.address = address
        self._timeout_seconds = timeout_seconds
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()
        self._budget = RetryBudget(retries)
        if authority_file is None:
            self._channel = self._library.insecure_channel(address, OPTIONS)
        else:
            secured = _credentials(authority_file, certificate_file, key_file)
            self._channel = self._library.secure_channel(address, secured, OPTIONS)
        self._infer = self._method(INFER, "ModelInferResponse")
        self._describe = self._method(METADATA, "ModelMetadataResponse")
        self._add_labels = self._channel.unary_unary(
            ADD_LABELS, request_serializer=lambda message: message.SerializeToString()
        )

    @property
    def retried(self) -> int:
        """How many retries there were so far."""
        return self._budget.spent

    def _attempts(self, timeout_seconds: float | None) -> Attempts:
        """Return the attempts of a call that begins now."""
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        return Attempts(self._budget, time.monotonic(), seconds)

    def _method(self, path: str, response: str) -> Any:
        """Return the method at `path`, which answers with the message `response`."""
        return self._channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=inference_messages()[response].FromString,
        )


def _credentials(
    authority_file: str | Path, certificate_file: str | Path | None, key_file: str | Path | None
) -> Any:
    files = (authority_file, key_file, certificate_file)
    return grpc.ssl_channel_credentials(*(Path(one).read_bytes() if one else None for one in files))


def pause_after(address: str, attempts: Attempts, error: Any) -> float:
    """Return the seconds to wait before the call is retried after a failure.

    Raises:
        GnomonError: the call's own error, if it cannot be retried or no time is left.
    """
    failure = error_of(address, error)
    unavailable = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    pause = attempts.next_pause(failure, is_unavailable=unavailable, now=time.monotonic())
    if pause is None:
        raise failure from error
    return pause
