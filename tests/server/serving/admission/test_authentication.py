"""Who may ask: keys that are hashed, scoped and revoked; and nobody nameless from elsewhere."""

import asyncio
import json
import os
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from gnomon.command import root as command
from gnomon.proto import inference_pb2 as oip
from gnomon.runtime.enrolment.identity import IdentityFolder, key_pem
from gnomon.runtime.errors import (
    ConfigurationError,
    NotAllowed,
    NotFound,
    Unauthenticated,
)
from gnomon.runtime.wire import CODE_KEY
from gnomon.server.hub.access.authority import Authority, read_request
from gnomon.server.serving.admission import authentication
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.admission.authentication import LOCAL, Authentication
from gnomon.server.serving.admission.key_file import create_key, read_keys, revoke_key
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.native.frontend import NativeFrontend, why_not
from gnomon.server.serving.native.loop import missing_library
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support.serving import BODY, GRPC_FRONTENDS, PREDICT, Doors


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "CHECK_SECONDS", 0.0)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_a_file_holds_no_key(keys_file: Path) -> None:
    key = create_key(keys_file, "app", ["eta"])
    assert stat.S_IMODE(keys_file.stat().st_mode) == 0o600
    text = keys_file.read_text()
    assert key not in text
    assert key.rpartition("_")[2] not in text
    (kept,) = read_keys(keys_file)
    assert (kept.name, kept.models) == ("app", ("eta",))
    assert kept.id in key
    assert len(kept.sha256) == 64
    assert list(keys_file.parent.iterdir()) == [keys_file]


def test_a_key_says_who_and_for_what(keys_file: Path) -> None:
    key = create_key(keys_file, "app", ["eta"])
    everything = create_key(keys_file, "admin")
    found = Authentication(keys_file).identify(f"Bearer {key}")
    assert found.name == "app"
    found.check("eta")
    with pytest.raises(NotAllowed, match="not for model 'delay'"):
        found.check("delay")
    Authentication(keys_file).identify(f"bearer {everything} ").check("delay")


