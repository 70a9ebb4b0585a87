"""TLS at the native frontend: who is let in, under which name, and certificates that change."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from gnomon.proto import inference_pb2 as oip
from gnomon.proto import inference_pb2_grpc
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.server.rest import certificates
from gnomon.server.serving.grpcio.frontend import GrpcFrontend
from gnomon.server.serving.native import frontend as native_frontend
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.native.loop import missing_library, missing_tls
from gnomon.server.serving.select_frontend import make_frontend
from gnomon.server.serving.settings import FrontendSettings
from tests.support import http2_frames as http2
from tests.support.serving import Served, request
from tests.support.tls_files import TlsFiles

pytestmark = pytest.mark.skipif(
    (missing_library() or missing_tls()) is not None,
    reason="libnghttp2 or OpenSSL 3 is not installed (packages libnghttp2-14, libssl3)",
)

LIMITS = {"header_seconds": 1.0, "idle_seconds": 30.0, "connections": 40}


class TlsServed(Served):
    """As `Served`, behind a native frontend with short limits."""

    async def _make(self, settings: Any) -> Any:
        return NativeFrontend(self.handler, settings, limits=LIMITS)


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(tmp_path)


@pytest.fixture
def serve(package: Package) -> Iterator[Callable[..., TlsServed]]:
    made: list[TlsServed] = []

    def serve(**settings: Any) -> TlsServed:
        made.append(TlsServed(package, **settings))
        return made[-1]

    yield serve
    for one in made:
        one.close()


def ask(address: str, credentials: Any, message: Any = None, **options: Any) -> Any:
    """Return the answer to a request over a channel of its own."""
    channel_options = [("grpc.use_local_subchannel_pool", 1), *options.get("channel", ())]
    with grpc.secure_channel(address, credentials, channel_options) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        return stub.ModelInfer(message or request(), timeout=options.get("timeout", 10))


def connect(address: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    host, _, port = address.rpartition(":")
    return context.wrap_socket(
        socket.create_connection((host, int(port)), timeout=10), server_hostname="localhost"
    )


def test_predictions_go_through_tls(serve: Callable[..., TlsServed], files: TlsFiles) -> None:
    served = serve(**files.settings())
    answer = ask(served.address, files.credentials())
    assert list(answer.outputs[0].contents.fp32_contents) == pytest.approx([111.0])
    with pytest.raises(grpc.RpcError):
        served.stub.ModelInfer(request(), timeout=1)  # in clear text
    assert served.counted() == {"answered": 1}
    assert served.frontend.counts["taken"] == 1


def test_a_certificate_that_was_believed_needs_no_python(
    serve: Callable[..., TlsServed], files: TlsFiles
) -> None:
    served = serve(**files.settings(asks_clients=True), requests_per_second=0.001, burst=4)
    for name in ("pilot", "tower"):
        credentials = files.credentials(name)
        for _ in range(4):
            ask(served.address, credentials)
        with pytest.raises(grpc.RpcError) as caught:
            ask(served.address, credentials)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # The first of each, and one refusal or both of them, which the log tells of.
    counts = served.frontend.counts
    assert counts["taken"] == 6
    assert counts["no credential"] in (3, 4)
    assert served.counted() == {"answered": 8}


def test_large_tensors_go_both_ways(serve: Callable[..., TlsServed], files: TlsFiles) -> None:
    served = serve(**files.settings())
    rows = 40_000
    message = oip.ModelInferRequest(model_name="eta")
    for name, value in (("distance", 800.0), ("wind", 10.0)):
        message.inputs.add(name=name, datatype="FP64", shape=[rows])
        message.raw_input_contents.append(np.full(rows, value).tobytes())
    message.inputs.add(name="carrier", datatype="BYTES", shape=[rows])
    message.raw_input_contents.append(b"\2\0\0\0UA" * rows)
    with grpc.secure_channel(served.address, files.credentials()) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for answer in [stub.ModelInfer.future(message, timeout=60) for _ in range(3)]:
            values = np.frombuffer(answer.result().raw_output_contents[0], np.float32)
            assert values == pytest.approx(np.full(rows, 111.0))
    assert served.frontend.counts["held_bytes"] == 0


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("h2x", "h"), ("http/1.1", "h2")])
def test_http2_must_be_agreed_on(
    serve: Callable[..., TlsServed], files: TlsFiles, protocols: tuple[str, ...]
) -> None:
    served = serve(**files.settings())
    context = files.context(*protocols)
    if "h2" in protocols:
        with connect(served.address, context) as channel:
            assert channel.selected_alpn_protocol() == "h2"
            assert channel.version() in ("TLSv1.2", "TLSv1.3")
            channel.sendall(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0))
            assert channel.recv(9)[3] == http2.SETTINGS
        return
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        connect(served.address, context) as channel,
    ):
        assert channel.recv(9) == b""
    ask(served.address, files.credentials())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_older_versions_and_nonsense_are_refused(
    serve: Callable[..., TlsServed], files: TlsFiles
) -> None:
    served = serve(**files.settings())
    old = files.context("h2")
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1_1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        connect(served.address, old)
    raw = http2.Http2Connection(served.address, greets=False)
    raw.send(http2.PREFACE)
    assert raw.is_closed()
    ask(served.address, files.credentials())


def test_a_handshake_that_stalls_is_cut_off(
    serve: Callable[..., TlsServed], files: TlsFiles
) -> None:
    served = serve(**files.settings())
    silent = http2.Http2Connection(served.address, greets=False)
    half = http2.Http2Connection(served.address, greets=False)
    half.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40))
    ask(served.address, files.credentials())
    assert silent.is_closed(5)
    assert half.is_closed(5)
    # Handshakes that end in the middle leave nothing behind.
    for size in range(0, 200, 10):
        cut = http2.Http2Connection(served.address, greets=False)
        cut.send((b"\x16\x03\x01\x00\xf0" + bytes(range(256)))[:size])
        cut.close()
    until = time.monotonic() + 10
    while served.frontend.counts["open_connections"] and time.monotonic() < until:
        time.sleep(0.05)
    assert served.frontend.counts["open_connections"] == 0


def test_clients_must_show_a_certificate_where_an_authority_is_named(
    serve: Callable[..., TlsServed], files: TlsFiles
) -> None:
    served = serve(**files.settings(asks_clients=True))
    assert ask(served.address, files.credentials("pilot")).model_version == "1"
    for credentials in (files.credentials(), files.credentials("pilot", elsewhere=True)):
        with pytest.raises(grpc.RpcError) as caught:
            ask(served.address, credentials, timeout=3)
        error: Any = caught.value
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert served.counted() == {"answered": 1}


def test_callers_are_known_by_the_name_in_their_certificate(
    serve: Callable[..., TlsServed], files: TlsFiles
) -> None:
    served = serve(**files.settings(asks_clients=True))
    bad = oip.ModelInferRequest(model_name="eta")
    with capture_logs() as lines:
        for name in ("pilot", "Zoë"):
            with pytest.raises(grpc.RpcError):
                ask(served.address, files.credentials(name), bad)
    assert [line["caller"] for line in lines] == ["pilot", "Zoë"]


def test_a_renewed_certificate_needs_no_restart(
    serve: Callable[..., TlsServed], files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "CHECK_SECONDS", 0.05)
    served = serve(**files.settings())

    def shown() -> str:
        with connect(served.address, files.context("h2")) as channel:
            return ssl.DER_cert_to_PEM_cert(channel.getpeercert(binary_form=True) or b"")

    first = files.certificate.read_text()
    assert shown() in first
    with grpc.secure_channel(served.address, files.credentials()) as channel:
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        stub.ModelInfer(request(), timeout=10)
        # One without the other changes nothing.
        whole = files.key.read_bytes(), files.certificate.read_bytes()
        files.key.write_bytes(b"not a key")
        time.sleep(0.3)
        assert shown() in first
        files.key.write_bytes(whole[0])
        second = files.renew().decode()
        until = time.monotonic() + 10
        while shown() not in second and time.monotonic() < until:
            time.sleep(0.05)
        assert shown() in second
        opened = served.frontend.counts["connections"]
        stub.ModelInfer(request(), timeout=10)
        assert served.frontend.counts["connections"] == opened


def test_files_that_are_not_to_be_used_are_reported(served: Any, files: TlsFiles) -> None:
    other = TlsFiles(files.folder / "other")
    nonsense = files.folder / "nonsense"
    nonsense.write_text("nonsense")
    for wrong, told in (
        ({"certificate_file": nonsense}, "certificate_file"),
        ({"certificate_file": files.folder / "nowhere"}, "certificate_file"),
        ({"key_file": nonsense}, "key_file"),
        ({"key_file": other.key}, "key_file: .*mismatch"),
        ({"client_authority_file": nonsense}, "client_authority_file"),
    ):
        settings = FrontendSettings(port=0, **(files.settings(asks_clients=True) | wrong))
        frontend = NativeFrontend(served.handler, settings)
        with pytest.raises(ConfigurationError, match=f"TLS cannot begin with .*/door.*: {told}"):
            served.run(frontend.open())


def test_many_handshakes_at_once_hold_up_no_one(
    serve: Callable[..., TlsServed], files: TlsFiles
) -> None:
    served = serve(**files.settings())
    failures: list[Any] = []

    def come_and_go() -> None:
        for _ in range(5):
            try:
                ask(served.address, files.credentials(), timeout=20)
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert served.frontend.counts["taken"] == 40


def test_the_frontend_for_tls_is_the_native_one_where_openssl_is(
    served: Any, files: TlsFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def choose(**settings: Any) -> Any:
        return type(make_frontend("auto", served.handler, FrontendSettings(port=0, **settings)))

    beyond = {"host": "0.0.0.0", **files.settings(asks_clients=True)}
    assert served.run(choose(**files.settings())) is NativeFrontend
    assert served.run(choose(**beyond)) is NativeFrontend
    monkeypatch.setattr(native_frontend, "missing_tls", lambda: "libssl is gone")
    assert served.run(choose(**files.settings())) is GrpcFrontend
    assert served.run(choose()) is NativeFrontend
