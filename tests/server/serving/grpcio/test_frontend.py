"""The gRPC frontend: answers, refusals by name, and nothing that ends in UNKNOWN or INTERNAL."""

import json
import math
from pathlib import Path
from typing import Any

import grpc
import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.enrolment.identity import IdentityFolder, key_pem
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.wire import CODE_KEY, DETAILS_KEY, read_error
from gnomon.server.hub.access.authority import Authority, read_request
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.serving import request


def refusal(served: Any, message: oip.ModelInferRequest) -> tuple[grpc.StatusCode, GnomonError]:
    with pytest.raises(grpc.RpcError) as caught:
        served.infer(message)
    error: Any = caught.value
    known = read_error(error.details(), error.trailing_metadata())
    assert known is not None
    return error.code(), known


def test_a_good_request_is_answered(served: Any) -> None:
    answer = served.infer(request(3))
    assert (answer.model_name, answer.model_version, answer.id) == ("eta", "1", "r1")
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("air_time", "FP32", [3, 1])
    assert list(output.contents.fp32_contents) == pytest.approx([111.0] * 3)
    assert answer.parameters["gnomon_digest"].string_param in served.runtime.models
    assert "gnomon_fallback" not in answer.parameters
    assert served.counted() == {"answered": 3}


def test_a_corrected_value_is_reported(served: Any) -> None:
    answer = served.infer(request(wind=[900.0]))
    (violation,) = json.loads(answer.parameters["gnomon_violations"].string_param)
    assert (violation["field"], violation["rule"]) == ("wind", "maximum")
    assert answer.outputs[0].contents.fp32_contents[0] == pytest.approx(130)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"distance": [-1.0]}, "distance", "minimum"),
        ({"distance": [math.nan]}, "distance", "null"),
        ({"distance": [math.inf]}, "distance", "finite"),
        ({"distance": ["far"]}, "distance", "type"),
        ({"distance": None}, "distance", "required"),
        ({"carrier": ["ZZ"]}, "carrier", "allowed"),
        ({"carrier": [7.0]}, "carrier", "type"),
        ({"speed": [7.0]}, "speed", "unknown_field"),
        ({"distance": [1.0, 2.0]}, "distance", "rows"),
    ],
)
def test_bad_inputs_are_refused_by_name_and_counted(
    served: Any, changes: dict[str, Any], field: str, rule: str
) -> None:
    status, error = refusal(served, request(**changes))
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert error.code == "invalid_input"
    assert (error.details[0]["field"], error.details[0]["rule"]) == (field, rule)
    assert error.details[0]["expected"]
    assert served.counted() == {"refused": 1}


def test_empty_requests_are_refused_and_counted(served: Any) -> None:
    for message in (oip.ModelInferRequest(model_name="eta"), request(0)):
        status, error = refusal(served, message)
        assert (status, error.code) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_input")
    assert served.counted() == {"refused": 2}


def test_an_endless_id_is_refused_and_counted(served: Any) -> None:
    message = request()
    message.id = "x" * 129
    assert "at most 128" in str(refusal(served, message)[1])
    message.id = "x" * 128
    assert served.infer(message).id == message.id
    assert served.counted() == {"answered": 1, "refused": 1}


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x0a\x05ab", b"\x2a\x01\xff"])
def test_malformed_messages_are_invalid_arguments(served: Any, data: bytes) -> None:
    call = served.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.RpcError) as caught:
        call(data, timeout=10)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "inference.ModelInferRequest" in error.details()
    assert dict(error.trailing_metadata())[CODE_KEY] == "invalid_input"


def test_unknown_models_versions_and_outputs_are_named(served: Any) -> None:
    message = request()
    message.model_name = "weather"
    status, error = refusal(served, message)
    assert (status, error.code) == (grpc.StatusCode.NOT_FOUND, "unknown_model")
    message = request()
    message.model_version = "9"
    status, error = refusal(served, message)
    assert status is grpc.StatusCode.NOT_FOUND
    assert "in service as version 1" in str(error)
    message.model_version = "1"
    message.outputs.add(name="landing")
    status, error = refusal(served, message)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert "air_time" in str(error)
    message.outputs[0].name = "air_time"
    assert len(served.infer(message).outputs) == 1


