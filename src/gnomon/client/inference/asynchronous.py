"""The client for asyncio."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

import grpc

from gnomon.client.inference import channel
from gnomon.client.inference.codec import Answer, Row, decode, encode
from gnomon.client.inference.retries import Attempts, RetryBudget
from gnomon.proto.private import inference_messages


class AsyncClient:
    """As `gnomon.client.inference.blocking.Client`, within one running event loop."""

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
        self.address = address
        self._timeout_seconds = timeout_seconds
        self._metadata = channel.metadata(api_key)
        self._budget = RetryBudget(retries)
        secured = channel.credentials(authority_file, certificate_file, key_file)
        self._channel = (
            grpc.aio.insecure_channel(address, channel.OPTIONS)
            if secured is None
            else grpc.aio.secure_channel(address, secured, channel.OPTIONS)
        )
        self._infer = self._channel.unary_unary(
            channel.INFER,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=inference_messages()["ModelInferResponse"].FromString,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def retried(self) -> int:
        """How often it has asked again so far."""
        return self._budget.taken

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def predict(
        self,
        model: str,
        rows: Row | Sequence[Row],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> list[Answer]:
        """Return one answer a row; arguments and errors are those of `Client.predict`."""
        request = encode(model, rows, request_id=request_id, key=key, at=at)
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        attempts = Attempts(self._budget, time.monotonic(), seconds)
        while True:
            try:
                left = attempts.left(time.monotonic())
                response = await self._infer(request, timeout=left, metadata=self._metadata)
            except grpc.RpcError as error:
                await asyncio.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return decode(response)
