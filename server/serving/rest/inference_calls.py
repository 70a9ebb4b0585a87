"""The calls of the REST frontend: the Open Inference Protocol, and rows as JSON objects."""

import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request
from google.protobuf.json_format import MessageToDict
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.decoding import UNDECODABLE, check_unique_names
from gnomon.runtime.errors import InvalidInput, NotReady
from gnomon.runtime.runtime import Runtime
from gnomon.server.rest.problems import problem_of
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.admitted_call import AdmittedCall
from gnomon.server.serving.admission.tracing import PARENT_HEADER, STATE_HEADER
from gnomon.server.serving.compression import pack, unpack
from gnomon.server.serving.executor_selector import ExecutorSelector
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.methods import digest_of
from gnomon.server.serving.parameters import check_id, read_time
from gnomon.server.serving.rest.json_tensors import (
    LENGTH_HEADER,
    RestRequest,
    read_request,
    write_response,
)
from gnomon.server.serving.rest.rows import predict_rows

PREDICT_PATH = "/v1/models/{model}:predict"
INFER_PATH = "/v2/models/{model}/infer"
_JSON = "application/json"
_BINARY = "application/octet-stream"

_Wanted = TypeVar("_Wanted")


class _ModelName(Convertor[str]):
    """A model's name in a path: no slash and no colon."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        """Return the name."""
        return value

    def to_string(self, value: str) -> str:
        """Return the name."""
        return value


register_url_convertor("model_name", _ModelName())


class _RowsBody(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[dict[str, Any]]
    id: str = ""
    key: str | None = None
    at: str | float | None = None
    partial: bool = False


class InferenceCalls:
    """Answers the calls of one frontend; a request may have `message_bytes`, packed or not."""

    def __init__(
        self,
        handler: Handler,
        runtime: Runtime,
        admission: Admission,
        executor: ExecutorSelector,
        message_bytes: int,
    ) -> None:
        self._message_bytes = message_bytes
        self._handler = handler
        self._runtime = runtime
        self._admission = admission
        self._executor = executor

    def server_metadata(self) -> dict[str, Any]:
        """Return the server's name, version and extensions."""
        found = self._handler.server_metadata()
        extensions = [*found.extensions, "binary_tensor_data"]
        return {"name": found.name, "version": found.version, "extensions": extensions}

    def server_ready(self) -> Response:
        """Return 200 if requests should be sent here, else 503."""
        return _state(self._handler.server_ready(), "the server")

    def model_metadata(self, model: str, version: str = "") -> dict[str, Any]:
        """Return what a model takes and gives."""
        request = oip.ModelMetadataRequest(name=model, version=version)
        found: dict[str, Any] = MessageToDict(
            self._handler.model_metadata(request), preserving_proto_field_name=True
        )
        for tensor in (*found.get("inputs", ()), *found.get("outputs", ())):
            # Proto JSON writes 64-bit integers as texts.
            tensor["shape"] = [int(length) for length in tensor["shape"]]
        return found

    def model_ready(self, model: str, version: str = "") -> Response:
        """Return 200 if a model takes requests; 503 if not now, 404 if it is unknown."""
        request = oip.ModelReadyRequest(name=model, version=version)
        is_ready = self._handler.known_model_ready(request)
        return _state(is_ready, f"model {model[:80]!r}")

    def model_ready_v1(self, model: str) -> Response:
        """Return 200 if a model takes requests; 503 if not now, 404 if it is unknown."""
        return self.model_ready(model)

    def models(self) -> dict[str, Any]:
        """Return the names of the models in service."""
        return {"models": sorted(self._runtime.routes)}

    async def infer(self, request: Request) -> Response:
        """Predict: tensors in, tensors out."""
        model = request.path_params["model"]
        version = request.path_params.get("version", "")
        length = request.headers.get(LENGTH_HEADER)

        def read(data: bytes, call: AdmittedCall) -> RestRequest:
            wanted = read_request(model, version, data, length)
            call.request_id = wanted.message.id
            return wanted

        def answer(wanted: RestRequest, call: AdmittedCall, came_ns: int) -> Response:
            found = self._handler.infer(wanted.message, came_ns)
            call.answered(found.model_version, digest_of(found))
            call.request_id = found.id
            body, json_length = write_response(wanted, found)
            if json_length is None:
                return Response(body, media_type=_JSON)
            return Response(body, headers={LENGTH_HEADER: str(json_length)}, media_type=_BINARY)

        return await self._answer(request, INFER_PATH, model, read, answer)

    async def predict(self, request: Request) -> Response:
        """Predict: rows in, rows out."""
        model = request.path_params["model"]

        def read(data: bytes, call: AdmittedCall) -> _RowsBody:
            body = _read_rows(data)
            call.request_id = body.id or secrets.token_hex(8)
            return body

        def answer(body: _RowsBody, call: AdmittedCall, _came_ns: int) -> Response:
            found = predict_rows(
                self._runtime,
                model,
                body.instances,
                request_id=call.request_id,
                key=body.key,
                at=None if body.at is None else read_time(body.at),
                partial=body.partial,
            )
            call.answered(found.version, found.digest)
            return Response(msgspec.json.encode(found), media_type=_JSON)

        return await self._answer(request, PREDICT_PATH, model, read, answer)

    async def _answer(
        self,
        request: Request,
        path: str,
        model: str,
        read: Callable[[bytes, AdmittedCall], _Wanted],
        answer: Callable[[_Wanted, AdmittedCall, int], Response],
    ) -> Response:
        """Read a call, admit it, and answer it on the event loop or a thread."""
        headers = request.headers
        call = AdmittedCall(
            "rest",
            model,
            operation=f"POST {path}",
            traceparent=headers.get(PARENT_HEADER, ""),
            tracestate=headers.get(STATE_HEADER, ""),
        )
        encoding = headers.get("content-encoding", "").strip().lower()
        try:
            # Before it takes a place among those under way: a body may come as slowly as it likes.
            data = await request.body()
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        came_ns = time.perf_counter_ns()

        def respond() -> Response:
            try:
                wanted = read(unpack(encoding, data, self._message_bytes), call)
            except InvalidInput:
                self._handler.count_unread(model)
                raise
            call.read_ns = time.perf_counter_ns()
            response = answer(wanted, call, came_ns)
            return _packed(response, headers.get("accept-encoding", ""))

        with self._admission.admit(request.state.caller, call):
            # What is packed may be many times as large.
            size = self._message_bytes if encoding else len(data)
            return await self._executor.run(model, size, respond)


