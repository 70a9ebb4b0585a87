"""The client that blocks."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

import grpc

from gnomon.client.inference import channel
from gnomon.client.inference.codec import Answer, Row, decode, encode
from gnomon.client.inference.failures import error_of
from gnomon.client.inference.labels import encode_label
from gnomon.proto.private import inference_messages


class Client(channel.Connection):
    """Requests predictions from one server, over one connection that threads may share.

    The arguments are those of `gnomon.client.inference.channel.Connection`.

    with Client("127.0.0.1:8500") as client:
        (answer,) = client.predict("eta", {"distance": 1400, "carrier": "UA"})
        print(answer.outputs, answer.version)
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def predict(
        self,
        model: str,
        rows: Row | Sequence[Row],
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> list[Answer]:
        """Return one answer per row; one bad row fails the whole call.

        Args:
            model: the public model name.
            rows: one row or many: value by field; text for a category. None is missing.
                Texts, bools and vectors are missing in all rows of a call, or in none.
            request_id: joins later labels to the prediction; the server makes one if None.
            key: requests with the same key (a customer) are answered by the same version.
            at: the data's own time, epoch seconds or datetime; None: now.
            timeout_seconds: the longest that this call may take.

        Raises:
            InvalidInput: a row breaks the contract; `details` has an entry a violation.
            NotReady: the server was not reached, or gave no answer in time.
            GnomonError: any other error that the server answered with, by its class.
        """
        request = encode(model, rows, request_id=request_id, key=key, at=at)
        attempts = self._attempts(timeout_seconds)
        while True:
            try:
                timeout = attempts.seconds_left(time.monotonic())
                response = self._infer(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                time.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return decode(response)

    def label(
        self, model: str, request_id: str, value: float, at: datetime | float | None = None
    ) -> None:
        """Report the true value of a prediction, however late, to an agent at its socket.

        The agent keeps it until its hub has it. Servers take no labels: their hub does.

        Args:
            model: the public model name.
            request_id: of the prediction.
            value: the true value.
            at: when it became known, in the data's own time: epoch seconds or datetime; None: now.

        Raises:
            InvalidInput: a part is out of bounds.
            NotServed: no agent answers there.
            GnomonError: any other error that the agent answered with, by its class.
        """
        request = encode_label(model, request_id, value, at)
        attempts = self._attempts(None)
        while True:
            try:
                timeout = attempts.seconds_left(time.monotonic())
                self._add_labels(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                time.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return

    def is_ready(self, model: str, version: str = "") -> bool:
        """Return whether a model is in service; also False if the server cannot be reached."""
        request = inference_messages()["ModelReadyRequest"](name=model, version=version)
        call = self._method(channel.READY, "ModelReadyResponse")
        try:
            return bool(call(request, timeout=self._timeout_seconds, metadata=self._metadata).ready)
        except grpc.RpcError as error:
            failed: Any = error
            if failed.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return False
            raise error_of(self.address, error) from error
