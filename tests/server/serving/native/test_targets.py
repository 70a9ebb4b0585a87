"""Targets of models of every kind of input and output: C answers what the handler answers."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.fields import Field, Kind, Rule
from gnomon.core.reference import FieldReference, Reference
from gnomon.core.window import Window
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.packages.golden import Golden, encode_golden
from gnomon.runtime.packages.manifest import Signature, TensorSpec
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import PRESENCE, Profile, encode_profile
from gnomon.runtime.recording.sink import MemorySink
from gnomon.runtime.routing.routes import single
from gnomon.runtime.runtime import Runtime
from gnomon.server.serving.admission.client_counts import ClientCounts
from gnomon.server.serving.admission.clients import Clients
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.eligible import _build_target, native_routes
from gnomon.server.serving.native.route import NativeRoute
from gnomon.server.serving.native.route_table import NativeRouteTable
from tests.support.packages import make_package

KINDS = ("cargo", "mail", "people")
ROW = {"vector": [1.0, 2.0, 3.0, 4.0], "flag": True, "count": 7, "large": 5, "carrier": "UA"}


def network() -> bytes:
    """Return a model with a label, a kind, probabilities and a score for eight features."""
    weights = np.random.default_rng(11).normal(size=(8, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["raw"], ["label"], axis=1, keepdims=0),
        helper.make_node("ArgMax", ["raw"], ["kind"], axis=1, keepdims=1),
        helper.make_node("ReduceSum", ["raw", "axis"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["score"], to=TensorProto.DOUBLE),
    ]
    outputs = [
        ("label", TensorProto.INT64, ["N"]),
        ("kind", TensorProto.INT64, ["N", 1]),
        ("probabilities", TensorProto.FLOAT, ["N", 3]),
        ("score", TensorProto.DOUBLE, ["N", 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "kinds",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 8])],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def profile() -> Profile:
    number = {"edges": (0.0, 10.0, 100.0)}
    presence = {"categories": PRESENCE}
    return Profile(
        inputs=(
            Field(name="vector", kind=Kind.VECTOR, shape=(4,)),
            Field(name="flag", kind=Kind.BOOL),
            Field(name="count", kind=Kind.INT32, minimum=0, maximum=100),
            Field(name="large", kind=Kind.UINT64, nullable=True),
            Field(name="carrier", kind=Kind.CATEGORY, allowed=("AA", "Ünited", "UA")),
        ),
        rules=(Rule(name="few", expression="count < 90"),),
        outputs=(
            Field(name="label", kind=Kind.INT64, minimum=0, maximum=2),
            Field(name="kind", kind=Kind.CATEGORY, allowed=KINDS),
            Field(name="probabilities", kind=Kind.VECTOR, shape=(3,), minimum=0, maximum=1),
            Field(name="score", kind=Kind.FLOAT64),
        ),
        input_reference=Reference(
            (
                FieldReference("vector", "category", **presence),
                FieldReference("flag", "numeric", edges=(0.0, 0.5, 1.0)),
                FieldReference("count", "numeric", **number),
                FieldReference("large", "numeric", **number),
                FieldReference("carrier", "category", categories=("AA", "Ünited", "UA")),
            )
        ),
        output_reference=Reference(
            (
                FieldReference("label", "numeric", edges=(0.0, 1.0, 2.0)),
                FieldReference("kind", "category", categories=KINDS),
                FieldReference("probabilities", "category", **presence),
                FieldReference("score", "numeric", **number),
            )
        ),
    )


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Package:
    specs = [("vector", "FP32", 4), ("flag", "BOOL", 1), ("count", "INT32", 1)]
    specs += [("large", "UINT64", 1), ("carrier", "BYTES", 1)]
    features: list[dict[str, Any]] = [{"field": name, "missing": 0.0} for name, _, _ in specs[:4]]
    features.append({"field": "carrier", "encode": "code"})
    made: Package = make_package(
        tmp_path_factory.mktemp("kinds") / "kinds-1",
        None,
        files={
            "model.onnx": network(),
            "profile.json": encode_profile(profile()),
            "golden.json": encode_golden(Golden(rows=(ROW,), outputs=({},))),
        },
        name="kinds",
        packing={"tensors": [{"name": "features", "dtype": "FP32", "features": features}]},
        signature=Signature(
            inputs=tuple(TensorSpec(name=n, datatype=d, shape=(-1, w)) for n, d, w in specs),
            outputs=(
                TensorSpec(name="label", datatype="INT64", shape=(-1,)),
                TensorSpec(name="kind", datatype="BYTES", shape=(-1, 1)),
                TensorSpec(name="probabilities", datatype="FP32", shape=(-1, 3)),
                TensorSpec(name="score", datatype="FP64", shape=(-1, 1)),
            ),
        ),
        output_tensors=("label", "kind", "probabilities", "score"),
    )
    return made


class Laid:
    """A runtime, its handler, and a table of targets that follows it."""

    def __init__(self, package: Package) -> None:
        self.sink = MemorySink()
        self.runtime = Runtime(self.sink)
        self.runtime.load(package)
        self.runtime.apply([single("kinds", package.digest)])
        self.handler = Handler(self.runtime)
        self.table = NativeRouteTable(1.0)
        self.runtime.watch(lambda served: self.table.publish(native_routes(served, Clients())))

    def counted(self) -> Window:
        """Return the one window that went to the sink."""
        self.runtime.flush()
        (model,) = self.runtime.models.values()
        (window,) = [one.window for one in self.sink.records if one.HasField("window")]
        return model.package.profile.read_window(window.window)

    def both(self, message: oip.ModelInferRequest) -> tuple[Any, oip.ModelInferResponse]:
        answer = self.table.try_message(message.SerializeToString())
        read = None if answer is None else oip.ModelInferResponse.FromString(answer)
        return read, self.handler.infer(message)


@pytest.fixture
def laid(kinds: Package) -> Iterator[Laid]:
    laid = Laid(kinds)
    yield laid
    laid.runtime.close()


def request(rows: int, raw: bool, chance: np.random.Generator) -> oip.ModelInferRequest:
    message = oip.ModelInferRequest(model_name="kinds", id="q")
    vectors = chance.normal(size=(rows, 4)).astype(np.float32)
    flags = chance.integers(0, 2, rows).astype(bool)
    counts = chance.integers(0, 89, rows).astype(np.int32)
    large = chance.integers(0, 2**53, rows, dtype=np.uint64)
    texts = [(b"AA", "Ünited".encode(), b"UA")[one] for one in chance.integers(0, 3, rows)]
    for name, kind, values in (
        ("vector", "FP32", vectors),
        ("flag", "BOOL", flags),
        ("count", "INT32", counts),
        ("large", "UINT64", large),
    ):
        tensor = message.inputs.add(name=name, datatype=kind, shape=values.shape)
        if raw:
            message.raw_input_contents.append(values.tobytes())
            continue
        field = {"FP32": "fp32", "BOOL": "bool", "INT32": "int", "UINT64": "uint64"}[kind]
        getattr(tensor.contents, f"{field}_contents").extend(values.ravel().tolist())
    tensor = message.inputs.add(name="carrier", datatype="BYTES", shape=[rows])
    if raw:
        parts = (len(text).to_bytes(4, "little") + text for text in texts)
        message.raw_input_contents.append(b"".join(parts))
    else:
        tensor.contents.bytes_contents.extend(texts)
    return message


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 17])
def test_outputs_of_every_kind_are_written_alike(laid: Laid, rows: int, raw: bool) -> None:
    chance = np.random.default_rng(rows)
    for _ in range(30):
        answer, expected = laid.both(request(rows, raw, chance))
        assert answer is not None
        assert answer == expected


@pytest.mark.parametrize("raw", [False, True])
def test_vectors_of_float64_are_rounded_or_left_to_python(laid: Laid, raw: bool) -> None:
    vectors = np.random.default_rng(2).normal(size=(3, 4))
    for largest in (1.0, float("inf"), 1e300):
        message = request(3, raw, np.random.default_rng(2))
        vectors[1, 2] = largest
        tensor = message.inputs[0]
        tensor.datatype = "FP64"
        if raw:
            message.raw_input_contents[0] = vectors.tobytes()
        else:
            tensor.ClearField("contents")
            tensor.contents.fp64_contents.extend(vectors.ravel().tolist())
        if largest == 1.0:
            answer, expected = laid.both(message)
            assert answer is not None
            assert answer == expected
        else:
            assert laid.table.try_message(message.SerializeToString()) is None


def test_some_outputs_may_be_requested(laid: Laid) -> None:
    for raw in (False, True):
        message = request(3, raw, np.random.default_rng(5))
        for name in ("score", "kind"):
            message.outputs.add(name=name)
        answer, expected = laid.both(message)
        assert answer == expected
        assert [one.name for one in answer.outputs] == ["kind", "score"]


def test_both_ways_count_alike(laid: Laid, kinds: Package) -> None:
    other = Laid(kinds)
    for rows in (1, 5):
        message = request(rows, True, np.random.default_rng(rows))
        assert laid.table.try_message(message.SerializeToString())
        other.handler.infer(message)
    direct, counted = laid.counted(), other.counted()
    other.runtime.close()
    for name in ("vector", "flag", "count", "large", "carrier"):
        assert direct.cells(name).tolist() == counted.cells(name).tolist()
    for name in ("label", "kind", "probabilities", "score"):
        assert direct.output_cells(name).tolist() == counted.output_cells(name).tolist()
    assert direct.outcome_rows == counted.outcome_rows


def test_an_interval_that_has_ended_is_left_to_python(laid: Laid, kinds: Package) -> None:
    message = request(1, True, np.random.default_rng(1)).SerializeToString()
    (served,) = laid.runtime._table.served.values()
    assert served.only
    assert laid.table.try_message(message)
    served.only.series.arm(0.0)
    assert laid.table.try_message(message) is None
    assert laid.table.reasons["no window"] == 1
    (closed,) = served.only.series.direct().take_windows()
    assert closed[1].outcome_rows["answered"] == 1
    assert laid.table.try_message(message)


@pytest.mark.slow
def test_a_route_in_a_cycle_is_collected(laid: Laid, kinds: Package) -> None:
    (target,) = laid.runtime._table.served["kinds"].targets.values()
    counts = ClientCounts()
    for _ in range(20):
        targets: list[Any] = [(_build_target("kinds", target), 1_000, counts)]
        route = NativeRoute("kinds", targets, counts, 0)
        # A route keeps its targets; here they keep it.
        targets.append(route)
        table = NativeRouteTable(1.0)
        table.publish({"kinds": route})
        assert table.try_message(request(2, True, np.random.default_rng(1)).SerializeToString())
        del targets, route, table
    gc.collect()


def test_routes_that_are_not_in_service_have_no_native_target(laid: Laid, kinds: Package) -> None:
    message = request(1, True, np.random.default_rng(1)).SerializeToString()
    laid.runtime.apply([single("other", kinds.digest)])
    assert laid.table.try_message(message) is None
    laid.runtime.apply([single("kinds", kinds.digest)])
    assert laid.table.try_message(message)


def test_a_slow_model_is_left_to_pythons_threads(laid: Laid) -> None:
    table = NativeRouteTable(1e-9)
    laid.runtime.watch(lambda served: table.publish(native_routes(served, Clients())))
    message = request(1, True, np.random.default_rng(1)).SerializeToString()
    answers = [table.try_message(message) for _ in range(9)]
    # One long run is not enough: the machine may have paused.
    assert answers[0]
    assert answers[-1] is None
    assert table.reasons["too slow"] == answers.count(None)


def test_a_closed_runtime_has_no_native_targets(kinds: Package) -> None:
    laid = Laid(kinds)
    message = request(1, True, np.random.default_rng(1)).SerializeToString()
    assert laid.table.try_message(message)
    laid.runtime.close()
    assert laid.table.try_message(message) is None
    total = sum(record.window.rows for record in laid.sink.records)
    assert total == 1


def test_a_model_that_slept_has_a_native_target_again_once_it_is_awake(
    laid: Laid, kinds: Package
) -> None:
    message = request(1, True, np.random.default_rng(1))
    assert laid.table.try_message(message.SerializeToString())
    laid.runtime.sleep({"kinds"})
    assert not laid.runtime.models[kinds.digest].is_awake
    assert laid.table.try_message(message.SerializeToString()) is None
    laid.handler.infer(message)
    assert laid.table.try_message(message.SerializeToString())
