"""Who gets a certificate, what it is good for, and who is refused."""

import contextlib
import dataclasses
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gnomon.proto import hub_pb2
from gnomon.runtime.enrolment.validity import read_validity
from gnomon.runtime.errors import ConfigurationError, Conflict, InvalidInput, NotAllowed
from gnomon.server.hub.access import nodes
from gnomon.server.hub.access.authority import (
    Authority,
    CertificateIdentity,
    read_identity,
    read_request,
)
from gnomon.server.hub.grpc.interceptor import RULES
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store import schema


def test_the_authority_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first, again = Authority.in_folder(tmp_path), Authority.in_folder(tmp_path)
    assert first.fingerprint == again.fingerprint
    assert len(first.fingerprint) == 64
    assert stat.S_IMODE((tmp_path / "authority.key").stat().st_mode) == 0o600


def test_a_start_that_was_cut_off_continues_with_its_key(tmp_path: Path) -> None:
    made = Authority.in_folder(tmp_path)
    (tmp_path / "authority.pem").unlink()
    assert Authority.in_folder(tmp_path).key_hash == made.key_hash


def test_a_damaged_authority_is_reported(tmp_path: Path) -> None:
    Authority.in_folder(tmp_path)
    (tmp_path / "authority.key").write_bytes(b"half a k")
    with pytest.raises(ConfigurationError, match="no usable authority"):
        Authority.in_folder(tmp_path)


def test_a_device_with_any_clock_can_verify_the_hub(tmp_path: Path) -> None:
    _, chain = Authority.in_folder(tmp_path).issue_server(("hub.example", "10.0.0.7"))
    for certificate in x509.load_pem_x509_certificates(chain):
        assert certificate.not_valid_before_utc == datetime(1970, 1, 1, tzinfo=UTC)
        assert certificate.not_valid_after_utc.year == 9999
    names = x509.load_pem_x509_certificates(chain)[0].extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost", "hub.example"]
    addresses = [str(one) for one in names.value.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "10.0.0.7"]


@pytest.mark.parametrize("data", [b"", b"\x30\x03\x02\x01\x01", b"x" * 1_000])
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="certificate request"):
        read_request(data)


def test_a_request_of_another_kind_of_key_is_refused(caller: Any) -> None:
    token = caller.token("node", "device-1")
    with pytest.raises(InvalidInput, match="P-256"):
        caller.stranger(token).enrol(
            token["token"], ec.generate_private_key(ec.SECP384R1()), "device-1"
        )


def test_a_certificate_says_who_for_how_long(hub: Hub, caller: Any, fresh_key: Any) -> None:
    token = caller.token("node", "device-1")
    answer = caller.stranger(token).enrol(token["token"], fresh_key(), "device-1")
    identity = read_identity(answer.certificate)
    assert (identity.name, identity.role) == ("device-1", "node")
    certificate = x509.load_pem_x509_certificate(answer.certificate)
    issued_at, expires_at = read_validity(certificate)
    assert (expires_at - issued_at).days == 30
    # TLS would decide by clocks that may be wrong.
    assert certificate.not_valid_before_utc.year == 1970
    assert certificate.not_valid_after_utc.year == 9999
    assert answer.authority == token["authority"].encode()
    (listed,) = caller.get("nodes")
    assert listed["certificate_serial"] == identity.serial


def test_trusted_keys_come_with_the_certificate(caller: Any, signer: Any, fresh_key: Any) -> None:
    token = caller.token("node", "device-1")
    answer = caller.stranger(token).enrol(token["token"], fresh_key(), "device-1")
    assert list(answer.trusted_keys) == [signer.public_key]


def test_a_token_is_good_for_one_key(caller: Any, fresh_key: Any) -> None:
    token, key = caller.token("node", "device-1"), fresh_key()
    stranger = caller.stranger(token)
    stranger.enrol(token["token"], key, "device-1")
    stranger.enrol(token["token"], key, "device-1")  # the first answer was lost
    with pytest.raises(NotAllowed, match="was used before, by 'device-1'"):
        stranger.enrol(token["token"], fresh_key(), "device-1")
    with pytest.raises(NotAllowed, match="not known"):
        stranger.enrol(token["token"][:-1], fresh_key(), "device-1")


