"""The calls beside predictions, at every frontend: metadata, statistics, repository."""

import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gnomon.edge.standalone.standalone_node import StandaloneNode
from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.packages.package import Package
from gnomon.server.serving.admission.key_file import create_key
from tests.server.serving.conformance.asking import HERE, Worker
from tests.server.serving.conformance.cases import eta
from tests.server.serving.conformance.house import GRPC_FRONTENDS, House

FRONTENDS = (*GRPC_FRONTENDS, "rest")


def call(
    worker: Worker, house: House, frontend: str, name: str, *arguments: Any, **more: Any
) -> Any:
    """Make a call by the name that tritonclient gives it; return the answer or the refusal."""
    over = "http" if frontend == "rest" else "grpc"
    ask = {"over": over, "call": name, "arguments": arguments, **more}
    found = worker.ask("call", house.address(frontend), ask)
    return found["answer"] if found["ok"] else found


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_state_and_metadata(house: House, worker: Worker, frontend: str) -> None:
    for name, arguments, expected in (
        ("is_server_live", (), True),
        ("is_server_ready", (), True),
        ("is_model_ready", ("eta",), True),
        ("is_model_ready", ("eta", "1"), True),
        ("is_model_ready", ("eta", "2"), False),
        ("is_model_ready", ("nothing",), False),
    ):
        assert call(worker, house, frontend, name, *arguments, as_json=False) is expected, name
    metadata = call(worker, house, frontend, "get_server_metadata")
    assert metadata["name"] == "gnomon"
    assert {"model_configuration", "model_repository", "statistics"} <= {*metadata["extensions"]}
    model = call(worker, house, frontend, "get_model_metadata", "kinds")
    assert [one["name"] for one in model["inputs"]] == ["number", "count", "flag", "place"]
    assert model["versions"] == ["1"]
    refused = call(worker, house, frontend, "get_model_metadata", "nothing")
    assert refused["code"] in ("NOT_FOUND", "404")


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_a_model_tells_its_configuration(house: House, worker: Worker, frontend: str) -> None:
    config = call(worker, house, frontend, "get_model_config", "kinds", "1")
    config = config.get("config", config)
    assert (config["name"], config["platform"], config["backend"]) == (
        "kinds",
        "gnomon_onnx",
        "gnomon",
    )
    assert config["max_batch_size"] > 0
    inputs = {one["name"]: (one["data_type"], [*map(int, one["dims"])]) for one in config["input"]}
    assert inputs == {
        "number": ("TYPE_FP64", [1]),
        "count": ("TYPE_INT64", [1]),
        "flag": ("TYPE_BOOL", [1]),
        "place": ("TYPE_FP32", [3]),
    }
    kinds = {one["name"]: one["data_type"] for one in config["output"]}
    assert (kinds["name"], kinds["positive"]) == ("TYPE_STRING", "TYPE_BOOL")
    assert call(worker, house, frontend, "get_model_config", "kinds", "9")["code"] in (
        "NOT_FOUND",
        "404",
    )


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_statistics_are_what_was_counted(house: House, worker: Worker, frontend: str) -> None:
    def counted() -> tuple[int, ...]:
        found = call(worker, house, frontend, "get_inference_statistics", "eta")
        (one,) = found["model_stats"]
        assert (one["name"], one["version"]) == ("eta", "1")
        statistics = one["inference_stats"]
        parts = [one.get("inference_count", 0), one.get("execution_count", 0)]
        for name in ("success", "fail", "compute_infer", "queue"):
            parts.append(statistics.get(name, {}).get("count", 0))
        parts.append(statistics.get("success", {}).get("ns", 0))
        return tuple(map(int, parts))

    before = counted()
    way = "json_httpx" if frontend == "rest" else "grpcio_raw"
    assert HERE[way](house.address(frontend), eta(3))["ok"]
    assert not HERE[way](house.address(frontend), eta(1, id="x" * 129))["ok"]
    after = counted()
    assert [a - b for a, b in zip(after, before, strict=True)][:6] == [3, 1, 1, 1, 1, 1]
    assert after[6] > before[6]
    every = call(worker, house, frontend, "get_inference_statistics")["model_stats"]
    assert {one["name"] for one in every} == {"eta", "kinds", "wide"}


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_clients_load_and_unload_nothing_unless_they_may(
    house: House, worker: Worker, frontend: str
) -> None:
    index = call(worker, house, frontend, "get_model_repository_index")
    index = index if isinstance(index, list) else index["models"]
    assert [(one["name"], one["version"], one["state"]) for one in index] == [
        ("eta", "1", "READY"),
        ("kinds", "1", "READY"),
        ("wide", "1", "READY"),
    ]
    for name in ("load_model", "unload_model"):
        refused = worker.ask(
            "call",
            house.address(frontend),
            {
                "over": "http" if frontend == "rest" else "grpc",
                "call": name,
                "arguments": ["eta"],
                "as_json": False,
            },
        )
        assert refused["code"] in ("PERMISSION_DENIED", "403")
        assert "model_control" in refused["message"]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_memory_of_clients_is_never_read(house: House, worker: Worker, frontend: str) -> None:
    for kind in ("system", "cuda"):
        status = call(worker, house, frontend, f"get_{kind}_shared_memory_status")
        assert status in ([], {}), status
        done = call(worker, house, frontend, f"unregister_{kind}_shared_memory", as_json=False)
        assert done is None
    refused = call(
        worker, house, frontend, "register_system_shared_memory", "a", "/a", 64, as_json=False
    )
    assert refused["code"] in ("UNIMPLEMENTED", "501")
    assert "never read" in refused["message"]
    for name in ("get_log_settings", "get_trace_settings"):
        assert call(worker, house, frontend, name)["code"] in ("UNIMPLEMENTED", "501")


