"""TLS at every frontend: only suites that HTTP/2 allows, and failed handshakes in the log."""

import datetime
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from gnomon.runtime.packages.package import Package
from gnomon.server.rest import certificates
from gnomon.server.rest.ciphers import TLS12_CIPHERS
from gnomon.server.serving.native.loop import missing_library, missing_tls
from tests.server.serving.conformance.house import House
from tests.support.packages import make_package
from tests.support.tls_files import TlsFiles
from tests.support.waiting import wait_for

#: All suites that OpenSSL knows but for those that are allowed.
OTHER_CIPHERS = "ALL:COMPLEMENTOFALL:!" + ":!".join(TLS12_CIPHERS.split(":"))
FRONTENDS = [
    pytest.param(
        "native",
        marks=pytest.mark.skipif(
            (missing_library() or missing_tls()) is not None,
            reason="libnghttp2 or OpenSSL 3 is not installed (packages libnghttp2-14, libssl3)",
        ),
    ),
    "grpcio",
    "rest",
]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)


@pytest.fixture
def serve(package: Package, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Open all frontends with TLS; gives the address of one."""
    monkeypatch.setattr(certificates, "CHECK_SECONDS", 0.05)
    houses: list[House] = []

    def serve(frontend: str, **settings: Any) -> str:
        only = () if frontend == "rest" else (frontend,)
        houses.append(House([package], only=only, **settings))
        return houses[-1].addresses[frontend].removeprefix("https://")

    yield serve
    for house in houses:
        house.close()


def write_certificate(folder: Path, key: Any) -> dict[str, Path]:
    """Write a self-signed certificate for localhost; return the settings for it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "c.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"certificate_file": folder / "c.pem", "key_file": folder / "k.pem"}


def agree(address: str, ciphers: str, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> str:
    """Return the suite that a handshake agrees on; raises `OSError` if there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        found = secure.cipher()
        assert found is not None
        return found[0]


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
@pytest.mark.parametrize("frontend", FRONTENDS)
def test_only_suites_with_forward_secrecy_and_authenticated_encryption(
    serve: Callable[..., str], tmp_path: Path, frontend: str, kind: str
) -> None:
    key: Any = (
        rsa.generate_private_key(65537, 2048)
        if kind == "RSA"
        else ec.generate_private_key(ec.SECP256R1())
    )
    address = serve(frontend, **write_certificate(tmp_path, key))
    allowed = [one for one in TLS12_CIPHERS.split(":") if kind in one]
    with pytest.raises(OSError, match=r"(?i)handshake|reset|closed|eof"):
        agree(address, OTHER_CIPHERS)
    for wanted in ("AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-AES128-SHA256"):
        with pytest.raises(OSError, match=r"(?i)handshake|reset|closed|eof"):
            agree(address, wanted)
    for one in allowed:
        if frontend != "grpcio" or "CHACHA20" not in one:
            assert agree(address, one) == one
    if frontend != "grpcio":
        assert agree(address, ":".join(reversed(allowed))) == allowed[0]
    assert agree(address, "ALL", version=ssl.TLSVersion.TLSv1_3).startswith("TLS_")


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_a_renewed_certificate_allows_no_other_suites(
    serve: Callable[..., str], tmp_path: Path, frontend: str
) -> None:
    address = serve(
        frontend, **write_certificate(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    )
    write_certificate(tmp_path, rsa.generate_private_key(65537, 2048))

    def is_renewed() -> bool:
        try:
            return bool(agree(address, "ECDHE-RSA-AES128-GCM-SHA256"))
        except OSError:
            return False

    wait_for(is_renewed)
    with pytest.raises(OSError, match=r"(?i)handshake|reset|closed|eof"):
        agree(address, OTHER_CIPHERS)


@pytest.mark.parametrize("frontend", [one for one in FRONTENDS if one != "grpcio"])
def test_a_handshake_that_fails_leaves_a_line(
    serve: Callable[..., str], tmp_path: Path, caplog: pytest.LogCaptureFixture, frontend: str
) -> None:
    files = TlsFiles(tmp_path)
    address = serve(frontend, **files.settings(asks_clients=True))
    with caplog.at_level(logging.WARNING):
        # A probe of the port is no handshake.
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=10).close()
        credentials = files.credentials("pilot", elsewhere=True)
        channel = grpc.secure_channel(address, credentials)
        until = time.monotonic() + 20
        while not any("TLS handshakes" in line for line in caplog.messages):
            with pytest.raises(grpc.FutureTimeoutError):
                grpc.channel_ready_future(channel).result(0.2)
            assert time.monotonic() < until
        channel.close()
    (line,) = [one for one in caplog.messages if "TLS handshakes" in one]
    assert f"frontend {frontend} failed" in line
    assert "unable to get local issuer certificate" in line or "signature" in line
