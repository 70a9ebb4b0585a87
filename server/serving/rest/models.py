"""Triton's calls about models over REST: configuration, statistics, what is in service."""

import asyncio
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from google.protobuf.json_format import MessageToDict
from starlette.responses import JSONResponse, Response

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.decoding import UNDECODABLE, check_unique_names
from gnomon.runtime.errors import InvalidInput, NotServed
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.methods import NO_MEMORY, NO_SETTINGS

#: Proto JSON writes 64-bit integers as texts; Triton's clients expect numbers.
_WHOLE = frozenset(
    ("shape", "dims", "count", "ns", "last_inference", "inference_count", "execution_count")
)


#: The body of the calls about the repository, which FastAPI does not read.
_CONTROL_CONTENT = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "parameters": {"type": "object"},
                    "ready": {"type": "boolean", "default": False},
                },
            }
        }
    }
}


class _ControlBody(msgspec.Struct):
    parameters: dict[str, Any] = {}
    ready: bool = False


class ModelCalls:
    """Answers for one handler."""

    def __init__(self, handler: Handler, admission: Admission) -> None:
        self._handler = handler
        self._admission = admission

    def config(self, model: str, version: str = "") -> dict[str, Any]:
        """Return what Triton's clients call a model's configuration."""
        request = oip.ModelConfigRequest(name=model, version=version)
        return document_of(self._handler.model_config(request).config)

    def statistics(self, model: str = "", version: str = "") -> dict[str, Any]:
        """Return what was counted for a model, or for all."""
        request = oip.ModelStatisticsRequest(name=model, version=version)
        return document_of(self._handler.model_statistics(request))

    async def index(self, request: Request) -> Response:
        """Return every model that is in service or could be."""
        body = await _body(request)
        found = self._handler.repository.index(oip.RepositoryIndexRequest(ready=body.ready))
        return JSONResponse(document_of(found)["models"])

    async def load(self, request: Request, model: str) -> Response:
        """Put a model in service."""
        message = oip.RepositoryModelLoadRequest(model_name=model)
        return await self._change(request, "RepositoryModelLoad", message)

    async def unload(self, request: Request, model: str) -> Response:
        """Take a model out of service."""
        message = oip.RepositoryModelUnloadRequest(model_name=model)
        return await self._change(request, "RepositoryModelUnload", message)

    async def _change(self, request: Request, what: str, message: Any) -> Response:
        self._admission.check_control(request.state.caller, what)
        for name in (await _body(request)).parameters:
            # Only the names matter: the repository rejects a client's own files.
            message.parameters[name].bool_param = True
        repository = self._handler.repository
        change = repository.load if what == "RepositoryModelLoad" else repository.unload
        await asyncio.to_thread(change, message)
        return JSONResponse({})


def models_router(handler: Handler, admission: Admission) -> APIRouter:
    """Return the routes."""
    calls = ModelCalls(handler, admission)
    router = APIRouter()
    for path, answer in (
        ("/v2/models/stats", calls.statistics),
        ("/v2/models/{model}/stats", calls.statistics),
        ("/v2/models/{model}/versions/{version}/stats", calls.statistics),
        ("/v2/models/{model}/config", calls.config),
        ("/v2/models/{model}/versions/{version}/config", calls.config),
    ):
        router.add_api_route(path, answer, response_model=None, tags=["models"])
    for path, change in (
        ("/v2/repository/index", calls.index),
        ("/v2/repository/models/{model}/load", calls.load),
        ("/v2/repository/models/{model}/unload", calls.unload),
    ):
        router.add_api_route(
            path,
            change,
            methods=["POST"],
            response_model=None,
            tags=["models"],
            openapi_extra={"requestBody": _CONTROL_CONTENT},
        )
    for kind in ("system", "cuda"):
        memory = f"/v2/{kind}sharedmemory"
        for region in ("", "/region/{region}"):
            router.add_route(f"{memory}{region}/status", _no_regions, methods=["GET"])
            router.add_route(f"{memory}{region}/unregister", _done, methods=["POST"])
            router.add_route(f"{memory}{region}/register", _no_memory, methods=["POST"])
    for path in ("/v2/trace/setting", "/v2/models/{model}/trace/setting", "/v2/logging"):
        router.add_route(path, _no_settings, methods=["GET", "POST"])
    return router


def document_of(message: Any) -> dict[str, Any]:
    """Return a message as a JSON document with all of its fields."""
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {name: _numbers(name, value) for name, value in found.items()}


def _numbers(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _numbers(inner, one) for inner, one in value.items()}
    if isinstance(value, list):
        return [_numbers(name, one) for one in value]
    return int(value) if name in _WHOLE else value


async def _body(request: Request) -> _ControlBody:
    data = await request.body()
    if not data.strip():
        return _ControlBody()
    try:
        body = msgspec.json.decode(data, type=_ControlBody)
    except UNDECODABLE as error:
        raise InvalidInput(
            f'the body should be empty or {{"parameters": {{…}}}}: {error}'
        ) from error
    check_unique_names(data, 1)
    return body


async def _no_regions(_request: Request) -> Response:
    return JSONResponse([])


async def _done(_request: Request) -> Response:
    return JSONResponse({})


async def _no_memory(_request: Request) -> Response:
    raise NotServed(NO_MEMORY)


async def _no_settings(_request: Request) -> Response:
    raise NotServed(NO_SETTINGS)
