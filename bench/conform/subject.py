"""The server under test: a model of it, a good request, and calls as the cases make them."""

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format

from gnomon.bench.conform.case import ConformanceCase, Expected, apply_edits
from gnomon.bench.conform.grpc_cases import CONTENTS
from gnomon.bench.load.model_client import SERVICE, ModelClient, ServedModel
from gnomon.bench.load.requests import encode_request, outputs_of
from gnomon.bench.load.rows import Row, make_rows
from gnomon.bench.load.target import LoadTarget, Protocol, TargetUnavailable
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime import raw_tensors
from gnomon.runtime.errors import ConfigurationError

__all__ = ["Reply", "Subject", "find_subject"]

SECONDS = 15.0
#: Rows that are tried, if none is given, until the server answers one.
ROWS = 32
#: Statuses of gRPC that blame the caller, or say what the server does not do.
_CALLERS = frozenset(
    ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED")
)


@dataclass(frozen=True)
class Reply:
    """An answer in the form of REST's documents, also if it came over gRPC.

    `document` is None if the body could not be read; `error` says what a refusal said.
    """

    status: str
    is_good: bool
    blames_caller: bool
    document: Any
    error: str | None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Subject:
    """What the cases are about: inputs and outputs are those of the metadata."""

    target: LoadTarget
    model: ServedModel
    version: str | None
    #: A good request: of gRPC with raw contents, and `typed` with typed ones.
    good: Mapping[str, Any]
    typed: Mapping[str, Any]
    has_number: bool

    def request_of(self, case: ConformanceCase) -> dict[str, Any] | None:
        """Return the document that a case sends; None if it sends bytes or nothing."""
        if case.edits is None:
            return None
        is_infer = case.call in ("ModelInfer", "typed") or case.call.startswith("POST ")
        good: Mapping[str, Any] = self.typed if case.call == "typed" else self.good
        changed = apply_edits(good if is_infer else {}, case.edits)
        return {name: self._fill(value) for name, value in changed.items()}

    def needs_version(self, case: ConformanceCase) -> bool:
        """Whether a case names the model's version."""
        texts = [case.call, *(str(one) for one in (case.edits or {}).values())]
        return any("{version}" in one for one in texts)

    def send(self, case: ConformanceCase) -> Reply | str:
        """Make the call of a case; return the reply, or why there was none."""
        document = self.request_of(case)
        if self.target.is_grpc:
            return self._send_grpc(case, document)
        verb, _, path = self._fill(case.call).partition(" ")
        body = case.body if document is None else json.dumps(document).encode()
        headers = {"content-type": "application/json"} if case.headers is None else case.headers
        return self._send_rest(verb, path, body, headers)

    def _fill(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return value.replace("{model}", self.model.name).replace("{version}", self.version or "")

    def _send_rest(
        self, verb: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Reply | str:
        connection = http.client.HTTPConnection(self.target.address, timeout=SECONDS)
        try:
            connection.request(verb, path, body, dict(headers))
            answer = connection.getresponse()
            data, kind = answer.read(), answer.headers.get("content-type", "")
        except (OSError, http.client.HTTPException) as error:
            return f"no answer: {type(error).__name__}: {error}"
        finally:
            connection.close()
        try:
            document = json.loads(data) if data else None
        except (ValueError, RecursionError):
            document = None
        said = document.get("error") if isinstance(document, dict) else None
        return Reply(
            status=str(answer.status),
            is_good=200 <= answer.status <= 299,
            blames_caller=400 <= answer.status <= 499,
            document=document,
            error=said if isinstance(said, str) else None,
            content_type=kind,
        )

    def _send_grpc(self, case: ConformanceCase, document: dict[str, Any] | None) -> Reply | str:
        method = "ModelInfer" if case.call == "typed" else case.call
        body = case.body
        if document is not None:
            request = json_format.ParseDict(document, getattr(oip, f"{method}Request")())
            body = request.SerializeToString()
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(self.target.address, options=options) as channel:
            call = channel.unary_unary(f"{SERVICE}/{method}")
            try:
                answer: bytes = call(body or b"", timeout=SECONDS)
            except grpc.RpcError as refused:
                error: Any = refused
                code = error.code().name
                if code in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"):
                    return f"no answer: {code}: {error.details()}"
                return Reply(code, False, code in _CALLERS, None, str(error.details()))
        return Reply("OK", True, False, self._read(method, answer), None)

    def _read(self, method: str, answer: bytes) -> Any:
        """Return an answer of gRPC as REST has it; None if it cannot be read."""
        try:
            message = getattr(oip, f"{method}Response").FromString(answer)
            document = json_format.MessageToDict(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            if method == "ModelInfer":
                values = outputs_of(self.target, answer)
                for one in document["outputs"]:
                    one["data"] = values[one["name"]]
        except Exception:
            return None
        for side in ("inputs", "outputs"):
            for one in document.get(side) or ():
                one["shape"] = [int(size) for size in one["shape"]]
        return document


def find_subject(target: LoadTarget, model: str, rows: list[Row] | None = None) -> Subject:
    """Read a model's metadata, and find a request that the server answers.

    Args:
        target: the server.
        model: its model.
        rows: to make the good request of; None: rows are made from the metadata.

    Raises:
        TargetUnavailable: the server does not answer, or not as the protocol says.
        ConfigurationError: it has no such model, or refuses all rows.
    """
    if target.protocol is Protocol.HTTP2:
        raise ConfigurationError("the suite speaks grpc:// and http://, not h2c://")
    refusal: ConfigurationError | None = None
    with ModelClient(target) as client:
        served = client.read_model(model)
        # Most cases change the first input; a number can be wrong in more ways.
        inputs = sorted(served.inputs, key=lambda one: one.datatype not in _NUMBERS)
        served = ServedModel(served.name, tuple(inputs), served.outputs, served.fields)
        for number, row in enumerate(rows or make_rows(served, ROWS, 1)):
            request = encode_request(target, served, row, number)
            try:
                client.infer(model, request)
            except ConfigurationError as error:
                refusal = error
                continue
            return _subject(target, served, _version(target, model), request)
    raise ConfigurationError(
        f"the server refuses all rows that were tried; give a good one with --rows. {refusal}"
    )


_NUMBERS = frozenset(("FP32", "FP64", *(f"{s}INT{b}" for s in ("", "U") for b in (8, 16, 32, 64))))


def _subject(target: LoadTarget, served: ServedModel, version: str | None, sent: bytes) -> Subject:
    has_number = bool(served.inputs) and served.inputs[0].datatype in _NUMBERS
    if not target.is_grpc:
        good = json.loads(sent)
        return Subject(target, served, version, good, good, has_number)
    message = oip.ModelInferRequest.FromString(sent)
    good = json_format.MessageToDict(message, preserving_proto_field_name=True)
    typed = {key: value for key, value in good.items() if key != "raw_input_contents"}
    typed["inputs"] = [
        {**one, "contents": _contents(one["datatype"], raw)}
        for one, raw in zip(good["inputs"], message.raw_input_contents, strict=True)
    ]
    return Subject(target, served, version, good, typed, has_number)


def _contents(datatype: str, raw: bytes) -> dict[str, Any]:
    values = raw_tensors.unpack(datatype, raw).tolist()
    if datatype == "BYTES":
        values = [base64.b64encode(one.encode()).decode() for one in values]
    return {CONTENTS.get(datatype, "fp32_contents"): values}


def _version(target: LoadTarget, model: str) -> str | None:
    """Return the first version that the metadata name; None if they name none."""
    case = ConformanceCase("", "", "ModelMetadata", Expected.ANSWERED, {"name": model})
    if not target.is_grpc:
        case = ConformanceCase("", "", f"GET /v2/models/{model}", Expected.ANSWERED)
    empty = Subject(target, ServedModel(model, (), ()), None, {}, {}, False)
    reply = empty.send(case)
    if isinstance(reply, str):
        raise TargetUnavailable(f"{target.address} gives {reply}")
    versions = reply.document.get("versions") if isinstance(reply.document, dict) else None
    return str(versions[0]) if versions else None
