"""How quickly a large registry answers: `python -m gnomon.bench.hub.registry`.

Fills a store with 10,000 versions and 1,000,000 windows, and runs the queries of the registry's
interface with varying names and days. Each figure is the 95th percentile of the wall time of one
answer in the process, ready to be sent, in milliseconds; 50 are promised.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from pydantic_core import to_json
from sqlalchemy import Connection

from gnomon.bench.hub import postgres
from gnomon.bench.hub.registry_rows import DAYS, FIRST_DAY, RegistrySize
from gnomon.bench.hub.registry_store import fill
from gnomon.runtime.errors import ConfigurationError
from gnomon.server.hub.ingest import counts
from gnomon.server.hub.store.clock import DAY_MS
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.versions import catalogue, history
from gnomon.server.hub.versions.search import Search, search

__all__ = ["Figure", "main", "measure"]

#: What an answer may take, in milliseconds.
PROMISE_MS = 50.0

_REPEATS = 100


@dataclass(frozen=True)
class Figure:
    """How long one kind of question takes, in milliseconds."""

    database: str
    question: str
    median: float
    p95: float

    def __str__(self) -> str:
        kept = "" if self.p95 < PROMISE_MS else f"  over {PROMISE_MS:.0f}"
        return f"{self.database:11}{self.question:42}{self.median:8.1f}{self.p95:8.1f}{kept}"


class _Questions:
    """The queries, each with other names and days at every call."""

    def __init__(self, size: RegistrySize) -> None:
        self._random = Random(7)  # noqa: S311
        self._size = size

    def all(self) -> dict[str, Callable[[Connection], Any]]:
        """Return the questions by name."""
        return {
            "models": catalogue.models,
            "a model's versions, 100 manifests": lambda c: catalogue.versions(c, self._model()),
            "one version with its packages": self._version,
            "search: newest 50": lambda c: search(c, Search()),
            "search: a page in the middle": self._middle,
            "search: text, in many": lambda c: search(c, Search(text="NORTH")),
            "search: text, in one model": lambda c: search(c, Search(text=self._model())),
            "search: text, nowhere": lambda c: search(c, Search(text="nowhere")),
            "search: a rare tag": lambda c: search(c, Search(tag="audited=yes")),
            "search: alias champion": lambda c: search(c, Search(alias="champion")),
            "search: model, owner, tier and tag": self._filters,
            "all models on a day": lambda c: history.ran_at(c, self._day(), None),
            "all models at an instant": lambda c: history.ran_at(c, self._instant(), None),
            "one model on a day, by node": lambda c: history.ran_at(c, self._day(), self._model()),
            "lineage of a version": lambda c: history.lineage(c, self._model(), self._number()),
            "counts of what is in service, by node": counts.current,
            "counts of a model by node, 500 rows": self._counts,
        }

    def _model(self) -> str:
        return self._random.choice(self._size.models)

    def _number(self) -> str:
        return str(self._random.randrange(self._size.versions_each))

    def _day(self) -> history.Span:
        start = (FIRST_DAY + self._random.randrange(DAYS)) * DAY_MS
        return history.Span(start, start + DAY_MS)

    def _instant(self) -> history.Span:
        start = FIRST_DAY * DAY_MS + self._random.randrange(DAYS * DAY_MS)
        return history.Span(start, start + 1)

    def _counts(self, connection: Connection) -> Any:
        return counts.by_outcome(connection, self._model(), 500, 500)

    def _version(self, connection: Connection) -> Any:
        return catalogue.version(connection, self._model(), self._number())

    def _middle(self, connection: Connection) -> Any:
        return search(connection, Search(cursor=f"{self._instant().start}.f"))

    def _filters(self, connection: Connection) -> Any:
        wanted = Search(model=self._model(), owner="team-north", risk_tier="low", tag="region=west")
        return search(connection, wanted)


def measure(database: Database, size: RegistrySize, repeats: int = _REPEATS) -> list[Figure]:
    """Ask a filled store everything, in turn, and return how long the answers took."""
    questions = _Questions(size).all()
    seconds: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(repeats):
        for name, ask in questions.items():
            start = time.perf_counter()
            with database.read() as connection:
                to_json(ask(connection))
            seconds[name].append(time.perf_counter() - start)
    kind = database.engine.dialect.name
    figures = []
    for name, taken in seconds.items():
        median, p95 = np.percentile(np.array(taken) * 1_000, [50, 95])
        figures.append(Figure(kind, name, float(median), float(p95)))
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill and measure SQLite and, if it can run, PostgreSQL."""
    parser = argparse.ArgumentParser(prog="gnomon.bench.hub.registry", description=__doc__)
    parser.add_argument("--versions", type=int, default=RegistrySize.versions)
    parser.add_argument("--windows", type=int, default=RegistrySize.windows)
    parser.add_argument("--repeats", type=int, default=_REPEATS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    size = RegistrySize(options.versions, options.windows)
    figures = []
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        urls = [f"sqlite:///{folder / 'hub.db'}"]
        try:
            urls.append(opened.enter_context(postgres.running()).create_database("hub"))
        except ConfigurationError as error:
            print(f"PostgreSQL is not measured: {error}", file=sys.stderr)
        for url in urls:
            database = Database(url)
            start = time.perf_counter()
            fill(database, size)
            filled = time.perf_counter() - start
            print(f"{database.engine.dialect.name} filled in {filled:.0f} s", file=sys.stderr)
            figures += measure(database, size, options.repeats)
            database.close()
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
        return
    print(f"{size.versions:,} versions, {size.windows:,} windows; ms{'median':>41}{'p95':>8}")
    print("\n".join(map(str, figures)))


if __name__ == "__main__":
    main()
