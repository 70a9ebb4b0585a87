"""A certificate that was replaced is refused at once, however long it is valid."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from gnomon.runtime.errors import NotAllowed
from gnomon.runtime.ids import now_ms
from gnomon.server.hub.access import nodes
from gnomon.server.hub.process import Hub
from gnomon.server.hub.store import schema
from tests.support.hub import Caller, Party, new_key

NAME = "device-1"


@dataclass
class Holder:
    """Whoever holds a key of the name, and has had certificates for it."""

    caller: Caller
    key: Any
    authority: bytes
    certificates: list[bytes]

    @classmethod
    def enrolled(cls, caller: Caller) -> "Holder":
        token, key = caller.token("node", NAME), new_key()
        answer = caller.stranger(token).enrol(token["token"], key, NAME)
        return cls(caller, key, answer.authority, [answer.certificate])

    def with_certificate(self, number: int) -> Party:
        return self.caller.known(self.authority, self.key, self.certificates[number])

    def renew(self, number: int) -> None:
        answer = self.with_certificate(number).enrol("", self.key, NAME)
        self.certificates.append(answer.certificate)


@pytest.fixture
def holder(caller: Caller) -> Holder:
    return Holder.enrolled(caller)


def assert_replaced(party: Party) -> None:
    with pytest.raises(NotAllowed, match="was replaced by a newer one") as caught:
        party.exchange()
    assert caught.value.details == ({"certificate": "replaced"},)


def test_a_replaced_certificate_ends_with_the_first_call_of_the_new_one(holder: Holder) -> None:
    holder.renew(0)
    holder.with_certificate(0).exchange()  # the answer may have been lost
    holder.with_certificate(1).exchange()
    assert_replaced(holder.with_certificate(0))
    with pytest.raises(NotAllowed, match="replaced"):
        holder.renew(0)
    holder.with_certificate(1).exchange()


def test_a_renewal_whose_answer_was_lost_is_tried_again(
    holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A certificate's time is rounded, so it may lie after that of its own enrolment.
    monkeypatch.setattr(nodes, "now_ms", lambda: now_ms() - 1)
    for _ in range(3):
        holder.renew(0)
    holder.with_certificate(0).exchange()
    holder.with_certificate(3).exchange()
    for number in (0, 1, 2):
        assert_replaced(holder.with_certificate(number))


def test_of_two_holders_of_a_copy_one_goes_on(holder: Holder) -> None:
    holder.renew(0)
    holder.renew(0)  # by the copy
    holder.with_certificate(2).exchange()
    assert_replaced(holder.with_certificate(1))


@pytest.mark.parametrize("former", [None, ""])
def test_a_hub_that_has_forgotten_the_renewal_takes_the_newer_certificate(
    hub: Hub, holder: Holder, former: str | None
) -> None:
    """Restored by our command, or from a dump: a node must not need a person."""
    database, node = hub.services.database, schema.node
    with database.read() as connection:
        backup = dict(connection.execute(select(node)).one()._mapping)
    holder.renew(0)
    holder.with_certificate(1).exchange()
    with database.write() as connection:
        connection.execute(update(node).values(backup | {"former_serial": former}))
    holder.with_certificate(1).exchange()
    holder.renew(1)
    holder.with_certificate(2).exchange()
    for number in (0, 1):
        assert_replaced(holder.with_certificate(number))