def test_the_data_has_its_own_time(served: Any) -> None:
    for value in ("2013-07-04T12:00:00+00:00", "2013-07-04T12:30:00"):
        message = request()
        message.parameters["at"].string_param = value
        message.parameters["key"].string_param = "customer-7"
        served.infer(message)
    message = request()
    message.parameters["at"].double_param = 1_372_939_200.0
    served.infer(message)
    served.runtime.flush()
    (window,) = [r.window for r in served.sink.records if r.HasField("window")]
    assert (window.started_at_unix_ms, window.rows) == (1_372_939_200_000, 3)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("at", oip.InferParameter(string_param="noon")),
        ("at", oip.InferParameter(double_param=math.nan)),
        ("at", oip.InferParameter(double_param=1e300)),
        ("at", oip.InferParameter(bool_param=True)),
        ("at", oip.InferParameter()),
        ("key", oip.InferParameter(int64_param=7)),
    ],
)
def test_wrong_parameters_are_refused_and_counted(
    served: Any, name: str, parameter: oip.InferParameter
) -> None:
    message = request()
    message.parameters[name].CopyFrom(parameter)
    status, error = refusal(served, message)
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert name in str(error)
    assert served.counted() == {"refused": 1}


def test_metadata_says_what_to_send(served: Any) -> None:
    stub = served.stub
    assert stub.ServerLive(oip.ServerLiveRequest(), timeout=10).live
    assert stub.ServerReady(oip.ServerReadyRequest(), timeout=10).ready
    assert stub.ServerMetadata(oip.ServerMetadataRequest(), timeout=10).name == "gnomon"
    for name, version, ready in (("eta", "", 1), ("eta", "1", 1), ("eta", "2", 0), ("x", "", 0)):
        message = oip.ModelReadyRequest(name=name, version=version)
        assert stub.ModelReady(message, timeout=10).ready == ready
    metadata = stub.ModelMetadata(oip.ModelMetadataRequest(name="eta"), timeout=10)
    assert metadata.platform == "gnomon_onnx"
    assert list(metadata.versions) == ["1"]
    assert [(t.name, t.datatype, list(t.shape)) for t in metadata.inputs] == [
        ("distance", "FP64", [-1, 1]),
        ("wind", "FP64", [-1, 1]),
        ("carrier", "BYTES", [-1, 1]),
    ]
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelMetadata(oip.ModelMetadataRequest(name="eta", version="7"), timeout=10)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_an_unexpected_error_keeps_its_text_to_itself(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr(served.runtime, "predict", fail)
    status, error = refusal(served, request())
    assert (status, error.code) == (grpc.StatusCode.INTERNAL, "internal")
    assert "secret" not in str(error)


def test_details_are_bounded(served: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.infer(request(5_000, distance=[-1.0] * 5_000))
    error: Any = caught.value
    assert len(dict(error.trailing_metadata())[DETAILS_KEY]) <= 4_096


def test_the_frontend_stays_local_without_authentication(served: Any) -> None:
    async def open_frontend() -> None:
        await GrpcFrontend(served.handler, FrontendSettings(host="0.0.0.0", port=0)).open()

    with pytest.raises(ConfigurationError, match="client_authority_file"):
        served.run(open_frontend())
    with pytest.raises(ValueError, match="belong together"):
        FrontendSettings(certificate_file="x")  # type: ignore[arg-type]


def test_the_frontend_opens_to_others_who_show_a_certificate(served: Any, tmp_path: Path) -> None:
    authority = Authority.in_folder(tmp_path)
    key, chain = authority.issue_server()
    (tmp_path / "frontend.key").write_bytes(key)
    (tmp_path / "frontend.pem").write_bytes(chain)
    settings = FrontendSettings(
        host="0.0.0.0",
        port=0,
        key_file=tmp_path / "frontend.key",
        certificate_file=tmp_path / "frontend.pem",
        client_authority_file=tmp_path / "authority.pem",
    )

    async def open_frontend() -> tuple[GrpcFrontend, str]:
        frontend = GrpcFrontend(served.handler, settings)
        return frontend, (await frontend.open()).replace("0.0.0.0", "127.0.0.1")

    frontend, address = served.run(open_frontend())
    client = IdentityFolder(tmp_path / "client")
    certificate, _ = authority.issue_client(read_request(client.request("pilot")), "node", 1)
    root = authority.certificate_pem
    for credentials, is_let_in in (
        (grpc.ssl_channel_credentials(root, key_pem(client.key()), certificate), True),
        (grpc.ssl_channel_credentials(root), False),
    ):
        with grpc.secure_channel(address, credentials) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            try:
                assert stub.ModelInfer(request(), timeout=5).model_version == "1"
            except grpc.RpcError as error:
                assert not is_let_in, error
            else:
                assert is_let_in
        assert bool(frontend.watch.pending) is not is_let_in
    served.run(frontend.close(0))
