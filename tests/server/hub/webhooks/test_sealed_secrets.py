"""Secrets of webhooks that an earlier hub stored in clear text are sealed when a hub starts."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select, text

from gnomon.runtime.errors import StorageError
from gnomon.runtime.webhooks import verify
from gnomon.server.hub.monitoring import alerts
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import migrations, schema
from gnomon.server.hub.webhooks.signing_secrets import SigningSecrets
from tests.support.waiting import wait_for
from tests.support.webhook_receiver import Receiver

SECRET = "gnomon_vDq3rX0mJk5uWb7Zy1Ts9QeLc2Hf4Ng6PaRi8Ox_0KM"

INSERT = """
INSERT INTO webhook (id, name, url, events, models, secret, since, created_at, actor)
VALUES ('W1', 'board', :url, '["*"]', '*', :secret, 0, 1, 'ada')
"""


@pytest.fixture
def old_hub(tmp_path: Path, receiver: Receiver, settings: HubSettings) -> HubSettings:
    """A data folder whose database is of the first version with webhooks, and has one."""
    path = settings.data_folder / "hub.db"
    path.unlink()
    engine = create_engine(f"sqlite:///{path}")
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations.FOLDER))
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0005")
        connection.execute(text(INSERT), {"url": receiver.url, "secret": SECRET})
    engine.dispose()
    assert SECRET.encode() in path.read_bytes()
    return settings


@pytest.fixture
def hub(old_hub: HubSettings) -> Iterator[Hub]:
    hub = Hub(dataclasses.replace(old_hub, tick_seconds=0.05))
    hub.start()
    yield hub
    hub.stop()


def stored(hub: Hub) -> str:
    with hub.services.database.read() as connection:
        return str(connection.scalar(select(schema.webhook.c.secret)))


def test_a_hub_of_before_signs_as_before_and_holds_no_secret_in_clear_text(
    hub: Hub, receiver: Receiver
) -> None:
    with hub.services.database.write() as connection:
        alerts.raise_alert(connection, alerts.Condition("eta", "all_moved", "", "", "1", "moved"))
    (headers, body), *_ = wait_for(lambda: receiver.got)
    assert verify(SECRET, headers["gnomon-signature"], body)
    sealed = stored(hub)
    assert SECRET.removeprefix("gnomon_")[:20] not in sealed
    for file in hub.services.settings.data_folder.glob("hub.db*"):
        assert SECRET.encode() not in file.read_bytes()
    settings = hub.services.settings
    hub.stop()
    again = Hub(dataclasses.replace(settings, rest_port=0))
    assert stored(again) == sealed
    assert again.services.webhook_secrets.of("W1", sealed) == SECRET
    again.stop()


@given(st.binary(min_size=32, max_size=32), st.text(max_size=26))
def test_what_is_sealed_is_opened_by_the_same_key_for_the_same_webhook_alone(
    key: bytes, webhook: str
) -> None:
    secrets = SigningSecrets(key)
    sealed = secrets.seal(webhook, SECRET)
    assert len(sealed) == 64  # as long as the column
    assert secrets.of(webhook, sealed) == SECRET
    for other in (secrets, SigningSecrets(key + b"x")):
        with pytest.raises(StorageError, match="cannot be opened"):
            other.of(f"{webhook}-" if other is secrets else webhook, sealed)


@pytest.mark.parametrize("damaged", ["A" * 64, "x", "€"])
def test_a_damaged_secret_is_named(damaged: str) -> None:
    with pytest.raises(StorageError, match="secret of webhook W1 cannot be opened"):
        SigningSecrets(b"k").of("W1", damaged)
