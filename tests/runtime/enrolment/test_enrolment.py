"""A node's standing with a real hub: enrolment that was cut off, renewal, refusal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gnomon.edge.backoff import Backoff
from gnomon.edge.settings import NodeSettings
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.errors import ConfigurationError, HubUnavailable, NotAllowed


@pytest.fixture
def make(hub: Any, tmp_path: Path) -> Iterator[Any]:
    made: list[Enrolment] = []

    def make(name: str, folder: str = "node", **settings: Any) -> Enrolment:
        made.append(
            Enrolment(
                NodeSettings(
                    name=name,
                    data_folder=tmp_path / folder,
                    authority_file=hub.folder / "hub" / "authority.pem",
                    enrolment=hub.enrolment,
                    **{"hub": hub.sync, **settings},
                ),
                {"engines": "onnx"},
            )
        )
        return made[-1]

    yield make
    for enrolment in made:
        enrolment.close()


def exchange(enrolment: Enrolment) -> hub_pb2.ExchangeResponse:
    return enrolment.connect().exchange(hub_pb2.ExchangeRequest(boot="b", sequence=1))


def test_an_enrolment_whose_answer_was_lost_is_repeated(
    hub: Any, make: Any, tmp_path: Path
) -> None:
    token = hub.token()
    exchange(make("cut-off", token=token))
    (tmp_path / "node" / "identity" / "identity.json").unlink()
    assert exchange(make("cut-off", token=token)).call_again_ms == 100
    with pytest.raises(NotAllowed, match="used before"):
        exchange(make("thief", folder="another", token=token))


def test_without_token_or_authority_the_message_says_what_to_give(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="token"):
        make("tokenless").connect()
    with pytest.raises(ConfigurationError, match="authority_fingerprint"):
        Enrolment(NodeSettings(hub="localhost:1", token="t"), {}).connect()


def test_a_certificate_is_renewed_when_two_thirds_of_its_life_have_passed(
    hub: Any, make: Any, tmp_path: Path
) -> None:
    enrolment = make("renewed", token=hub.token())
    exchange(enrolment)
    path = tmp_path / "node" / "identity" / "identity.json"
    first = path.read_bytes()
    enrolment.renew_if_due(datetime.now(UTC) + timedelta(days=19))
    assert path.read_bytes() == first
    enrolment.renew_if_due(datetime.now(UTC) + timedelta(days=21))
    assert path.read_bytes() != first
    assert exchange(enrolment).call_again_ms == 100
    assert exchange(make("renewed")).call_again_ms == 100


def test_a_renewal_that_fails_changes_nothing(hub: Any, make: Any, tmp_path: Path) -> None:
    exchange(make("unlucky", token=hub.token()))
    enrolment = make("unlucky", hub="127.0.0.1:9")
    enrolment.connect()
    path = tmp_path / "node" / "identity" / "identity.json"
    first = path.read_bytes()
    enrolment.renew_if_due(datetime.now(UTC) + timedelta(days=21))
    with pytest.raises(HubUnavailable):
        exchange(enrolment)
    assert path.read_bytes() == first
    assert exchange(make("unlucky")).call_again_ms == 100


def test_pauses_grow_to_a_bound_and_start_anew() -> None:
    backoff = Backoff(first_seconds=1.0, longest_seconds=60.0)
    bounds = [1, 2, 4, 8, 16, 32, 60, 60]
    for bound in bounds:
        assert 0 <= backoff.failed() <= bound
    backoff.succeeded()
    assert backoff.failed() <= 1
