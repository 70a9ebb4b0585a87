"""A node's standing with a real hub: enrolment that was cut off, renewal, refusal."""

import dataclasses
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from gnomon.client.registry import BuilderSettings, RegistryClient
from gnomon.edge.backoff import Backoff
from gnomon.edge.settings import NodeSettings
from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment import hub_channel
from gnomon.runtime.enrolment.enrolment import Enrolment
from gnomon.runtime.enrolment.identity import IdentityFolder, decode_identity
from gnomon.runtime.errors import ConfigurationError, GnomonError, HubUnavailable, NotAllowed
from gnomon.runtime.packages.signing import Signer
from gnomon.runtime.state_file import seal, unseal
from tests.support.hub_process import HubProcess


@pytest.fixture
def make(hub: Any, tmp_path: Path) -> Iterator[Any]:
    made: list[Enrolment] = []

    def make(name: str, folder: str = "node", **settings: Any) -> Enrolment:
        made.append(
            Enrolment(
                NodeSettings(
                    name=name,
                    data_folder=tmp_path / folder,
                    **{**addresses(hub), **settings},
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


@pytest.mark.slow
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


def test_only_what_another_try_does_not_change_is_a_final_refusal(make: Any) -> None:
    token = {"token": "gnomon_of_another_day"}
    for settings, final in (
        ({}, True),
        (token, True),
        ({**token, "enrolment": "127.0.0.1:9"}, False),
    ):
        enrolment = make("nobody", **settings)
        with pytest.raises(GnomonError) as caught:
            enrolment.connect()
        assert enrolment.refusal is (caught.value if final else None)


@pytest.mark.slow
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


def test_pauses_grow_to_a_bound_and_start_again() -> None:
    backoff = Backoff(first_seconds=1.0, longest_seconds=60.0)
    bounds = [1, 2, 4, 8, 16, 32, 60, 60]
    for bound in bounds:
        assert 0 <= backoff.failed() <= bound
    backoff.succeeded()
    assert backoff.failed() <= 1


def refused(enrolment: Enrolment) -> GnomonError:
    with pytest.raises(GnomonError) as caught:
        exchange(enrolment)
    return enrolment.explain_failure(caught.value)


def expire_by_x509(hub: Any, folder: Path) -> None:
    """Replace a node's certificate by one as earlier hubs issued them, at its end."""
    key = serialization.load_pem_private_key(
        (hub.folder / "hub" / "authority.key").read_bytes(), None
    )
    path = folder / "identity.json"
    identity = decode_identity(unseal(path.read_bytes()))
    issued = x509.load_pem_x509_certificate(identity.certificate)
    now = datetime.now(UTC)
    expired = (
        x509.CertificateBuilder()
        .subject_name(issued.subject)
        .issuer_name(issued.issuer)
        .public_key(issued.public_key())
        .serial_number(issued.serial_number)
        .not_valid_before(now - timedelta(days=31))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = expired.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(seal(msgspec.json.encode(msgspec.structs.replace(identity, certificate=pem))))


def forget(hub: Any, name: str) -> None:
    """Delete a node from the hub's database, as a backup from before its enrolment has it."""
    hub.kill()  # it remembers who is enrolled
    with sqlite3.connect(hub.folder / "hub" / "hub.db", timeout=20) as connection:
        connection.execute("DELETE FROM node WHERE name = ?", (name,))
    hub.start()


@pytest.mark.parametrize("cause", ["expired", "revoked", "forgotten"])
def test_a_token_for_its_name_replaces_a_certificate_that_does_not_hold(
    hub: Any, make: Any, tmp_path: Path, cause: str
) -> None:
    first, folder = hub.token(), tmp_path / "node" / "identity"
    exchange(make(cause, token=first))
    if cause == "expired":
        expire_by_x509(hub, folder)
    elif cause == "revoked":
        hub.post(f"nodes/{cause}/revoke")
    else:
        forget(hub, cause)
    before = (folder / "identity.json").read_bytes()
    told = refused(make(cause, token=first))
    assert {"expired": "expired at", "revoked": "revoked", "forgotten": "not enrolled"}[
        cause
    ] in str(told)
    with pytest.raises(GnomonError):
        exchange(make(cause, token=first))
    stale = make(cause, token="gnomon_of_another_day")
    refused(stale)
    with pytest.raises(GnomonError):
        exchange(stale)  # a token that the hub does not take changes nothing
    assert (folder / "identity.json").read_bytes() == before
    enrolment = make(cause, token=hub.post("tokens", role="node", name=cause)["token"])
    refused(enrolment)
    assert exchange(enrolment).call_again_ms == 100
    enrolment.record_success()
    assert exchange(make(cause)).call_again_ms == 100


def test_a_token_that_the_hub_refuses_is_tried_once(
    hub: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(make("hopeless", token=hub.token()))
    hub.post("nodes/hopeless/revoke")
    addresses_tried: list[str] = []

    def enrol(address: str, *rest: Any) -> hub_pb2.EnrollResponse:
        addresses_tried.append(address)
        return hub_channel.enrol(address, *rest)

    monkeypatch.setattr("gnomon.runtime.enrolment.enrolment.enrol", enrol)
    enrolment = make("hopeless", token="gnomon_of_another_day")
    for _ in range(3):
        refused(enrolment)
    assert len(addresses_tried) == 1


@pytest.mark.slow
def test_nodes_and_builders_come_back_after_their_certificates_have_expired(
    make: Any, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("short-lived")
    hub = HubProcess(folder, Signer.generate(), certificate_days=5 / 86_400)
    builder = BuilderSettings(
        name="grace", data_folder=tmp_path / "builder", token=hub.token("builder"), **addresses(hub)
    )
    try:
        RegistryClient(builder).close()
        running = make("offline", token=hub.token(), **addresses(hub))
        exchange(running)
        exchange(make("started-again", "other", token=hub.token(), **addresses(hub)))
        again = make("started-again", "other", **addresses(hub))
        assert again.validity is not None
        while datetime.now(UTC) <= again.validity[1]:
            time.sleep(0.05)
        running.renew_if_due(datetime.now(UTC) - timedelta(days=1))  # its clock is wrong
        for node in (running, again):
            assert "has expired at" in str(refused(node))
            assert exchange(node).call_again_ms == 100
        RegistryClient(dataclasses.replace(builder, token="")).close()
        renewed = IdentityFolder(tmp_path / "builder" / "identity").load()
        assert renewed is not None
        assert renewed.validity[1] > datetime.now(UTC)
    finally:
        hub.kill()


def test_a_renewal_is_tried_before_the_former_certificate_is_abandoned(
    hub: Any, make: Any, tmp_path: Path
) -> None:
    enrolment = make("careful", token=hub.token())
    exchange(enrolment)
    enrolment.record_success()
    former = enrolment.validity
    enrolment.renew_if_due(datetime.now(UTC) + timedelta(days=21))
    renewed = enrolment.validity
    assert renewed != former
    enrolment.connect()
    for other in (former, renewed):  # whichever is in use when a call fails
        enrolment.explain_failure(HubUnavailable("the connection was cut"))
        assert enrolment.validity == other
        assert exchange(enrolment).call_again_ms == 100
    enrolment.record_success()


@pytest.mark.parametrize("name", ["key.pem", "identity.json"])
def test_one_damaged_copy_of_the_identity_needs_no_token(
    hub: Any, make: Any, tmp_path: Path, name: str
) -> None:
    owner = f"damaged-{name.partition('.')[0]}"
    exchange(make(owner, token=hub.token()))
    folder = tmp_path / "node" / "identity"
    (folder / name).write_bytes(b"x")
    assert exchange(make(owner)).call_again_ms == 100
    (folder / f"{name}.old").write_bytes(b"x")
    (folder / name).write_bytes(b"x")
    with pytest.raises(GnomonError, match=r"damaged|cannot be used"):
        exchange(make(owner))
    token = hub.post("tokens", role="node", name=owner)["token"]
    assert exchange(make(owner, token=token)).call_again_ms == 100


def addresses(hub: HubProcess) -> dict[str, Any]:
    authority = hub.folder / "hub" / "authority.pem"
    return {"hub": hub.sync, "enrolment": hub.enrolment, "authority_file": authority}
