"""What attacks on a hub's ports do to its nodes: one target of `gnomon bench attacks`.

A node exchanges its state 50 times a second while one attack after the other goes to the ports of
REST, enrolment and sync. Reported are the node's median and 99th percentile in milliseconds, how
many of its calls failed, and by how many MiB the hub grew at most.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from gnomon.bench.hub import node_calls
from gnomon.bench.hub.node_calls import NodeCalls
from gnomon.bench.servers.attacks import Memory
from gnomon.bench.servers.tls_attacks import TLS_ATTACKS
from gnomon.runtime.errors import GnomonError

__all__ = ["attack_hub", "measure"]

PORTS = ("rest", "enrolment", "sync")
_PAUSE_SECONDS = 0.02


def attack_hub(seconds: float, attacks: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield a line for each port and attack, and one for none.

    Args:
        seconds: of each attack.
        attacks: names of the attacks; empty: all.
    """
    with node_calls.running(Path(__file__).resolve().parents[2]) as node:
        yield {"port": "", "attack": "nothing", **measure(node, _wait, "", seconds)}
        for port in PORTS:
            address = node.addresses[port].rpartition("/")[2]
            for name in attacks or TLS_ATTACKS:
                line = measure(node, TLS_ATTACKS[name], address, seconds)
                yield {"port": port, "attack": name, **line}


def measure(
    node: NodeCalls, attack: Callable[[str, float], Counter[str]], address: str, seconds: float
) -> dict[str, Any]:
    """Return what an attack does to a node's calls and to the hub.

    Args:
        node: calls meanwhile.
        attack: runs until a time of `time.monotonic`.
        address: of the port that is attacked.
        seconds: how long the attack lasts.
    """
    until = time.monotonic() + seconds
    done: list[Counter[str]] = []
    attacker = Thread(target=lambda: done.append(attack(address, until)))
    memory = Memory(node.pid)
    memory.start()
    attacker.start()
    taken, failed = [], 0
    while time.monotonic() < until:
        started = time.perf_counter()
        try:
            node.exchange()
        except GnomonError:
            failed += 1
        taken.append(time.perf_counter() - started)
        time.sleep(_PAUSE_SECONDS)
    attacker.join()
    return {
        "p50_ms": round(float(np.percentile(taken, 50)) * 1e3, 2),
        "p99_ms": round(float(np.percentile(taken, 99)) * 1e3, 2),
        "calls": len(taken),
        "failed": failed,
        "grown_mib": round(memory.stop(), 1),
        "done": dict(done[0]) if done else {},
    }


def _wait(_address: str, until: float) -> Counter[str]:
    time.sleep(max(until - time.monotonic(), 0))
    return Counter()
