"""The client for asyncio."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Self

import grpc

from gnomon.client.inference import channel
from gnomon.client.inference.codec import Answer, Row, decode, encode
from gnomon.client.inference.labels import encode_label


class AsyncClient(channel.Connection):
    """As `gnomon.client.inference.blocking.Client`, within one running event loop."""

    _library = grpc.aio

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

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
        """Return one answer per row; raises the errors of `Client.predict`.

        Args:
            model: the public model name.
            rows: one row or many: value by field; text for a category. None is missing.
                Texts, bools and vectors are missing in all rows of a call, or in none.
            request_id: joins later labels to the prediction; the server makes one if None.
            key: requests with the same key (a customer) are answered by the same version.
            at: the data's own time, epoch seconds or datetime; None: now.
            timeout_seconds: the longest that this call may take.
        """
        request = encode(model, rows, request_id=request_id, key=key, at=at)
        attempts = self._attempts(timeout_seconds)
        while True:
            try:
                timeout = attempts.seconds_left(time.monotonic())
                response = await self._infer(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                await asyncio.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return decode(response)

    async def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Report the true value of a prediction to an agent; raises the errors of `Client.label`.

        Args:
            model: the public model name.
            request_id: of the prediction.
            value: the true value.
            at: when it became known, in the data's own time: epoch seconds or datetime; None: now.
        """
        request = encode_label(model, request_id, value, at)
        attempts = self._attempts(None)
        while True:
            try:
                timeout = attempts.seconds_left(time.monotonic())
                await self._add_labels(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                await asyncio.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return
