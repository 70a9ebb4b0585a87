"""A real hub on free ports, and whoever speaks with it over real TLS and HTTP."""

import logging
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gnomon.bench.hub import postgres
from gnomon.logs.setup import set_up_logging
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer
from gnomon.server.hub.access.authority import Authority
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubAddresses, HubSettings
from gnomon.server.hub.store.database import Database
from tests.support.hub import Caller, Party, new_key, settings_in
from tests.support.hub_world import World
from tests.support.packages import make_package
from tests.support.webhook_receiver import Receiver

#: Set, every test runs on PostgreSQL as well, not only those that are marked.
ALL_DATABASES = "GNOMON_TEST_ALL_DATABASES"

DATABASE_KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="session", autouse=True)
def _log() -> None:
    set_up_logging(automatic=logging.WARNING)


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a hub that has been started once and holds nothing yet."""
    folder = tmp_path_factory.mktemp("first") / "hub"
    folder.mkdir(mode=0o700)
    Authority.in_folder(folder)
    Database.in_folder(folder).close()
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marked = metafunc.definition.get_closest_marker("both_databases") or ALL_DATABASES in os.environ
    if marked and "database_kind" in metafunc.fixturenames:
        metafunc.parametrize("database_kind", DATABASE_KINDS, indirect=True)


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
def kept_process() -> Iterator[None]:
    """Undo what `gnomon hub run` changes of its process, for tests that call it in theirs."""
    umask = os.umask(0o022)
    os.umask(umask)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    os.umask(umask)
    for number, handler in handlers.items():
        signal.signal(number, handler)


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
    tmp_path: Path, first_start: Path, database_kind: str, request: pytest.FixtureRequest
) -> Iterator[Callable[[], str]]:
    """Name a new database each time, of a hub that has been started once."""
    names: list[str] = []

    def sqlite() -> str:
        names.append(f"hub{len(names) or ''}.db")
        shutil.copy(first_start / "hub.db", tmp_path / names[-1])
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


@pytest.fixture
def signer(caller: Caller) -> Signer:
    """A builder's key that the hub trusts."""
    signer = Signer.generate()
    caller.post("keys", key=signer.public_key.hex(), name="ada")
    return signer


@pytest.fixture
def make(tmp_path: Path, signer: Signer) -> Callable[..., Package]:
    """Write a small package, signed by a key that the hub trusts, and tested, unless told so."""

    def make(version: str = "1", **options: Any) -> Package:
        options.setdefault("test_passed", True)
        folder = tmp_path / f"package-{len(list(tmp_path.iterdir()))}"
        return make_package(folder, options.pop("signer", signer), version=version, **options)

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
