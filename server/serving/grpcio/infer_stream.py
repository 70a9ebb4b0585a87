"""Streams of predictions at the grpcio frontend: one request after the other, answered in order."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.errors import NotReady
from gnomon.server.serving.admission.authentication import Caller
from gnomon.server.serving.methods import decode
from gnomon.server.serving.stream_messages import answered, refused

Identify = Callable[[Any], Caller]
Infer = Callable[[Caller, oip.ModelInferRequest, int], Awaitable[oip.ModelInferResponse]]


class InferStream:
    """Serves streams; `identify` returns the caller, `infer` answers one request."""

    def __init__(self, identify: Identify, infer: Infer) -> None:
        self._identify = identify
        self._infer = infer
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End each stream once its current request is answered."""
        self._closing.set()

    async def serve(self, _requests: Any, context: Any) -> None:
        """Answer a stream until the client ends it or the frontend closes.

        Raises:
            Unauthenticated: the key is missing, unknown, or was revoked meanwhile.
            NotReady: the frontend closes.
        """
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            self._identify(context)
            while (data := await self._next(context, closing)) is not grpc.aio.EOF:
                # A key may be revoked while a stream is open.
                caller = self._identify(context)
                await context.write(await self._answer(caller, data))
        finally:
            closing.cancel()

    async def _next(self, context: Any, closing: "asyncio.Task[Any]") -> Any:
        """Return the next message."""
        reading = asyncio.ensure_future(context.read())
        await asyncio.wait((reading, closing), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            reading.cancel()
            raise NotReady("the server is leaving; open the stream again elsewhere")
        return reading.result()

    async def _answer(self, caller: Caller, data: bytes) -> bytes:
        request_id = ""
        try:
            request = decode(oip.ModelInferRequest, data)
            request_id = request.id
            return answered(await self._infer(caller, request, len(data)))
        except Exception as error:
            return refused(request_id, error)
