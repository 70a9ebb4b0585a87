"""Attacks on servers and on a hub: `gnomon bench attacks`.

`--targets server` is `gnomon.bench.servers.attacks`, `--targets hub` is `gnomon.bench.hub.attacks`;
both by default. All other flags are those of the first.
"""

import argparse
import json
from collections.abc import Sequence

from gnomon.bench.hub.attacks import attack_hub
from gnomon.bench.servers import attacks as server_attacks

__all__ = ["main"]

TARGETS = ("server", "hub")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each target and attack; return 1 if the native frontend fails its limits."""
    parser = argparse.ArgumentParser(prog="gnomon bench attacks", description=__doc__)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS)
    parser.add_argument("--seconds", type=int, default=10, help="of each attack")
    given, more = parser.parse_known_args(arguments)
    broken = 0
    if "server" in given.targets:
        broken = server_attacks.main([f"--seconds={given.seconds}", *more])
    if "hub" in given.targets:
        for line in attack_hub(given.seconds):
            print(json.dumps({"target": "hub", **line}), flush=True)
    return broken


if __name__ == "__main__":
    raise SystemExit(main())
