"""What the honest server answers: the Open Inference Protocol for a model of one number."""

import json

from gnomon.proto import inference_pb2 as oip

__all__ = ["MODEL", "answers"]

MODEL = "honest"
_SERVICE = "/inference.GRPCInferenceService/"

#: A path, the body, whether it is gRPC's, and whether it comes by the law of service times.
Answer = tuple[bytes, bytes, bool, bool]


def answers() -> list[Answer]:
    """Return the answers by path; the last is for any other path, and comes by the law."""
    tensors = [{"name": "y", "datatype": "FP64", "shape": [1, 1], "data": [1.0]}]
    infer = {"model_name": MODEL, "model_version": "1", "outputs": tensors}
    inputs = [{"name": "x", "datatype": "FP64", "shape": [-1, 1]}]
    outputs = [{"name": "y", "datatype": "FP64", "shape": [-1, 1]}]
    metadata = {"name": MODEL, "versions": ["1"], "platform": "gnomon_honest"}
    model = f"/v2/models/{MODEL}"
    rest = {
        "/v2": {"name": "gnomon-honest-server", "version": "1", "extensions": []},
        "/v2/health/live": {"live": True},
        "/v2/health/ready": {"ready": True},
        model: {**metadata, "inputs": inputs, "outputs": outputs},
        f"{model}/ready": {"name": MODEL, "ready": True},
    }
    found = [
        (path.encode(), json.dumps(body).encode(), False, False) for path, body in rest.items()
    ]
    return [
        (f"{_SERVICE}ModelInfer".encode(), _framed(_infer()), True, True),
        *((f"{_SERVICE}{name}".encode(), _framed(body), True, False) for name, body in _calls()),
        (f"{model}/infer".encode(), json.dumps(infer).encode(), False, True),
        *found,
        (b"", b"{}", False, True),
    ]


def _framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def _infer() -> bytes:
    message = oip.ModelInferResponse(model_name=MODEL, model_version="1")
    output = message.outputs.add(name="y", datatype="FP64", shape=[1, 1])
    output.contents.fp64_contents.append(1.0)
    encoded: bytes = message.SerializeToString()
    return encoded


def _calls() -> list[tuple[str, bytes]]:
    metadata = oip.ModelMetadataResponse(name=MODEL, versions=["1"], platform="gnomon_honest")
    metadata.inputs.add(name="x", datatype="FP64", shape=[-1, 1])
    metadata.outputs.add(name="y", datatype="FP64", shape=[-1, 1])
    server = oip.ServerMetadataResponse(name="gnomon-honest-server", version="1")
    return [
        ("ServerLive", oip.ServerLiveResponse(live=True).SerializeToString()),
        ("ServerReady", oip.ServerReadyResponse(ready=True).SerializeToString()),
        ("ModelReady", oip.ModelReadyResponse(ready=True).SerializeToString()),
        ("ServerMetadata", server.SerializeToString()),
        ("ModelMetadata", metadata.SerializeToString()),
    ]
