"""The client that blocks."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self, overload

import grpc

from gnomon.client.inference import channel
from gnomon.client.inference.codec import Answer, Row
from gnomon.client.inference.failures import error_of
from gnomon.client.inference.labels import encode_label
from gnomon.client.inference.prediction_call import PredictionCall
from gnomon.client.inference.retries import Attempts
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

    @overload
    def predict(
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
    def predict(
        self,
        model: str,
        rows: Any,
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> Any: ...

    def predict(
        self,
        model: str,
        rows: Any,
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
        timeout_seconds: float | None = None,
    ) -> Any:
        """Predict one row, a list of rows, or the rows of a table.

        One row or a list gives a list of one `Answer` a row; one bad row fails the call. A table
        gives a table of its kind with its index, in which bad rows are marked: a column for each
        output, `gnomon_version`, `gnomon_fallback` (why a fallback answered) and `gnomon_refused`
        (why the row has no answer, and NaN or null as its outputs).

        Args:
            model: the public model name.
            rows: value by field, text for a category, None is missing; a list of such rows; a
                pandas or polars data frame, a pyarrow table or record batch, a NumPy array whose
                columns are the fields in the contract's order, or a dict of NumPy arrays.
            request_id: joins later labels to the prediction; the server makes one if None.
            key: requests with the same key (a customer) are answered by the same version.
            at: the data's own time, epoch seconds or datetime; None: now.
            timeout_seconds: the longest that this call may take.

        Raises:
            InvalidInput: a row breaks the contract, with an entry of `details` a violation; or
                what is given is neither rows nor a table.
            NotReady: the server was not reached, or gave no answer in time.
            GnomonError: any other error that the server answered with, by its class.
        """
        attempts = self._attempts(timeout_seconds)
        call = PredictionCall(model, rows, request_id=request_id, key=key, at=at)
        for request in call.requests():
            call.put(self._execute(self._describe, request, attempts))
        return call.result(self._execute(self._infer, call.request(), attempts))

    def _execute(self, method: Any, request: Any, attempts: Attempts) -> Any:
        """Return the response to a request, which is sent again as long as `attempts` allow."""
        while True:
            try:
                timeout = attempts.seconds_left(time.monotonic())
                response = method(request, timeout=timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                time.sleep(channel.pause_after(self.address, attempts, error))
            else:
                self._budget.refund()
                return response

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
        self._execute(self._add_labels, request, self._attempts(None))

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