def test_a_token_expires(hub: Hub, caller: Any, fresh_key: Any) -> None:
    token = caller.token("node", "device-1")
    with hub.services.database.write() as connection:
        connection.execute(schema.token.update().values(expires_at=1))
    with pytest.raises(NotAllowed, match="expired"):
        caller.stranger(token).enrol(token["token"], fresh_key(), "device-1")


def test_only_the_hash_of_a_token_is_kept(hub: Hub, caller: Any) -> None:
    token = caller.token("node", "device-1")["token"]
    hub.services.database.close()
    for path in hub.services.settings.data_folder.glob("hub.db*"):
        assert token.encode() not in path.read_bytes()


@pytest.mark.parametrize("name", ["device-2", "*", "device-1\n", "../device-1", "Device-1", ""])
def test_a_token_is_good_for_one_name(caller: Any, fresh_key: Any, name: str) -> None:
    token = caller.token("node", "device-1")
    with pytest.raises((NotAllowed, InvalidInput, ValueError)):
        caller.stranger(token).enrol(token["token"], fresh_key(), name)


def test_a_taken_name_needs_a_token_made_for_it(caller: Any, node: Any, fresh_key: Any) -> None:
    token = caller.token("node", "device-*")
    stranger = caller.stranger(token)
    with pytest.raises(Conflict, match="'device-1' is enrolled already"):
        stranger.enrol(token["token"], fresh_key(), "device-1")
    stranger.enrol(token["token"], fresh_key(), "device-2")
    caller.enrol("node", "device-1")


def test_a_certificate_is_renewed_by_itself(caller: Any, fresh_key: Any) -> None:
    token, key = caller.token("node", "device-1"), fresh_key()
    first = caller.stranger(token).enrol(token["token"], key, "device-1")
    known = caller.known(first.authority, key, first.certificate)
    younger = fresh_key()
    second = known.enrol("", younger, "device-1")
    assert read_identity(second.certificate).serial != read_identity(first.certificate).serial
    renewed = caller.known(second.authority, younger, second.certificate)
    assert renewed.exchange()
    with pytest.raises(NotAllowed, match="another key"):
        known.exchange()
    with pytest.raises(NotAllowed, match="may not renew as 'device-2'"):
        renewed.enrol("", fresh_key(), "device-2")


@pytest.mark.slow
def test_a_revoked_node_may_do_nothing(caller: Any, node: Any) -> None:
    node.exchange()
    caller.post("nodes/device-1/revoke")
    with pytest.raises(NotAllowed, match="revoked"):
        node.exchange()


def test_a_certificate_of_another_hub_is_worthless(
    caller: Any, tmp_path: Path, fresh_key: Any
) -> None:
    token = caller.token("node", "device-1")
    key = fresh_key()
    caller.stranger(token).enrol(token["token"], key, "device-1")
    foreign = Authority.in_folder(tmp_path)
    certificate, _ = foreign.issue_client(read_request(_request(key)), "node", 1)
    party = caller.known(token["authority"].encode(), key, certificate)
    with pytest.raises(grpc.RpcError) as caught:
        party.exchange()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def _request(key: Any) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "device-1")])
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_without_a_certificate_there_is_no_sync(caller: Any) -> None:
    token = caller.token("node")
    with pytest.raises(grpc.RpcError) as caught:
        caller.stranger(token, token["sync"]).exchange()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_enrolment_port_serves_only_enrolment(caller: Any) -> None:
    stranger = caller.stranger(caller.token("node"))
    for call in (stranger.exchange, stranger.upload, lambda: stranger.publish_digest("0" * 64)):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


CALLS = {
    "/gnomon.v1.Sync/Exchange": lambda party: party.exchange(),
    "/gnomon.v1.Sync/Upload": lambda party: party.upload(),
    "/gnomon.v1.Registry/PutBlobs": lambda party: party.put(),
    "/gnomon.v1.Registry/Publish": lambda party: party.publish_digest("0" * 64),
    "/gnomon.v1.Registry/FindMissing": lambda party: party.registry.FindMissing(
        hub_pb2.FindMissingRequest(), timeout=20
    ),
}


def test_each_role_may_call_its_own_and_no_more(caller: Any, node: Any, builder: Any) -> None:
    for party, role in ((node, "node"), (builder, "builder")):
        for method, call in CALLS.items():
            if role in RULES[method]:
                continue
            with pytest.raises((NotAllowed, grpc.RpcError), match=r"may not call|PERMISSION"):
                call(party)


