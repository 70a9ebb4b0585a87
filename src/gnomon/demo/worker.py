"""What the demo's two kinds of caller share: commands in, counts out, one line of JSON each.

A caller is a user's program: a device that embeds the agent, or a client of the server. It replays
its share of the flights day by day and reports how many answers of each kind it got.
"""

import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from gnomon.demo.replay import DAY_SECONDS, Flights, Replay

#: One call: a row of fields, its request id, the data's own time → version that answered.
Call = Callable[[Mapping[str, Any], str, float], "CallResult"]

KILOMETRES_A_MILE = 1.609344


@dataclass(frozen=True, slots=True)
class CallResult:
    """How one call ended: `outcome` is answered, refused or failed."""

    outcome: str
    version: str = ""
    fallback: bool = False
    value: float | None = None
    error: str = ""
    details: list[Mapping[str, Any]] = field(default_factory=list)


def share_of(replay: Replay, source: int, first: str, last: str) -> Flights:
    """Return one source's flights on the days from `first` to `last` (ISO dates, inclusive).

    Args:
        replay: all flights.
        source: number of the source.
        first: first day, ISO.
        last: last day, ISO; included.
    """
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    numbers = replay.flights.at // DAY_SECONDS
    epoch = date(1970, 1, 1)
    chosen = (numbers >= (start - epoch).days) & (numbers <= (end - epoch).days)
    return replay.flights.take(chosen & (replay.flights.sources == source))


def ask_for_all(flights: Flights, call: Call, *, broken_sensor: bool) -> dict[str, Any]:
    """Predict every flight once; return counts by outcome and by version, and the first error."""
    tally: Counter[str] = Counter()
    first_error = ""
    for request_id, at, row in flights.rows():
        if broken_sensor:
            row["distance"] *= KILOMETRES_A_MILE
        answer = call(row, request_id, at)
        tally["asked"] += 1
        tally[answer.outcome] += 1
        tally["fallback"] += answer.fallback
        if answer.version:
            tally[f"version {answer.version}"] += 1
        first_error = first_error or answer.error
    return {"tally": dict(tally), "first_error": first_error}


def serve_commands(commands: Mapping[str, Callable[[dict[str, Any]], Any]], ready: Any) -> None:
    """Say that this process is ready, then answer commands from standard input until it ends.

    SIGTERM ends it through the caller's exits, so that telemetry is handed over.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = commands[command.pop("do")](command)
        print(json.dumps(answer, default=_plain), flush=True)


def _plain(value: Any) -> Any:
    """Return an answer's fields for JSON, and other things as text."""
    return asdict(value) if isinstance(value, CallResult) else str(value)
