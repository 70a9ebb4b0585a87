"""A one-time token enrols one name once; a used one gives nothing to whoever holds it."""

import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.proto import hub_pb2
from gnomon.runtime.errors import Conflict, NotAllowed
from gnomon.server.hub.access import enrolment_tokens, nodes
from gnomon.server.hub.access.authority import Authority, read_identity
from gnomon.server.hub.access.certificate_issuer import CertificateIssuer
from gnomon.server.hub.store.database import Database
from tests.support.hub import certificate_request, new_key


def test_a_used_token_takes_no_other_name(caller: Any, fresh_key: Any) -> None:
    """Not a free one, not a node's, not a builder's."""
    caller.enrol("node", "device-2")
    caller.enrol("builder", "ada")
    token, key = caller.token("node", "*"), fresh_key()
    stranger = caller.stranger(token)
    stranger.enrol(token["token"], key, "device-1")
    for name in ("device-2", "device-3", "ada"):
        with pytest.raises(NotAllowed, match="was used before, by 'device-1'"):
            stranger.enrol(token["token"], key, name)
    assert sorted(one["name"] for one in caller.get("nodes")) == ["ada", "device-1", "device-2"]


def test_a_used_builder_token_replaces_no_builder(caller: Any, fresh_key: Any) -> None:
    caller.enrol("builder", "ada")
    token, key = caller.token("builder", "*"), fresh_key()
    stranger = caller.stranger(token)
    stranger.enrol(token["token"], key, "eve")
    with pytest.raises(NotAllowed, match="was used before, by 'eve'"):
        stranger.enrol(token["token"], key, "ada")


def test_a_used_token_crosses_no_environment(caller: Any, fresh_key: Any) -> None:
    caller.enrol("node", "device-1")
    token = caller.post("tokens", role="node", name="*", environment="staging")
    stranger, key = caller.stranger(token), fresh_key()
    stranger.enrol(token["token"], key, "device-9")
    with pytest.raises(NotAllowed, match="was used before"):
        stranger.enrol(token["token"], key, "device-1")
    environments = {one["name"]: one["environment"] for one in caller.get("nodes")}
    assert environments == {"device-1": "production", "device-9": "staging"}


@pytest.mark.both_databases
def test_of_those_who_show_a_token_at_once_one_enrols(caller: Any) -> None:
    token = caller.token("node", "*")
    stranger, keys = caller.stranger(token), [new_key() for _ in range(6)]
    stranger.enrol(caller.token("node", "first")["token"], new_key(), "first")  # it is connected
    together = threading.Barrier(len(keys))

    def enrol(number: int) -> str:
        together.wait(30)
        try:
            stranger.enrol(token["token"], keys[number], f"device-{number}")
        except NotAllowed:
            return ""
        return f"device-{number}"

    with ThreadPoolExecutor(len(keys)) as threads:
        (enrolled,) = filter(None, threads.map(enrol, range(len(keys))))
    assert sorted(one["name"] for one in caller.get("nodes")) == [enrolled, "first"]


def test_revocation_voids_the_token_that_enrolled(caller: Any, fresh_key: Any) -> None:
    token, key = caller.token("node", "device-1"), fresh_key()
    stranger = caller.stranger(token)
    stranger.enrol(token["token"], key, "device-1")
    caller.post("nodes/device-1/revoke")
    with pytest.raises(NotAllowed, match="revoked"):
        stranger.enrol(token["token"], key, "device-1")
    assert caller.get("nodes")[0]["revoked_at"] is not None
    caller.enrol("node", "device-1")  # with a new token made for it


def test_a_token_that_was_used_before_a_takeover_takes_nothing_back(
    caller: Any, fresh_key: Any
) -> None:
    token, key = caller.token("node", "device-1"), fresh_key()
    stranger = caller.stranger(token)
    stranger.enrol(token["token"], key, "device-1")
    caller.enrol("node", "device-1")
    with pytest.raises(NotAllowed, match="enrolled by another token since"):
        stranger.enrol(token["token"], key, "device-1")


