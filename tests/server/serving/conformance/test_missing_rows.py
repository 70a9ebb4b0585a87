"""A value that one row lacks is missing in that row alone, whatever its kind and the frontend."""

from typing import Any

import httpx
import pytest

from gnomon.client import Client
from gnomon.runtime.errors import InvalidInput
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House

ROWS = {
    "eta": {"distance": 800.0, "wind": 10.0, "carrier": "UA"},
    "kinds": {"number": 1.5, "count": 4, "flag": True, "place": [1.0, 2.0, 3.0]},
}
DATATYPES = {"carrier": "BYTES", "count": "INT64", "flag": "BOOL", "place": "FP32"}
FIELDS = [("eta", "carrier"), ("kinds", "count"), ("kinds", "flag"), ("kinds", "place")]


@pytest.mark.parametrize(("model", "field"), FIELDS)
@pytest.mark.parametrize("frontend", GRPC_FRONTENDS)
def test_grpc(house: House, frontend: str, model: str, field: str) -> None:
    row = ROWS[model]
    with Client(house.address(frontend)) as client, pytest.raises(InvalidInput) as caught:
        client.predict(model, [row, {**row, field: None}, row])
    (detail,) = caught.value.details
    assert (detail["row"], detail["field"], detail["rule"]) == (1, field, "null")


@pytest.mark.parametrize(("model", "field"), FIELDS[:3])
@pytest.mark.parametrize("is_null", [True, False])
def test_rest(house: House, model: str, field: str, is_null: bool) -> None:
    inputs: list[dict[str, Any]] = []
    for name, value in ROWS[model].items():
        tail = [len(value)] if isinstance(value, list) else [1]
        data, parameters = [value] * 3, {}
        if name == field and is_null:
            data[1] = None
        elif name == field:
            parameters = {"missing": "[1]"}
        datatype = DATATYPES.get(name, "FP64")
        inputs.append(
            {
                "name": name,
                "datatype": datatype,
                "shape": [3, *tail],
                "data": data,
                "parameters": parameters,
            }
        )
    answer = httpx.post(
        f"http://{house.address('rest')}/v2/models/{model}/infer",
        json={"inputs": inputs},
        timeout=20,
        trust_env=False,
    ).json()
    (detail,) = answer["details"]
    assert (detail["row"], detail["field"], detail["rule"]) == (1, field, "null")