def test_keys_are_made_by_command(keys_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> Any:
        assert command.run(["key", *arguments, "--file", str(keys_file)]) == 0
        return capsys.readouterr().out

    made = json.loads(run("create", "app", "--model", "eta", "--json"))
    assert Authentication(keys_file).identify(f"Bearer {made['key']}").models == ("eta",)
    (listed,) = json.loads(run("list", "--json"))
    assert (listed["name"], listed["models"]) == ("app", ["eta"])
    assert made["key"] not in run("list")
    run("revoke", listed["id"])
    assert json.loads(run("list", "--json")) == []


@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer ", "Bearer x", "Basic x", "\udcff"])
def test_no_key_no_entry(keys_file: Path, shown: str | None) -> None:
    create_key(keys_file, "app")
    with pytest.raises(Unauthenticated):
        Authentication(keys_file).identify(shown)


def test_a_hash_is_no_key(keys_file: Path) -> None:
    create_key(keys_file, "app")
    (kept,) = read_keys(keys_file)
    with pytest.raises(Unauthenticated):
        Authentication(keys_file).identify(f"Bearer {kept.sha256}")


def test_keys_come_and_go_while_the_server_runs(keys_file: Path) -> None:
    old = create_key(keys_file, "app")
    frontend = Authentication(keys_file)
    new = create_key(keys_file, "app")
    assert (
        frontend.identify(f"Bearer {old}").name == frontend.identify(f"Bearer {new}").name == "app"
    )
    revoke_key(keys_file, read_keys(keys_file)[0].id)
    with pytest.raises(Unauthenticated):
        frontend.identify(f"Bearer {old}")
    assert frontend.identify(f"Bearer {new}").name == "app"
    with pytest.raises(NotFound, match="has no key"):
        revoke_key(keys_file, "nobody")


def test_a_broken_file_lets_no_one_in(keys_file: Path) -> None:
    key = create_key(keys_file, "app")
    frontend = Authentication(keys_file)
    good = keys_file.read_bytes()
    for bad in (b"{", b"[]", b'{"keys": [{}]}', None):
        keys_file.unlink()
        if bad is not None:
            keys_file.write_bytes(bad)
        with pytest.raises(Unauthenticated):
            frontend.identify(f"Bearer {key}")
        keys_file.write_bytes(good)
        os.utime(keys_file, ns=(time.time_ns(), time.time_ns()))
        assert frontend.identify(f"Bearer {key}").name == "app"
    with pytest.raises(ConfigurationError, match="gnomon key create"):
        Authentication(keys_file.with_name("absent.json"))


def test_without_keys_a_certificate_or_this_machine_is_enough() -> None:
    assert Authentication(None).identify(None) == LOCAL
    assert Authentication(None).identify(None, "pilot").name == "pilot"


@pytest.fixture(params=GRPC_FRONTENDS)
def frontends(served: Any, keys_file: Path, request: Any) -> Iterator[tuple[Doors, str]]:
    key = create_key(keys_file, "app", ["eta"])
    frontends = Doors(served, request.param, keys_file=keys_file)
    yield frontends, key
    frontends.close()


def test_rest_asks_for_a_key(served: Any, frontends: tuple[Doors, str]) -> None:
    frontend, key = frontends
    with httpx.Client(base_url=frontend.url, trust_env=False) as http:
        for path in ("/v2", "/v2/models/eta", "/v1/models", "/metrics", "/docs", "/openapi.json"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
            assert answer.headers["www-authenticate"] == "Bearer"
            good = http.get(path, headers={"authorization": f"Bearer {key}"})
            assert good.status_code == 200, path
        assert http.get("/v2/health/live").status_code == 200
        assert http.get("/v2/health/ready").status_code == 200
        assert http.post(PREDICT, json=BODY).status_code == 401
        http.headers["authorization"] = f"Bearer {key}"
        assert http.post(PREDICT, json=BODY).status_code == 200
        # A name that is not the machine's own is no matter where keys are asked for.
        assert http.post(PREDICT, json=BODY, headers={"host": "model.example"}).status_code == 200
        answer = http.post("/v1/models/delay:predict", json=BODY)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        metrics = http.get("/metrics").text
    assert 'gnomon_turned_away_requests_total{code="unauthenticated"} 7.0' in metrics
    assert 'gnomon_turned_away_requests_total{code="not_allowed"} 1.0' in metrics
    assert served.counted() == {"answered": 2}


def test_grpc_asks_for_a_key(served: Any, frontends: tuple[Doors, str]) -> None:
    frontend, key = frontends
    stub = frontend.stub
    assert stub.ServerLive(oip.ServerLiveRequest(), timeout=5).live
    assert stub.ServerReady(oip.ServerReadyRequest(), timeout=5).ready
    assert frontend.health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1
    calls = (
        (stub.ModelInfer, oip.ModelInferRequest(model_name="eta")),
        (stub.ModelMetadata, oip.ModelMetadataRequest(name="eta")),
        (stub.ModelReady, oip.ModelReadyRequest(name="eta")),
        (stub.ServerMetadata, oip.ServerMetadataRequest()),
    )
    for call, message in calls:
        for metadata in ((), (("authorization", "Bearer x"),)):
            with pytest.raises(grpc.RpcError) as caught:
                call(message, timeout=5, metadata=metadata)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert dict(error.trailing_metadata())[CODE_KEY] == "unauthenticated"
    metadata = (("authorization", f"Bearer {key}"),)
    for call, message in calls[1:]:
        call(message, timeout=5, metadata=metadata)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(oip.ModelInferRequest(model_name="delay"), timeout=5, metadata=metadata)
    error = caught.value
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert served.counted() == {}


def test_health_follows_the_handler(served: Any) -> None:
    health = health_pb2_grpc.HealthStub(served.channel)
    for service in ("", "inference.GRPCInferenceService"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request, timeout=5).status == 1
    watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=10)
    assert next(watch).status == 1
    served.handler.drain()
    assert next(watch).status == 2
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 2
    watch.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(health_pb2.HealthCheckRequest(service="other"), timeout=5)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_beyond_loopback_no_frontend_opens_without_names(served: Any, keys_file: Path) -> None:
    nameless = FrontendSettings(host="0.0.0.0", port=0)
    admission = make_admission(nameless, served.handler)
    with pytest.raises(ConfigurationError, match="keys_file"):
        RestFrontend(served.handler, served.runtime, nameless, 0, admission)
    create_key(keys_file, "app")
    named = FrontendSettings(host="0.0.0.0", port=0, keys_file=keys_file)
    frontend = RestFrontend(
        served.handler, served.runtime, named, 0, make_admission(named, served.handler)
    )
    frontend.open()
    try:
        url = frontend.url.replace("0.0.0.0", "127.0.0.1") + PREDICT
        assert httpx.post(url, json=BODY, trust_env=False).status_code == 401
    finally:
        frontend.close(0)

    async def opened(kind: Any, settings: FrontendSettings) -> None:
        grpc_frontend = kind(served.handler, settings)
        await grpc_frontend.open()
        await asyncio.sleep(0)
        await grpc_frontend.close(0)

    for kind in (GrpcFrontend, NativeFrontend) if missing_library() is None else (GrpcFrontend,):
        with pytest.raises(ConfigurationError, match="keys_file"):
            served.run(opened(kind, nameless))
        served.run(opened(kind, named))


def test_rest_asks_for_a_certificate(served: Any, tmp_path: Path) -> None:
    authority = Authority.in_folder(tmp_path)
    key, chain = authority.issue_server()
    (tmp_path / "frontend.key").write_bytes(key)
    (tmp_path / "frontend.pem").write_bytes(chain)
    named = FrontendSettings(
        host="0.0.0.0",
        port=0,
        key_file=tmp_path / "frontend.key",
        certificate_file=tmp_path / "frontend.pem",
        client_authority_file=tmp_path / "authority.pem",
    )
    client = IdentityFolder(tmp_path / "client")
    certificate, _ = authority.issue_client(read_request(client.request("pilot")), "node", 1)
    (tmp_path / "client.pem").write_bytes(certificate)
    (tmp_path / "client.key").write_bytes(key_pem(client.key()))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    shown = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    shown.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    frontend = RestFrontend(
        served.handler, served.runtime, named, 0, make_admission(named, served.handler)
    )
    frontend.open()
    url = frontend.url.replace("0.0.0.0", "127.0.0.1") + PREDICT
    assert url.startswith("https://")
    try:
        with capture_logs() as lines:
            bad = {"instances": [{}]}
            assert httpx.post(url, json=bad, trust_env=False, verify=shown).status_code == 422
        assert [line["caller"] for line in lines] == ["pilot"]
        assert httpx.post(url, json=BODY, trust_env=False, verify=shown).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.post(url, json=BODY, trust_env=False, verify=trusting)
        with pytest.raises(httpx.TransportError):
            httpx.post(url.replace("https", "http"), json=BODY, trust_env=False)
    finally:
        frontend.close(0)
    assert served.counted() == {"answered": 1, "refused": 1}


def test_settings_that_contradict_themselves_are_refused(keys_file: Path) -> None:
    assert why_not(FrontendSettings(keys_file=keys_file, host="0.0.0.0")) == missing_library()
    assert (
        why_not(FrontendSettings(requests_per_second=1, concurrent_requests=1)) == missing_library()
    )
    with pytest.raises(ValueError, match="burst should be 0 or above"):
        FrontendSettings(burst=-1)
    with pytest.raises(ValueError, match="belongs to certificate_file"):
        FrontendSettings(client_authority_file=keys_file)
