"""A webhook reaches neither the hub itself nor a private address, however that is written."""

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import select

from gnomon.runtime.errors import InvalidInput
from gnomon.server.hub.process import Hub
from gnomon.server.hub.settings import HubAddresses
from gnomon.server.hub.store import schema
from gnomon.server.hub.webhooks.deliver import Deliverer
from gnomon.server.hub.webhooks.delivery_addresses import check_address
from gnomon.server.hub.webhooks.queue import Claim
from gnomon.server.hub.webhooks.signing_secrets import SigningSecrets

V4 = ipaddress.IPv4Address
V6 = ipaddress.IPv6Address

#: How an IPv4 address may be written within one of IPv6.
EMBEDDINGS: dict[str, Callable[[int], int]] = {
    "mapped": lambda v4: int(V6("::ffff:0:0")) | v4,
    "compatible": lambda v4: v4,
    "nat64": lambda v4: int(V6("64:ff9b::")) | v4,
    "local nat64": lambda v4: int(V6("64:ff9b:1::")) | v4,
    "6to4": lambda v4: int(V6("2002::")) | v4 << 80,
    "teredo client": lambda v4: int(V6("2001:0:808:808::")) | (v4 ^ 0xFFFF_FFFF),
    "teredo server": lambda v4: int(V6("2001::")) | v4 << 64 | (int(V4("8.8.8.8")) ^ 0xFFFF_FFFF),
}
PRIVATE = ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.168.0.0/16")


@given(
    how=st.sampled_from(sorted(EMBEDDINGS)),
    network=st.sampled_from(PRIVATE),
    offset=st.integers(0, 2**16 - 1),
)
def test_no_way_of_writing_reaches_a_private_address(how: str, network: str, offset: int) -> None:
    inner = V4(int(ipaddress.ip_network(network).network_address) + offset)
    address = V6(EMBEDDINGS[how](int(inner)))
    assume(address != V6("::1"))  # 0.0.0.1 within an address is loopback's own way of writing
    with pytest.raises(InvalidInput, match="no public address"):
        check_address(address, "https", [])


def test_loopback_is_reached_by_its_own_addresses_only() -> None:
    for how in EMBEDDINGS.keys() - {"mapped", "compatible"}:
        with pytest.raises(InvalidInput):
            check_address(V6(EMBEDDINGS[how](int(V4("127.0.0.1")))), "http", [])
    check_address(V6("::ffff:127.0.0.1"), "http", [])


@pytest.fixture
def targets(shared_caller: Any) -> list[str]:
    """The hub's own ports, as a webhook could name them."""
    addresses = shared_caller.addresses
    ports = [one.rpartition(":")[2] for one in (addresses.rest, addresses.sync)]
    hosts = ("127.0.0.1", "localhost", "127.0.0.9", "[::1]", "[::ffff:127.0.0.1]")
    return [f"http://{host}:{port}/api/v1/principals" for host in hosts for port in ports]


def test_a_webhook_does_not_call_the_hub(shared_caller: Any, targets: list[str]) -> None:
    for number, url in enumerate(targets):
        body = {"name": f"self-{number}", "url": url}
        answer = shared_caller.http.post("/api/v1/webhooks", json=body)
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "webhooks do not go to the hub itself",
        )


def test_a_name_that_leads_to_the_hub_later_is_not_called(shared_caller: Any) -> None:
    """The check is made again at each delivery."""
    addresses = shared_caller.addresses
    deliverer = Deliverer(SigningSecrets(b"key"), own_ports=addresses.ports)
    claim = Claim("1", "e", body="{}", attempts=1, url=addresses.rest, webhook="w", secret="")
    assert deliverer._send(claim) == "webhooks do not go to the hub itself"


def test_the_database_has_no_secret(hub: Hub, caller_of: Callable[[HubAddresses], Any]) -> None:
    """It is derived from the authority's key, for each webhook another."""
    caller = caller_of(hub.addresses)
    url = "http://127.0.0.1:9/x"
    made = [caller.post("webhooks", name=name, url=url)["secret"] for name in ("one", "two")]
    assert len({*made}) == 2 and all(len(secret) == 50 for secret in made)
    with hub.services.database.read() as connection:
        rows = connection.execute(select(schema.webhook)).all()
    assert not any(secret in repr(row) for secret in made for row in rows)
    secrets = SigningSecrets(hub.services.authority.derive_secret("gnomon webhooks"))
    assert [secrets.of(row.id) for row in sorted(rows, key=lambda row: row.name)] == made
    assert secrets.of(rows[0].id, "gnomon_of_an_earlier_hub") == "gnomon_of_an_earlier_hub"
