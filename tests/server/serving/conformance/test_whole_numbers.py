"""Any whole number, by every way in: the model gets what was sent, or the request is refused."""

import json
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.client import Client
from gnomon.core.kinds import LARGEST_WHOLE
from gnomon.runtime.errors import GnomonError
from tests.server.serving.conformance.asking import HERE
from tests.server.serving.conformance.cases import wide
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House

EDGES = [
    sign * (2**power + step)
    for sign in (1, -1)
    for power in (31, 53, 54, 63, 64, 70)
    for step in (-2, -1, 0, 1)
]
NUMBERS = st.sampled_from(EDGES) | st.integers(-(2**70), 2**70)
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
REFUSED = ("overflow", "range", "type")

#: Takes the frontend's address, a number and the number of rows; gives the numbers that came back,
#: or None if the request was refused as it should be.
Way = Callable[[str, int, int], list[int] | None]


def by_client_of_tensors(client: str, datatype: str) -> Way:
    def ask(address: str, number: int, rows: int) -> list[int] | None:
        found = HERE[client](address, wide(number, datatype, rows))
        if found["ok"]:
            return found["outputs"]["same_id"]["data"]  # type: ignore[no-any-return]
        assert found["gnomon_code"] == "invalid_input", found
        assert any(rule in found["message"] for rule in REFUSED), found
        return None

    return ask


def by_rows(address: str, number: int, rows: int) -> list[int] | None:
    row = {"id": number, "count": 1, "factor": 1}
    answer = httpx.post(
        f"http://{address}/v1/models/wide:predict",
        content=json.dumps({"instances": [row] * rows}).encode(),
        timeout=20,
        trust_env=False,
    )
    document: Any = answer.json()
    if answer.status_code == 200:
        return [one["same_id"] for one in document["predictions"]]
    assert document["code"] == "invalid_input", document
    return None


def by_binary_tensors(address: str, number: int, rows: int) -> list[int] | None:
    inputs = [
        {
            "name": name,
            "datatype": datatype,
            "shape": [rows],
            "parameters": {"binary_data_size": 8 * rows},
        }
        for name, datatype in (("id", "INT64"), ("count", "UINT64"), ("factor", "INT64"))
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    answer = httpx.post(
        f"http://{address}/v2/models/wide/infer",
        content=head + struct.pack("<q", number) * rows + struct.pack("<Q", 1) * 2 * rows,
        headers={"Inference-Header-Content-Length": str(len(head))},
        timeout=20,
        trust_env=False,
    )
    if answer.status_code != 200:
        assert answer.json()["code"] == "invalid_input"
        return None
    behind = answer.content[int(answer.headers["Inference-Header-Content-Length"]) :]
    return list(struct.unpack(f"<{rows}q", behind[: 8 * rows]))


def by_rows_of_client(address: str, number: int, rows: int) -> list[int] | None:
    row = {"id": number, "count": 1, "factor": 1}
    with Client(address) as client:
        try:
            answers = client.predict("wide", [row] * rows)
        except GnomonError as error:
            assert error.code == "invalid_input", error
            return None
    return [one.outputs["same_id"] for one in answers]


WAYS: list[tuple[str, str, Way]] = [
    *(
        (frontend, f"{client}-{datatype}", by_client_of_tensors(client, datatype))
        for frontend in GRPC_FRONTENDS
        for client in ("grpcio_typed", "grpcio_raw")
        for datatype in ("INT64", "UINT64")
    ),
    *((frontend, "client", by_rows_of_client) for frontend in GRPC_FRONTENDS),
    *(
        ("rest", f"json-{kind}", by_client_of_tensors("json_httpx", kind))
        for kind in ("INT64", "UINT64", "FP64")
    ),
    ("rest", "rows", by_rows),
    ("rest", "binary", by_binary_tensors),
]


@pytest.mark.slow
@pytest.mark.parametrize(("frontend", "name", "way"), WAYS, ids=[f"{d}-{n}" for d, n, _ in WAYS])
def test_a_whole_number_is_exact_or_refused(
    house: House, frontend: str, name: str, way: Way
) -> None:
    address = house.address(frontend)

    @FEW
    @given(number=NUMBERS, rows=st.sampled_from([1, 2]))
    def check(number: int, rows: int) -> None:
        if not can_hold(name, number):
            return
        found = way(address, number, rows)
        if abs(number) <= LARGEST_WHOLE:
            assert found == [number] * rows
        else:
            assert found is None

    check()


def can_hold(name: str, number: int) -> bool:
    """Whether a message of this kind can be made of a number at all."""
    if name.endswith("UINT64") and not name.startswith("json"):
        return 0 <= number < 2**64
    if name.endswith("UINT64"):
        return number >= 0
    return name in ("rows", "client", "json-INT64", "json-FP64") or -(2**63) <= number < 2**63
