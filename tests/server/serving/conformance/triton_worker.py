"""tritonclient in a process of its own: asks come as lines of JSON, outcomes go as lines of JSON.

It registers the protocol's messages under the same names as our stubs do, so it cannot live beside
them. Nothing of Gnomon is imported here: this is what a stranger's program would do.
"""

import asyncio
import json
import queue
import sys

import grpc
import ml_dtypes
import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.grpc.aio as triton_grpc_aio
import tritonclient.http as triton_http
import tritonclient.http.aio as triton_http_aio
from tritonclient.utils import InferenceServerException

KINDS = {"BOOL": bool, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
KINDS |= {f"INT{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)}
KINDS |= {f"UINT{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)}
KINDS |= {"BYTES": object, "BF16": ml_dtypes.bfloat16}

clients = {}
loop = asyncio.new_event_loop()


def client(kind, address):
    if (kind, address) not in clients:
        clients[kind, address] = kind.InferenceServerClient(address)
    return clients[kind, address]


async def aio_client(kind, address):
    return client(kind, address)


def tensors(module, ask):
    made = []
    for name, given in ask["inputs"].items():
        tensor = module.InferInput(name, given["shape"], given["datatype"])
        array = np.array(given["data"], KINDS[given["datatype"]]).reshape(given["shape"])
        if module is triton_http:
            tensor.set_data_from_numpy(array, binary_data=ask.get("raw", True))
        else:
            tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def options(module, ask):
    wanted = [module.InferRequestedOutput(name) for name in ask.get("outputs", ())]
    parameters = dict(ask.get("parameters") or {})
    # Two are arguments of their own here.
    own = {name: parameters.pop(name) for name in ("timeout", "priority") if name in parameters}
    return own | {
        "model_version": ask.get("version", ""),
        "request_id": ask.get("id", ""),
        "parameters": parameters or None,
        "outputs": wanted or None,
    }


def grpc_outcome(result):
    message = result.get_response()
    return {
        "ok": True,
        "model": message.model_name,
        "version": message.model_version,
        "id": message.id,
        "outputs": {
            one.name: shown(one.datatype, one.shape, result.as_numpy(one.name))
            for one in message.outputs
        },
        "parameters": {
            name: getattr(one, one.WhichOneof("parameter_choice"))
            for name, one in message.parameters.items()
        },
    }


def http_outcome(result):
    document = result.get_response()
    return {
        "ok": True,
        "model": document["model_name"],
        "version": document["model_version"],
        "id": document["id"],
        "outputs": {
            one["name"]: shown(one["datatype"], one["shape"], result.as_numpy(one["name"]))
            for one in document["outputs"]
        },
        "parameters": document["parameters"],
    }


def shown(datatype, shape, array):
    values = array.ravel().tolist()
    data = [one.decode() if isinstance(one, bytes) else one for one in values]
    return {"datatype": datatype, "shape": list(shape), "data": data}


def grpc_sync(ask):
    made = client(triton_grpc, ask["address"])
    found = made.infer(ask["model"], tensors(triton_grpc, ask), **options(triton_grpc, ask))
    return grpc_outcome(found)


def grpc_aio(ask):
    async def run():
        made = await aio_client(triton_grpc_aio, ask["address"])
        return await made.infer(
            ask["model"], tensors(triton_grpc, ask), **options(triton_grpc, ask)
        )

    return grpc_outcome(loop.run_until_complete(run()))


def grpc_stream(ask):
    """One request in a stream of its own."""
    (outcome,) = streamed(ask["address"], [ask])
    return outcome


def streamed(address, asks):
    """Send requests in one stream; return their outcomes in the order in which they came."""
    answers = queue.Queue()
    made = triton_grpc.InferenceServerClient(address)
    made.start_stream(callback=lambda result, error: answers.put((result, error)))
    for ask in asks:
        made.async_stream_infer(
            ask["model"],
            tensors(triton_grpc, ask),
            enable_empty_final_response=ask.get("empty_final", False),
            **options(triton_grpc, ask),
        )
    found = []
    for _ in asks:
        result, error = answers.get(timeout=30)
        found.append(stream_error(error) if error else grpc_outcome(result))
    made.stop_stream()
    assert answers.empty()
    made.close()
    return found


def stream_error(error):
    return {"ok": False, "code": None, "message": error.message()}


def grpc_stream_aio(ask):
    async def run():
        async def requests():
            yield {
                "model_name": ask["model"],
                "inputs": tensors(triton_grpc, ask),
                **options(triton_grpc, ask),
            }

        made = await aio_client(triton_grpc_aio, ask["address"])
        found = [pair async for pair in made.stream_infer(requests())]
        ((result, error),) = found
        return stream_error(error) if error else grpc_outcome(result)

    return loop.run_until_complete(run())


def http_sync(ask):
    made = client(triton_http, ask["address"])
    packed = {
        name: ask["compression"]
        for name in ("request_compression_algorithm", "response_compression_algorithm")
        if "compression" in ask
    }
    found = made.infer(
        ask["model"], tensors(triton_http, ask), **options(triton_http, ask), **packed
    )
    return http_outcome(found)


def http_aio(ask):
    async def run():
        made = await aio_client(triton_http_aio, ask["address"])
        return await made.infer(
            ask["model"], tensors(triton_http, ask), **options(triton_http, ask)
        )

    return http_outcome(loop.run_until_complete(run()))


def call(ask):
    """Another call than infer, by the name that both clients give it; outcomes as JSON."""
    module = triton_grpc if ask["over"] == "grpc" else triton_http
    made = client(module, ask["address"])
    extra = {"as_json": True} if ask["over"] == "grpc" and ask.get("as_json", True) else {}
    found = getattr(made, ask["call"])(*ask.get("arguments", ()), **extra)
    return {"ok": True, "answer": found}


def as_text(value):
    return {"unexpected": repr(value)}


def stream(ask):
    return {"ok": True, "answers": streamed(ask["address"], ask["asks"])}


WAYS = {
    one.__name__: one
    for one in (
        *(grpc_sync, grpc_aio, grpc_stream, grpc_stream_aio),
        *(http_sync, http_aio, call, stream),
    )
}


def outcome(ask):
    try:
        return WAYS[ask["way"]](ask)
    except InferenceServerException as error:
        code = error.status() or ""
        return {
            "ok": False,
            "code": code.removeprefix("StatusCode."),
            "message": error.message(),
        }
    except grpc.RpcError as error:
        return {"ok": False, "code": error.code().name, "message": error.details()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(outcome(json.loads(line)), default=as_text), flush=True)
