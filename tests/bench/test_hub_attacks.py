"""Attacks before any call leave a hub that its nodes are answered by."""

from pathlib import Path

import pytest

from gnomon.bench.hub import attacks, node_calls
from gnomon.bench.servers import tls_attacks

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_attack_leaves_a_hub_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_attacks, "_CONNECTIONS", 20)
    with node_calls.running(ROOT) as node:
        for name, attack in tls_attacks.TLS_ATTACKS.items():
            line = attacks.measure(node, attack, node.addresses["sync"], 0.3)
            assert line["calls"] > 0, name
            assert line["failed"] == 0, name
        node.exchange()
