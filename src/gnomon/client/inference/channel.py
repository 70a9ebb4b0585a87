"""How a client reaches a server: address, TLS, the key it shows."""

import time
from pathlib import Path
from typing import Any

import grpc

from gnomon.client.inference.codec import error_of
from gnomon.client.inference.retries import Attempts
from gnomon.proto.private import SERVICE

INFER = f"/{SERVICE}/ModelInfer"
READY = f"/{SERVICE}/ModelReady"

#: A server that comes back is found again soon.
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 256 << 20),
    ("grpc.max_send_message_length", 256 << 20),
)


def credentials(
    authority_file: str | Path | None,
    certificate_file: str | Path | None,
    key_file: str | Path | None,
) -> Any:
    """Return TLS credentials, or None for clear text, where no authority is given."""
    if authority_file is None:
        return None
    files = (authority_file, key_file, certificate_file)
    return grpc.ssl_channel_credentials(*(Path(one).read_bytes() if one else None for one in files))


def pause_after(address: str, attempts: Attempts, error: Any) -> float:
    """Return how many seconds to wait before asking again after a call that failed.

    Raises:
        GnomonError: the call's own error, where there is no reason or no time to ask again.
    """
    told = error_of(address, error)
    unavailable = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    pause = attempts.pause(told, is_unavailable=unavailable, now=time.monotonic())
    if pause is None:
        raise told from error
    return pause


def metadata(api_key: str | None) -> tuple[tuple[str, str], ...]:
    """Return what goes with every call."""
    return (("authorization", f"Bearer {api_key}"),) if api_key else ()
