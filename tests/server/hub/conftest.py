"""A real hub on free ports, and whoever speaks with it over real TLS and HTTP."""

import importlib.util
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gnomon.bench.hub import postgres
from gnomon.logs import to_standard_error
from gnomon.proto import hub_pb2, hub_pb2_grpc
from gnomon.runtime.errors import ConfigurationError, GnomonError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.wire import read_error
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubAddresses, HubSettings
from gnomon.server.hub.store.database import Database
from tests.support.hub_world import World
from tests.support.webhook_receiver import Receiver

CALL_SECONDS = 20

#: Set, every test runs on PostgreSQL as well, not only those that are marked.
ALL_DATABASES = "GNOMON_TEST_ALL_DATABASES"

#: A hub that was killed is tried again soon.
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 10_000),  # how long an attempt may take
    ("grpc.max_reconnect_backoff_ms", 200),
)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certificate_request(key: Any, name: str) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def key_pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def call(method: Any, request: Any) -> Any:
    """Call, and raise the error that the hub named; another failure stays gRPC's."""
    try:
        return method(request, timeout=CALL_SECONDS)
    except grpc.RpcError as error:
        known = read_error(error.details() or "", error.trailing_metadata() or ())
        if isinstance(known, GnomonError):
            raise known from error
        raise


@dataclass
class Party:
    """Somebody with a certificate (or without one), and the stubs that they call."""

    channel: grpc.Channel

    def __post_init__(self) -> None:
        self.sync = hub_pb2_grpc.SyncStub(self.channel)
        self.registry = hub_pb2_grpc.RegistryStub(self.channel)
        self.enrolment = hub_pb2_grpc.EnrolmentStub(self.channel)

    def enrol(self, token: str, key: Any, name: str) -> hub_pb2.EnrollResponse:
        request = certificate_request(key, name)
        message = hub_pb2.EnrollRequest(token=token, certificate_request=request)
        return call(self.enrolment.Enroll, message)

    def exchange(self, **fields: Any) -> hub_pb2.ExchangeResponse:
        return call(self.sync.Exchange, hub_pb2.ExchangeRequest(boot="b", **fields))

    def upload(self, *records: hub_pb2.Record | bytes, boot: str = "b") -> int:
        data = [one if isinstance(one, bytes) else one.SerializeToString() for one in records]
        request = hub_pb2.UploadRequest(boot=boot, records=data)
        return call(self.sync.Upload, request).watermark

    def blobs(self, *digests: str) -> list[bytes]:
        def fetch(request: Any, timeout: float) -> list[bytes]:
            return [blob.data for blob in self.sync.GetBlobs(request, timeout=timeout)]

        return call(fetch, hub_pb2.GetBlobsRequest(digests=digests))

    def put(self, *blobs: tuple[str, bytes]) -> int:
        stream = iter([hub_pb2.Blob(digest=digest, data=data) for digest, data in blobs])
        return call(self.registry.PutBlobs, stream).stored

    def publish(self, package: Package) -> hub_pb2.PublishResponse:
        self.put(*package.iter_blobs())
        return self.publish_digest(package.digest, *package.envelopes)

    def ask(self, operation: str, **parameters: Any) -> Any:
        request = hub_pb2.Question(operation=operation, parameters=json.dumps(parameters).encode())
        return json.loads(call(self.registry.Ask, request).value)

    def registry_call(self, method: str, request: Any) -> Any:
        """Call a typed method of the registry."""
        return call(getattr(self.registry, method), request)

    def publish_digest(self, digest: str, *envelopes: bytes) -> hub_pb2.PublishResponse:
        request = hub_pb2.PublishRequest(digest=digest, envelopes=envelopes)
        return call(self.registry.Publish, request)


class Caller:
    """Whoever knows a hub's addresses and may use its REST interface."""

    def __init__(self, addresses: HubAddresses) -> None:
        self.addresses = addresses
        self.http = httpx.Client(base_url=addresses.rest, timeout=CALL_SECONDS, trust_env=False)
        self._channels: list[grpc.Channel] = []

    def get(self, path: str, **parameters: Any) -> Any:
        return self.http.get(f"/api/v1/{path}", params=parameters).raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return self.http.post(f"/api/v1/{path}", json=body).raise_for_status().json()

    def token(self, role: str, name: str | None = None) -> dict[str, Any]:
        return self.post("tokens", role=role, name=name)

    def stranger(self, token: dict[str, Any], address: str | None = None) -> Party:
        credentials = grpc.ssl_channel_credentials(token["authority"].encode())
        return self._party(address or token["enrolment"], credentials)

    def enrol(self, role: str, name: str) -> Party:
        token, key = self.token(role, name), new_key()
        answer = self.stranger(token).enrol(token["token"], key, name)
        return self.known(answer.authority, key, answer.certificate)

    def known(self, authority: bytes, key: Any, certificate: bytes) -> Party:
        credentials = grpc.ssl_channel_credentials(authority, key_pem(key), certificate)
        return self._party(self.addresses.sync, credentials)

    def _party(self, address: str, credentials: grpc.ChannelCredentials) -> Party:
        self._channels.append(grpc.secure_channel(address, credentials, OPTIONS))
        return Party(self._channels[-1])

    def close(self) -> None:
        self.http.close()
        for channel in self._channels:
            channel.close()