class Controlled:
    """A node whose models its clients may load and unload."""

    def __init__(self, package: Path, **settings: Any) -> None:
        self.node = StandaloneNode("node", [package], None)
        self.house = House((), self.node, model_control="explicit", **settings)

    def __enter__(self) -> House:
        return self.house

    def __exit__(self, *_: object) -> None:
        self.house.close()


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_models_are_put_in_and_out_of_service(
    package: Package, worker: Worker, frontend: str
) -> None:
    with Controlled(package.path) as house:

        def change(name: str, model: str, **more: Any) -> Any:
            return call(worker, house, frontend, name, model, as_json=False, **more)

        way = "json_httpx" if frontend == "rest" else "grpcio_raw"
        assert HERE[way](house.address(frontend), eta())["ok"]
        assert change("unload_model", "eta") is None
        assert HERE[way](house.address(frontend), eta())["gnomon_code"] == "unknown_model"
        index = call(worker, house, frontend, "get_model_repository_index")
        (one,) = index if isinstance(index, list) else index["models"]
        assert (one["name"], one["state"], one["reason"]) == ("eta", "UNAVAILABLE", "unloaded")
        assert change("unload_model", "eta") is None
        assert change("load_model", "eta") is None
        assert HERE[way](house.address(frontend), eta())["ok"]
        assert change("load_model", "eta") is None
        for model in ("nothing", "../eta", str(package.path)):
            assert change("load_model", model)["code"] in ("NOT_FOUND", "404")


@pytest.mark.parametrize("frontend", GRPC_FRONTENDS)
def test_what_a_client_brings_of_its_own_is_refused(package: Package, frontend: str) -> None:
    with (
        Controlled(package.path) as house,
        grpc.insecure_channel(house.address(frontend)) as channel,
    ):
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for name in ("config", "file:1/model.onnx"):
            request = oip.RepositoryModelLoadRequest(model_name="eta")
            request.parameters[name].bytes_param = b"{}"
            with pytest.raises(grpc.RpcError) as caught:
                stub.RepositoryModelLoad(request, timeout=10)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert name in error.details()


def test_no_page_from_elsewhere_may_speak(package: Package) -> None:
    with Controlled(package.path) as house:
        url = f"http://{house.address('rest')}/v2/repository/models/eta/unload"
        for origin, status in (
            ("https://evil.example", 403),
            ("null", 403),
            ("http://localhost:3000", 200),
        ):
            answer = httpx.post(url, headers={"origin": origin}, trust_env=False)
            assert answer.status_code == status, origin


def test_only_named_callers_may_change_what_is_served(package: Package, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    keys = {name: create_key(file, name) for name in ("ops", "other")}
    settings: dict[str, Any] = {"keys_file": file, "control_callers": ("ops",)}
    with Controlled(package.path, only=("grpcio",), **settings) as house:
        url = f"http://{house.address('rest')}/v2/repository/models/eta/load"
        with grpc.insecure_channel(house.address("grpcio")) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            for name, status in (("ops", 200), ("other", 403)):
                header = f"Bearer {keys[name]}"
                answer = httpx.post(url, headers={"authorization": header}, trust_env=False)
                assert answer.status_code == status, answer.text
                try:
                    stub.RepositoryModelLoad(
                        oip.RepositoryModelLoadRequest(model_name="eta"),
                        metadata=(("authorization", header),),
                        timeout=10,
                    )
                except grpc.RpcError as refused:
                    error: Any = refused
                    assert (name, error.code()) == ("other", grpc.StatusCode.PERMISSION_DENIED)
                else:
                    assert name == "ops"
        assert httpx.post(url, trust_env=False).status_code == 401


def test_where_a_hub_decides_no_client_does(package: Package) -> None:
    house = House([package], model_control="explicit")
    try:
        url = f"http://{house.address('rest')}/v2/repository/models/eta/unload"
        answer = httpx.post(url, trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
        with grpc.insecure_channel(house.address("grpcio")) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name="eta"))
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    finally:
        house.close()


def test_bodies_over_rest_are_read_strictly(house: House) -> None:
    url = f"http://{house.address('rest')}/v2/repository/index"
    for body in (b"{", b'{"ready": true, "ready": false}'):
        assert httpx.post(url, content=body, trust_env=False).status_code == 422
    answer = httpx.post(url, content=json.dumps({"ready": True}), trust_env=False)
    assert [one["name"] for one in answer.json()] == ["eta", "kinds", "wide"]


@pytest.mark.parametrize("has_served", [False, True])
def test_a_name_is_unknown_only_after_models_have_been_in_service(
    package: Package, has_served: bool
) -> None:
    """Before that the server restores its models: clients should try again."""
    house = House([package] if has_served else [])
    status, code = (404, "NOT_FOUND") if has_served else (503, "UNAVAILABLE")
    try:
        for path in ("/v1/models/x", "/v2/models/x/ready", "/v2/models/x"):
            answer = httpx.get(f"http://{house.address('rest')}{path}", trust_env=False)
            assert answer.status_code == status
        url = f"http://{house.address('rest')}/v1/models/x:predict"
        assert httpx.post(url, json={"instances": [{}]}, trust_env=False).status_code == status
        for frontend in house.frontends:
            with grpc.insecure_channel(house.address(frontend)) as channel:
                stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
                for ask, message in (
                    (stub.ModelInfer, oip.ModelInferRequest(model_name="x")),
                    (stub.ModelMetadata, oip.ModelMetadataRequest(name="x")),
                ):
                    with pytest.raises(grpc.RpcError) as caught:
                        ask(message)
                    error: Any = caught.value
                    assert error.code().name == code
                assert not stub.ModelReady(oip.ModelReadyRequest(name="x")).ready
    finally:
        house.close()
