"""A route of trees is answered without the interpreter, as the handler answers it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.raw_models.raw_model import write_raw_model
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.eligible import native_routes
from gnomon.server.serving.native.route_table import NativeRouteTable
from tests.support.trees import classifier, stump

MODELS = {
    "classifier": (classifier, ("column_0", "column_1", "column_2")),
    "stump": (stump, ("input",)),
}


@pytest.mark.parametrize("kind", MODELS)
def test_the_loop_and_the_handler_answer_alike(tmp_path: Path, kind: str) -> None:
    writer, names = MODELS[kind]
    path = tmp_path / "model.trees"
    path.write_bytes(writer().to_bytes())
    package = write_raw_model(path, tmp_path / "package", "found", "1")
    runtime = Runtime(MemorySink())
    runtime.load(package)
    runtime.apply([single("found", package.digest)])
    handler, table = Handler(runtime), NativeRouteTable(1.0)
    runtime.watch(lambda served: table.publish(native_routes(served, Clients())))
    try:
        for rows in (1, 2, 17, 64):
            message = request(names, rows)
            answer = table.try_message(message.SerializeToString())
            assert answer is not None, dict(table.reasons)
            assert oip.ModelInferResponse.FromString(answer) == handler.infer(message)
        runtime.sleep({"found"})
        assert table.try_message(message.SerializeToString()) is None
    finally:
        runtime.close()


def request(names: tuple[str, ...], rows: int) -> Any:
    message = oip.ModelInferRequest(model_name="found", id="q")
    values = np.random.default_rng(rows).standard_normal((rows, len(names)))
    for place, name in enumerate(names):
        message.inputs.add(name=name, datatype="FP64", shape=[rows, 1])
        message.raw_input_contents.append(values[:, place].tobytes())
    return message
