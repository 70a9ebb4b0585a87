"""Clients of every make, each a function from an ask to an outcome; both are plain JSON.

An ask: `model`, `inputs` (`datatype`, `shape`, `data` by name) and, where wanted, `version`, `id`,
`outputs`, `parameters`. An outcome: `ok`, and what was answered, or `code` (gRPC's status by name,
or HTTP's number as text) and `message`.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime import raw_tensors

Ask = dict[str, Any]
Outcome = dict[str, Any]
Client = Callable[[str, Ask], Outcome]

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


_HTTP = httpx.Client(timeout=20, trust_env=False)


class Worker:
    """tritonclient in a process of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("triton_worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, way: str, address: str, ask: Ask) -> Outcome:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            line = json.dumps({**ask, "way": way, "address": address})
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            found: Outcome = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=20)


def message_of(ask: Ask, raw: bool) -> oip.ModelInferRequest:
    """Return an ask as a message, with raw or typed contents."""
    message = oip.ModelInferRequest(
        model_name=ask["model"], model_version=ask.get("version", ""), id=ask.get("id", "")
    )
    for name, given in ask["inputs"].items():
        tensor = message.inputs.add(name=name, datatype=given["datatype"], shape=given["shape"])
        if raw:
            message.raw_input_contents.append(raw_of(given["datatype"], given["data"]))
        else:
            texts = given["datatype"] == "BYTES"
            data = [one.encode() for one in given["data"]] if texts else given["data"]
            kind = CONTENTS.get(given["datatype"], "fp32_contents")
            getattr(tensor.contents, kind).extend(data)
    for name in ask.get("outputs", ()):
        message.outputs.add(name=name)
    for name, value in (ask.get("parameters") or {}).items():
        kinds = {bool: "bool_param", int: "int64_param", float: "double_param"}
        setattr(message.parameters[name], kinds.get(type(value), "string_param"), value)
    return message


def raw_of(datatype: str, data: list[Any]) -> bytes:
    if datatype == "BYTES":
        return raw_tensors.pack("BYTES", np.array([*data, None], object)[:-1])
    if datatype == "BF16":
        return (np.array(data, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return raw_tensors.pack(datatype, np.array(data))


def grpcio_typed(address: str, ask: Ask) -> Outcome:
    return _grpcio(address, message_of(ask, raw=False))


def grpcio_raw(address: str, ask: Ask) -> Outcome:
    return _grpcio(address, message_of(ask, raw=True))


def _grpcio(address: str, message: oip.ModelInferRequest) -> Outcome:
    with grpc.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            answer = stub.ModelInfer(message, timeout=20)
        except grpc.RpcError as refused:
            error: Any = refused
            trailing = {name: str(value) for name, value in error.trailing_metadata()}
            return {
                "ok": False,
                "code": error.code().name,
                "message": error.details(),
                "gnomon_code": trailing.get("gnomon-code"),
            }
    return {
        "ok": True,
        "model": answer.model_name,
        "version": answer.model_version,
        "id": answer.id,
        "outputs": {
            one.name: {
                "datatype": one.datatype,
                "shape": list(one.shape),
                "data": _values(one, answer.raw_output_contents, number),
            }
            for number, one in enumerate(answer.outputs)
        },
        "parameters": {name: one.string_param for name, one in answer.parameters.items()},
    }


def _values(tensor: Any, raw: Any, number: int) -> list[Any]:
    if raw:
        found: list[Any] = raw_tensors.unpack(tensor.datatype, raw[number]).tolist()
        return found
    values = list(getattr(tensor.contents, CONTENTS[tensor.datatype]))
    return [one.decode() for one in values] if tensor.datatype == "BYTES" else values


def _document(ask: Ask) -> dict[str, Any]:
    inputs = [{"name": name, **given} for name, given in ask["inputs"].items()]
    document: dict[str, Any] = {"inputs": inputs, "id": ask.get("id", "")}
    if ask.get("outputs"):
        document["outputs"] = [{"name": name} for name in ask["outputs"]]
    return document | {"parameters": ask.get("parameters") or {}}


def _path(ask: Ask) -> str:
    version = f"/versions/{ask['version']}" if ask.get("version") else ""
    return f"/v2/models/{ask['model']}{version}/infer"


def json_httpx(address: str, ask: Ask) -> Outcome:
    answer = _HTTP.post(
        f"http://{address}{_path(ask)}",
        content=json.dumps(_document(ask)).encode(),
    )
    return _read(answer.status_code, answer.json())


def json_curl(address: str, ask: Ask) -> Outcome:
    done = subprocess.run(
        [
            *("curl", "-sS", "--noproxy", "*", "--compressed", "--data-binary", "@-"),
            *("-w", "\n%{http_code}", f"http://{address}{_path(ask)}"),
        ],
        input=json.dumps(_document(ask)),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    body, _, status = done.stdout.rpartition("\n")
    return _read(int(status), json.loads(body))


def _read(status: int, document: Mapping[str, Any]) -> Outcome:
    if status != 200:
        return {
            "ok": False,
            "code": str(status),
            "message": document["error"],
            "gnomon_code": document["code"],
        }
    outputs = {
        one["name"]: {k: v for k, v in one.items() if k != "name"} for one in document["outputs"]
    }
    return {
        "ok": True,
        "model": document["model_name"],
        "version": document["model_version"],
        "id": document["id"],
        "outputs": outputs,
        "parameters": document["parameters"],
    }


#: Clients that live in this process, by name; those of `triton_worker` are the others.
HERE: Mapping[str, Client] = {
    "grpcio_typed": grpcio_typed,
    "grpcio_raw": grpcio_raw,
    "json_httpx": json_httpx,
    "json_curl": json_curl,
}
GRPC_CLIENTS = (
    *("grpc_sync", "grpc_aio", "grpc_stream", "grpc_stream_aio"),
    *("grpcio_typed", "grpcio_raw"),
)
REST_CLIENTS = ("http_sync", "http_aio", "json_httpx", "json_curl")


def why_not(client: str) -> str | None:
    """Return why a client cannot be used here, or None."""
    if client == "json_curl" and shutil.which("curl") is None:
        return "curl is not installed"
    return None
