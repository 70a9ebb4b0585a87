"""The server of `gnomon.bench.servers.swaps`.

It prints its address, reads how often to swap within how many seconds, does so while it serves, and
prints what it measured as JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from gnomon.bench.servers.swaps import Swapper
from gnomon.server.serving.handler import Handler
from gnomon.server.serving.native.frontend import NativeFrontend
from gnomon.server.serving.settings import FrontendSettings

__all__: list[str] = []

#: Why the loops left a request to Python.
DECLINED = (
    "no target",
    "no window",
    "not for the target",
    "broken rule",
    "engine failed",
    "too slow",
)
#: Time for the rest of the load, started at the same moment, to end.
_LOAD_ENDS_SECONDS = 4.0


async def _serve(folder: Path) -> None:
    folder.mkdir()
    swapper = Swapper(folder)
    frontend = NativeFrontend(Handler(swapper.runtime), FrontendSettings(port=0))
    print(await frontend.open(), flush=True)
    swaps, seconds = map(int, (await asyncio.to_thread(sys.stdin.readline)).split())
    started = time.monotonic()
    found = await asyncio.to_thread(swapper.swap_often, swaps)
    took = time.monotonic() - started
    await asyncio.sleep(max(0.0, seconds - took) + _LOAD_ENDS_SECONDS)
    declined = {name: n for name, n in frontend.counts.items() if n and name in DECLINED}
    report = {
        "declined": declined,
        "swap_ms": round(1e3 * took / swaps, 2),
        "calls": swapper.counts(),
        **found,
    }
    print(json.dumps(report), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
