"""Versions that answer who asks for them by name, and fallbacks that say who they are."""

from typing import Any

import grpc
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.routing.fallbacks import ConstantFallback
from gnomon.runtime.routing.routes import Route, Target
from tests.support.packages import linear_onnx, make_package


def request(version: str = "", distance: float = 800.0) -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="eta", model_version=version)
    for name, number in (("distance", distance), ("wind", 10.0)):
        tensor = message.inputs.add(name=name, datatype="FP64", shape=[1, 1])
        tensor.contents.fp64_contents.append(number)
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(b"UA")
    return message


@pytest.fixture
def two(served: Any, tmp_path: Any) -> Any:
    """Serve version 1 by default, and 2 to who asks for it; a constant stands behind."""
    model = linear_onnx([0.25, 0.0, 0.0, 0.0, 0.0], 0.0)
    second = make_package(tmp_path / "eta-2", None, version="2", model=model)
    (first,) = served.runtime.models
    served.runtime.load(second)
    served.runtime.apply(
        [
            Route(
                "eta",
                (Target(first, 1000),),
                fallbacks=(ConstantFallback({"air_time": 60.0}),),
                versions=(second.digest,),
            )
        ]
    )
    return served


def test_a_version_is_requested_by_name(two: Any, rest: Any) -> None:
    answers = {version: two.infer(request(version)) for version in ("", "1", "2")}
    assert {asked: one.model_version for asked, one in answers.items()} == {
        "": "1",
        "1": "1",
        "2": "2",
    }
    assert answers["2"].outputs[0].contents.fp32_contents[0] == 200.0
    with pytest.raises(grpc.RpcError, match="in service as version 1 and 2, not as '3'"):
        two.infer(request("3"))
    assert two.stub.ModelReady(oip.ModelReadyRequest(name="eta", version="2"), timeout=10).ready
    metadata = two.stub.ModelMetadata(oip.ModelMetadataRequest(name="eta"), timeout=10)
    assert list(metadata.versions) == ["1", "2"]
    assert rest.get("/v2/models/eta/versions/2/ready").status_code == 200


def test_an_answer_says_which_fallback_gave_it(two: Any, rest: Any) -> None:
    answer = two.infer(request(distance=9_000.0))
    assert answer.outputs[0].contents.fp32_contents[0] == 60.0
    assert answer.parameters["gnomon_fallback_by"].string_param == "constant"
    assert "breaks its contract" in answer.parameters["gnomon_fallback"].string_param
    row = {"distance": 9_000.0, "wind": 10.0, "carrier": "UA"}
    document = rest.post("/v1/models/eta:predict", json={"instances": [row]}).json()
    assert document["predictions"] == [{"air_time": 60.0}]
    assert document["fallback_by"] == "constant"
    assert "breaks its contract" in document["fallback"]
