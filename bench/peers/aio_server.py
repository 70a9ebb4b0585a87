"""A plain grpc.aio server for the bench's model: `python -m gnomon.bench.peers.aio_server MODEL`.

ONNX Runtime through its Python interface, protobuf's messages, neither contract nor window. It
prints its address and serves until it is killed.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc


class Service(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers one row of ten numbers."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run the model."""
        row = [tensor.contents.fp64_contents[0] for tensor in request.inputs]
        (score,) = self._session.run(["score"], {"features": np.array([row], dtype=np.float32)})
        response = oip.ModelInferResponse(
            model_name=request.model_name, model_version="1", id=request.id
        )
        output = response.outputs.add(name="score", datatype="FP32", shape=score.shape)
        output.contents.fp32_contents.extend(score.ravel().tolist())
        return response


async def serve(model: Path) -> None:
    """Serve until the process ends."""
    server = grpc.aio.server()
    add: Any = inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server
    add(Service(model), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