def settings_in(folder: Path) -> HubSettings:
    return HubSettings(
        data_folder=folder,
        rest_port=0,
        enrolment_port=0,
        sync_port=0,
        tick_seconds=3_600,
        node_call_ms=250,
    )


@pytest.fixture(scope="session", autouse=True)
def _log() -> None:
    to_standard_error(logging.WARNING)


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a hub that has been started once and holds nothing yet."""
    folder = tmp_path_factory.mktemp("first") / "hub"
    folder.mkdir(mode=0o700)
    Authority.in_folder(folder)
    Database.in_folder(folder).close()
    return folder


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: runs on SQLite and on PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("both_databases") or ALL_DATABASES in os.environ
    if marked and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "sqlite")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL with a database `first`: a hub's that has been started once."""
    try:
        server = postgres.running(durable=False)
        with server as running:
            Database(running.create_database("first")).close()
            yield running
    except ConfigurationError as error:
        pytest.skip(f"not tested on PostgreSQL: {error}")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A program that webhooks tell."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server, which the usual variables name."""
    moto = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (
            ("ACCESS_KEY_ID", "test"),
            ("SECRET_ACCESS_KEY", "test"),
            ("REGION", "us-east-1"),
            ("ENDPOINT", address),
            ("ALLOW_HTTP", "true"),
        ):
            environment.setenv(f"AWS_{name}", value)
        yield address
    server.stop()


@pytest.fixture
def s3_url(s3_server: str) -> str:
    """Name a new bucket."""
    bucket = f"test-{secrets.token_hex(4)}"
    httpx.put(f"{s3_server}/{bucket}", trust_env=False).raise_for_status()
    return f"s3://{bucket}/hub"


@pytest.fixture
def new_database_url(
    tmp_path: Path, database_kind: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[], str]]:
    """Name a new database each time."""
    names: list[str] = []

    def sqlite() -> str:
        names.append(f"hub{len(names) or ''}.db")
        return f"sqlite:///{tmp_path / names[-1]}"

    def postgresql() -> str:
        names.append(f"test_{secrets.token_hex(4)}")
        return server.create_database(names[-1], template="first")

    if database_kind == "sqlite":
        yield sqlite
        return
    server: postgres.Postgres = request.getfixturevalue("postgres_server")
    yield postgresql
    for name in names:
        server.drop_database(name)


@pytest.fixture
def database_url(new_database_url: Callable[[], str]) -> str:
    return new_database_url()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def settings(
    tmp_path: Path, first_start: Path, database_kind: str, request: pytest.FixtureRequest
) -> HubSettings:
    shutil.copytree(first_start, tmp_path / "hub")
    settings = settings_in(tmp_path / "hub")
    if database_kind == "sqlite":
        return settings
    return replace(settings, database_url=request.getfixturevalue("database_url"))


@pytest.fixture(scope="module")
def shared_caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A caller of a hub of the whole module's, for tests that change nothing there."""
    hub = Hub(settings_in(tmp_path_factory.mktemp("shared") / "hub"))
    hub.start()
    caller = Caller(hub.addresses)
    yield caller
    caller.close()
    hub.stop()


@pytest.fixture
def hub(settings: HubSettings) -> Iterator[Hub]:
    hub = Hub(settings)
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def caller(hub: Hub) -> Iterator[Caller]:
    caller = Caller(hub.addresses)
    yield caller
    caller.close()


@pytest.fixture
def caller_of() -> Iterator[Callable[[HubAddresses], Caller]]:
    callers: list[Caller] = []

    def caller_of(addresses: HubAddresses) -> Caller:
        callers.append(Caller(addresses))
        return callers[-1]

    yield caller_of
    for caller in callers:
        caller.close()


@pytest.fixture
def fresh_key() -> Callable[[], Any]:
    return new_key


@pytest.fixture(scope="session")
def packages() -> ModuleType:
    """What makes the small packages that the runtime's tests use."""
    path = Path(__file__).parents[2] / "runtime" / "conftest.py"
    spec = importlib.util.spec_from_file_location("gnomon_test_packages", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def signer(caller: Caller) -> Signer:
    """A builder's key that the hub trusts."""
    signer = Signer.generate()
    caller.post("keys", key=signer.public_key.hex(), name="ada")
    return signer


@pytest.fixture
def make(tmp_path: Path, packages: ModuleType, signer: Signer) -> Callable[..., Package]:
    """Write a small package, signed by a key that the hub trusts, and tested, unless told so."""

    def make(version: str = "1", **options: Any) -> Package:
        options.setdefault("test_passed", True)
        folder = tmp_path / f"package-{len(list(tmp_path.iterdir()))}"
        return packages.make_package(
            folder, options.pop("signer", signer), version=version, **options
        )

    return make


@pytest.fixture
def builder(caller: Caller) -> Party:
    return caller.enrol("builder", "ada")


@pytest.fixture
def node(caller: Caller) -> Party:
    return caller.enrol("node", "device-1")


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture(scope="session")
def new_world() -> Callable[[Path], World]:
    """Make a world of its own in a folder."""
    return lambda folder: World(Database.in_folder(folder))
