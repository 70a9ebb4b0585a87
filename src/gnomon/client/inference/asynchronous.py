"""The client for asyncio."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self, overload

import grpc

from gnomon.client.inference import channel
from gnomon.client.inference.codec import Answer, Row
from gnomon.client.inference.labels import encode_label
from gnomon.client.inference.prediction_call import PredictionCall
from gnomon.client.inference.retries import Attempts


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

    @overload
    async def predict(
        self,
        model: str,
        rows: Row | Sequence[Row],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> list[Answer]: ...

    @overload
    async def predict(
        self,
        model: str,
        rows: Any,
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> Any: ...

    async def predict(
        self,
        model: str,
        rows: Any,
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> Any:
        """Predict as `Client.predict`, with its arguments, results and errors.

        Args:
            model: the public model name.
            rows: one row, a list of rows, or a table.
            request_id: joins later labels to the prediction; the server makes one if None.
            key: requests with the same key (a customer) are answered by the same version.
            at: the data's own time, epoch seconds or datetime; None: now.
            timeout_seconds: the longest that this call may take.
        """
        attempts = self._attempts(timeout_seconds)
        call = PredictionCall(model, rows, request_id=request_id, key=key, at=at)
        for request in call.requests():
            call.put(await self._execute(self._describe, request, attempts))
        return call.result(await self._execute(self._infer, call.request(), attempts))

    async def _execute(self, method: Any, request: Any, attempts: Attempts) -> Any:
        """Return the response to a request, which is sent again as long as `attempts` allow."""
        while True:
            try:
                timeout = attempts.seconds_left(time.monotonic())
                response = await method(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                await asyncio.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return response

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
        await self._execute(self._add_labels, request, self._attempts(None))
