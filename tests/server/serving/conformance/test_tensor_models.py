"""A bare file of tensors and texts, asked through every frontend: exact answers or refusals."""

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper

from gnomon.client import Client
from gnomon.runtime.errors import InvalidInput
from gnomon.runtime.raw_models.raw_model import write_raw_model
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House

LARGE = 2**60 + 1
#: As float64 it would be another number.
NATURAL = 2**63 + 1
ROW = {"whole": [[1, 2, 3], [4, 5, LARGE]], "text": ["ü", ""], "natural": [1, NATURAL]}


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tensors")
    kinds = {"whole": (TensorProto.INT64, [2, 3]), "text": (TensorProto.STRING, [2])}
    kinds["natural"] = (TensorProto.UINT64, [2])
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"same_{name}"]) for name in kinds],
        "same",
        [helper.make_tensor_value_info(name, *one) for name, one in kinds.items()],
        [helper.make_tensor_value_info(f"same_{name}", *one) for name, one in kinds.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "same.onnx").write_bytes(model.SerializeToString())
    house = House([write_raw_model(folder / "same.onnx", folder / "package", "same", "1")])
    yield house
    house.close()


@pytest.mark.parametrize("frontend", GRPC_FRONTENDS)
def test_grpc(tensors: House, frontend: str) -> None:
    columns = {
        "whole": np.array([ROW["whole"]] * 2, np.int64),
        "text": np.array([ROW["text"]] * 2, object),
        "natural": np.array([ROW["natural"]] * 2, np.uint64),
    }
    bad = columns | {"whole": columns["whole"][:, :1]}
    with Client(tensors.address(frontend)) as client:
        answers = client.predict("same", columns)
        with pytest.raises(InvalidInput, match=r"'whole' is of shape \[2, 1, 3\]; right would be"):
            client.predict("same", bad)
    assert answers["same_whole"].tolist() == columns["whole"].tolist()
    assert answers["same_text"].tolist() == columns["text"].tolist()
    assert answers["same_natural"].tolist() == columns["natural"].tolist()


def post(house: House, path: str, body: Any) -> Any:
    url = f"http://{house.address('rest')}{path}"
    return httpx.post(url, json=body, timeout=20, trust_env=False).json()


def test_rows_over_rest(tensors: House) -> None:
    path = "/v1/models/same:predict"
    found = post(tensors, path, {"instances": [ROW, ROW]})
    expected = {f"same_{name}": value for name, value in ROW.items()}
    assert found["predictions"] == [expected, expected]
    bad = {**ROW, "whole": [[1, 2, 3]]}
    found = post(tensors, path, {"instances": [ROW, bad], "partial": True})
    assert found["predictions"] == [expected, None]
    assert "right would be INT64 of shape (2, 3)" in found["refused"][0]["expected"]
    assert post(tensors, path, {"instances": [bad]})["code"] == "invalid_input"


def test_tensors_over_rest(tensors: House) -> None:
    inputs = [
        {"name": "whole", "datatype": "INT64", "shape": [1, 2, 3], "data": ROW["whole"]},
        {"name": "text", "datatype": "BYTES", "shape": [1, 2], "data": ROW["text"]},
        {"name": "natural", "datatype": "UINT64", "shape": [1, 2], "data": ROW["natural"]},
    ]
    whole, text, natural = post(tensors, "/v2/models/same/infer", {"inputs": inputs})["outputs"]
    assert (whole["datatype"], whole["shape"]) == ("INT64", [1, 2, 3])
    assert whole["data"] == [1, 2, 3, 4, 5, LARGE]
    assert (text["shape"], text["data"]) == ([1, 2], ROW["text"])
    assert natural["data"] == ROW["natural"]


def test_the_signature_and_the_description_have_the_tensors(tensors: House) -> None:
    base = f"http://{tensors.address('rest')}"
    signature = httpx.get(f"{base}/v2/models/same", trust_env=False).json()
    assert signature["inputs"][0] == {"name": "whole", "datatype": "INT64", "shape": [-1, 2, 3]}
    schemas = httpx.get(f"{base}/openapi.json", trust_env=False).json()["components"]["schemas"]
    whole = schemas["same.row"]["properties"]["whole"]
    assert (whole["minItems"], whole["items"]["items"]) == (2, {"type": "integer"})
