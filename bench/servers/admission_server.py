"""A server with admission, in a process of its own, for `gnomon.bench.servers.admission`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gnomon.bench.servers.processes import Server

__all__ = ["start"]

_PROGRAM = """
import json, sys
from pathlib import Path
from gnomon.edge.settings import NodeSettings
from gnomon.server.serving.process import serve
from gnomon.server.serving.settings import ServeSettings

given = json.loads(sys.argv[2])
given["keys_file"] = Path(given["keys_file"])
serve(ServeSettings(port=0, rest_port=-1, **given), NodeSettings(packages=(Path(sys.argv[1]),)),
      lambda addresses: print(addresses.grpc, flush=True))
"""


def start(package: Path, settings: Mapping[str, Any]) -> Server:
    """Start a server of a package; `settings` are of `ServeSettings`."""
    return Server([sys.executable, "-c", _PROGRAM, str(package), json.dumps(settings)])