def calls_router(calls: InferenceCalls) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    # First and without FastAPI's own reading of requests, which costs more than a small model.
    # `add_models` describes them, with the fields of the models in service.
    for path, predict in (
        (PREDICT_PATH, calls.predict),
        (INFER_PATH, calls.infer),
        ("/v2/models/{model}/versions/{version}/infer", calls.infer),
    ):
        router.add_route(path, predict, methods=["POST"], include_in_schema=False)
    for path, answer in (
        ("/v2", calls.server_metadata),
        ("/v2/health/live", _live),
        ("/v2/health/ready", calls.server_ready),
        ("/v2/models/{model}", calls.model_metadata),
        ("/v2/models/{model}/ready", calls.model_ready),
        ("/v2/models/{model}/versions/{version}", calls.model_metadata),
        ("/v2/models/{model}/versions/{version}/ready", calls.model_ready),
        ("/v1/models", calls.models),
        # Without a colon, so that a GET of a call's path is a wrong method, not a model's name.
        ("/v1/models/{model:model_name}", calls.model_ready_v1),
        # What clients of KServe's V1 protocol ask first.
        ("/", _alive),
    ):
        router.add_api_route(path, answer, response_model=None, tags=["models"])
    return router


def _live() -> Response:
    """Return 200: the server is there."""
    return JSONResponse({"live": True})


def _alive() -> Response:
    """Return 200: the server is there."""
    return JSONResponse({"status": "alive"})


def _state(ready: bool, what: str) -> Response:
    if ready:
        return JSONResponse({"ready": True})
    return problem_of(NotReady(f"{what} is not in service here"))


def _packed(response: Response, accepted: str) -> Response:
    """Return the answer, compressed if the client accepts that and it is long enough."""
    encoding, body = pack(accepted, bytes(response.body))
    if encoding:
        response.body = body
        response.headers["content-length"] = str(len(body))
        response.headers["content-encoding"] = encoding
        response.headers["vary"] = "accept-encoding"
    return response


def _read_rows(data: bytes) -> _RowsBody:
    try:
        body = msgspec.json.decode(data, type=_RowsBody)
    except UNDECODABLE as error:
        raise InvalidInput(
            f'the body should be {{"instances": [{{…}}, …]}}, an object a row: {error}'
        ) from error
    check_unique_names(data, _count_members(body), (body.id, body.key, body.at))
    check_id(body.id)
    if body.at is not None:
        read_time(body.at)
    return body


def _count_members(body: _RowsBody) -> int:
    """Return how many members the objects of a body have; those with a default may be missing."""
    given = (body.id != "", body.key is not None, body.at is not None, body.partial)
    return 1 + sum(given) + sum(map(len, body.instances))
