"""One call for predictions: which requests it takes, and what their responses are. No I/O."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from gnomon.client.inference.codec import decode, encode, encode_columns, read_outputs
from gnomon.client.inference.tables import agree, find_columns, needs_signature, read_answers
from gnomon.proto.private import inference_messages
from gnomon.runtime.errors import NotReady

__all__ = ["PredictionCall"]


class PredictionCall:
    """Rows or a table on their way to a server and back.

    First come the requests of `requests`, each answered with `put`; then `request`, whose response
    `result` reads.
    """

    def __init__(
        self,
        model: str,
        rows: Any,
        *,
        request_id: str | None = None,
        key: str | None = None,
        at: datetime | float | None = None,
    ) -> None:
        self._model = model
        self._rows = rows
        self._options: dict[str, Any] = {"request_id": request_id, "key": key, "at": at}
        self._described: list[Any] = []
        self._versions: frozenset[str] = frozenset()
        self._is_table = False

    def requests(self) -> Iterator[Any]:
        """Yield requests for metadata, if only the model's signature says what the rows are."""
        if not needs_signature(self._rows):
            return
        message = inference_messages()["ModelMetadataRequest"]
        yield message(name=self._model)
        if isinstance(self._rows, Mapping):
            return
        for version in self._described[0].versions[1:]:
            yield message(name=self._model, version=version)

    def put(self, described: Any) -> None:
        """Take the response to a request for metadata."""
        self._described.append(described)

    def request(self) -> Any:
        """Return the request for predictions.

        Raises:
            InvalidInput: the rows cannot be read, or the model's versions disagree about them.
        """
        signature = agree(self._described) if self._described else None
        columns = find_columns(self._rows, signature)
        if columns is None:
            return encode(self._model, self._rows, **self._options)
        self._is_table = True
        if signature is not None and not isinstance(self._rows, Mapping):
            self._versions = signature.versions
        return encode_columns(self._model, columns, **self._options)

    def result(self, response: Any) -> Any:
        """Return the answers of rows as a list, those of a table as a table.

        Raises:
            NotReady: a version answered that came into service during the call: its fields may be
                in another order.
            GnomonError: the response contradicts itself.
        """
        if not self._is_table:
            return decode(response)
        if self._versions and response.model_version not in self._versions:
            raise NotReady(
                f"version {response.model_version!r} of {self._model!r} came into service during "
                "the call, and its fields may be in another order; call again"
            )
        return read_answers(self._rows, response, read_outputs(response))