def test_a_malformed_message_gets_a_typed_answer(node: Any) -> None:
    raw = node.channel.unary_unary("/gnomon.v1.Sync/Exchange")
    with pytest.raises(grpc.RpcError) as caught:
        raw(b"\xff\xff\xff", timeout=20)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["gnomon-code"] == "invalid_input"


def test_an_unexpected_error_says_nothing_of_the_inside(hub: Hub, node: Any) -> None:
    with hub.services.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE placement")
    with pytest.raises(Exception, match="the hub failed; its log tells why") as caught:
        node.exchange()
    assert "placement" not in str(caught.value)


@pytest.fixture
def short_lived(settings: Any) -> Iterator[Hub]:
    hub = Hub(dataclasses.replace(settings, certificate_days=4 / 86_400))
    hub.start()
    yield hub
    hub.stop()


@pytest.mark.slow
def test_an_expired_certificate_is_good_for_its_renewal_only(
    short_lived: Hub, caller_of: Any, fresh_key: Any
) -> None:
    caller = caller_of(short_lived.addresses)
    token, key = caller.token("node", "device-1"), fresh_key()
    answer = caller.stranger(token).enrol(token["token"], key, "device-1")
    connected = caller.known(answer.authority, key, answer.certificate)
    connected.exchange()
    _, end = read_validity(x509.load_pem_x509_certificate(answer.certificate))
    while datetime.now(UTC) <= end:
        time.sleep(0.05)
    connected = caller.known(answer.authority, key, answer.certificate)
    with pytest.raises(NotAllowed, match=f"has expired at {end:%Y-%m-%d}") as caught:
        connected.exchange()
    assert caught.value.details == ({"certificate": "expired"},)
    with pytest.raises(NotAllowed, match="may not renew as"):
        connected.enrol("", key, "device-2")
    renewed = connected.enrol("", key, "device-1")
    caller.known(answer.authority, key, renewed.certificate).exchange()


DAY = timedelta(days=1)


def enrolled(caller: Any, key: Any) -> CertificateIdentity:
    token = caller.token("node", "device-1")
    answer = caller.stranger(token).enrol(token["token"], key, "device-1")
    return read_identity(answer.certificate)


@pytest.mark.parametrize(
    ("issued", "expired", "problem"),
    [
        (-60 * DAY, -30 * DAY, ""),
        (-395 * DAY, -364 * DAY, ""),
        (-400 * DAY, -370 * DAY, "too long ago"),
        (21 * DAY, 51 * DAY, ""),  # the hub's clock was ahead
        (datetime(1971, 1, 1, tzinfo=UTC) - datetime.now(UTC), -18_000 * DAY, ""),  # was not set
    ],
)
def test_clocks_that_were_wrong_and_months_offline_do_not_end_a_renewal(
    hub: Hub, caller: Any, fresh_key: Any, issued: timedelta, expired: timedelta, problem: str
) -> None:
    identity = enrolled(caller, fresh_key())
    now = datetime.now(UTC)
    changed = dataclasses.replace(
        identity,
        issued_at=round((now + issued).timestamp() * 1000),
        expires_at=round((now + expired).timestamp() * 1000),
    )
    with pytest.raises(NotAllowed, match=problem) if problem else contextlib.nullcontext():
        nodes.check_enrolled(hub.services.database, changed, renews=True)


def test_another_key_of_the_name_and_a_revocation_end_a_certificate_of_any_time(
    hub: Hub, caller: Any, fresh_key: Any
) -> None:
    database = hub.services.database
    identity = enrolled(caller, fresh_key())
    future = dataclasses.replace(identity, issued_at=identity.issued_at + 10**10)
    nodes.check_enrolled(database, future)
    token = caller.token("node", "device-1")
    caller.stranger(token).enrol(token["token"], fresh_key(), "device-1")
    with pytest.raises(NotAllowed, match="another key"):
        nodes.check_enrolled(database, future)
    nodes.revoke(database, "ada", "device-1")
    with pytest.raises(NotAllowed, match="revoked"):
        nodes.check_enrolled(database, future, renews=True)


def test_no_token_looks_like_a_flag(caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: "-starts-with-a-dash")
    assert not caller.token("node", "device-1")["token"].startswith("-")
