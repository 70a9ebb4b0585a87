"""Which connection makes room for a new one, and how many there are at most."""

import pytest

from gnomon.server.rest import connection_limit
from gnomon.server.rest.connection_limit import ConnectionLimit


class Connection:
    """A connection that notes when it is closed."""

    def __init__(self, limit: ConnectionLimit) -> None:
        self._limit = limit
        self.is_open = True
        limit.open(self)

    def close_now(self) -> None:
        self.is_open = False
        self._limit.close(self)


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> ConnectionLimit:
    monkeypatch.setattr(connection_limit, "CONNECTIONS", 3)
    monkeypatch.setattr(connection_limit, "RESERVED", 2)
    return ConnectionLimit()


def test_the_reserve_is_bounded(limit: ConnectionLimit) -> None:
    """If all are being answered, further connections ask for health, and no more are open."""
    opened = []
    for _ in range(7):
        opened.append(Connection(limit))
        limit.has_head(opened[-1])
        limit.has_all(opened[-1])
    assert [one.is_open for one in opened] == [True] * 5 + [False] * 2
    assert not limit.takes("/v1/models")
    assert all(map(limit.takes, connection_limit.RESERVED_PATHS))
    for one in opened[:2]:
        one.close_now()
    assert limit.takes("/v1/models")


def test_the_oldest_without_a_head_makes_room_before_those_without_a_body(
    limit: ConnectionLimit,
) -> None:
    busy, body, head = (Connection(limit) for _ in range(3))
    for one in (busy, body):
        limit.has_head(one)
    limit.has_all(busy)
    opened = [Connection(limit) for _ in range(2)]
    assert [one.is_open for one in (busy, body, head, *opened)] == [True, True, False, False, True]
    limit.has_head(opened[1])
    limit.has_all(opened[1])
    last = Connection(limit)
    assert [one.is_open for one in (busy, body, opened[1], last)] == [True, False, True, True]