def test_a_retry_is_answered_while_the_name_bears_the_key(caller: Any, fresh_key: Any) -> None:
    token, key = caller.token("node", "device-*"), fresh_key()
    stranger = caller.stranger(token)
    stranger.enrol(token["token"], key, "device-1")
    answer = stranger.enrol(token["token"], key, "device-1")  # the first answer was lost
    known = caller.known(answer.authority, key, answer.certificate)
    assert known.exchange().hub_time_unix_ms
    renewed_key = fresh_key()
    request = certificate_request(renewed_key, "device-1")
    known.enrolment.Enroll(hub_pb2.EnrollRequest(certificate_request=request))
    with pytest.raises(NotAllowed, match="renewed"):
        stranger.enrol(token["token"], key, "device-1")


NAMES = ("device-1", "device-2", "other")
PATTERNS = ("*", "device-*", "device-1", "other")
KEYS = [new_key() for _ in range(2)]
REQUESTS = {
    (name, key): certificate_request(KEYS[key], name) for name in NAMES for key in range(len(KEYS))
}

steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("create"),
            st.sampled_from(["node", "builder"]),
            st.sampled_from(PATTERNS),
            st.sampled_from(["production", "staging"]),
        ),
        st.tuples(
            st.just("enrol"),
            st.integers(0, 5),
            st.sampled_from(NAMES),
            st.integers(0, len(KEYS) - 1),
        ),
        st.tuples(st.just("revoke"), st.sampled_from(NAMES)),
    ),
    max_size=25,
)


@dataclass
class Token:
    """What the rules say of a token."""

    secret: str
    role: str
    pattern: str
    environment: str
    used: tuple[str, int] | None = None  # by which name and key


@dataclass
class Rules:
    """Who may enrol as whom, written down once more and as simply as it can be."""

    holders: dict[str, tuple[str, str, int | None]] = field(default_factory=dict)

    def allows(self, token: Token, name: str, key: int) -> bool:
        holder = self.holders.get(name)
        if token.used is not None:
            return token.used == (name, key) and holder is not None and holder[2] == key
        if not (token.pattern in ("*", name) or (token.pattern[-1] == "*" and "device" in name)):
            return False
        return holder is None or (
            token.pattern == name and holder[:2] == (token.role, token.environment)
        )

    def enrol(self, token: Token, name: str, key: int) -> None:
        if token.used is None:
            self.holders[name] = (token.role, token.environment, key)
        token.used = (name, key)

    def revoke(self, name: str) -> None:
        role, environment, _ = self.holders[name]
        self.holders[name] = (role, environment, None)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_a_name_is_given_by_the_rules_alone(
    first_start: Path, steps: list[tuple[Any, ...]]
) -> None:
    """However tokens are made, used, used again and voided, nobody becomes who they are not."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(first_start, Path(folder) / "hub")
        database = Database.in_folder(Path(folder) / "hub")
        enrolment = CertificateIssuer(database, Authority.in_folder(Path(folder) / "hub"), 30.0)
        rules, made = Rules(), []
        for kind, *rest in steps:
            if kind == "create":
                role, pattern, environment = rest
                secret = enrolment_tokens.create(
                    database, "ada", role, pattern, environment=environment
                )
                made.append(Token(secret, role, pattern, environment))
            elif kind == "revoke" and rest[0] in rules.holders:
                nodes.revoke(database, "ada", rest[0])
                rules.revoke(rest[0])
            elif kind == "enrol" and rest[0] < len(made):
                try_to_enrol(enrolment, rules, made[rest[0]], rest[1], rest[2])
        database.close()


def try_to_enrol(
    enrolment: CertificateIssuer, rules: Rules, token: Token, name: str, key: int
) -> None:
    message = hub_pb2.EnrollRequest(token=token.secret, certificate_request=REQUESTS[name, key])
    if not rules.allows(token, name, key):
        with pytest.raises((NotAllowed, Conflict)):
            enrolment.enrol(message)
        return
    identity = read_identity(enrolment.enrol(message).certificate)
    rules.enrol(token, name, key)
    role, _, _ = rules.holders[name]
    assert (identity.name, identity.role) == (name, role)
