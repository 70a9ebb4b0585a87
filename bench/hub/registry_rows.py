"""The rows of a hub's database of any size, table by table."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gnomon.server.hub.store.clock import DAY_MS
from gnomon.server.hub.versions.search import words_of

DAYS = 365
#: The first day, UTC: 2025-01-01.
FIRST_DAY = 20_089
MODELS = 50

#: Rows of each window.
WINDOW_ROWS = 200

_STEPS = (100, 500, 1_000)
_TEAMS = ("north", "south", "east", "west")
_ENVELOPE = json.dumps({"payload": "x" * 400, "signatures": [{"keyid": "k" * 64, "sig": "s" * 88}]})


@dataclass(frozen=True)
class RegistrySize:
    """How much there is."""

    versions: int = 10_000
    windows: int = 1_000_000

    @property
    def models(self) -> list[str]:
        """Return the models' names."""
        return [f"model-{place:02}" for place in range(min(MODELS, self.versions))]

    @property
    def versions_each(self) -> int:
        """Return how many versions each model has."""
        return self.versions // len(self.models)

    @property
    def nodes(self) -> int:
        """Return how many nodes each model runs on."""
        return max(1, round(self.windows / (len(self.models) * DAYS)))

    def placed_on(self, day: int) -> int:
        """Return which of a model's versions was in service on a day."""
        return day * self.versions_each // DAYS


def digest_of(model: str, version: int) -> str:
    """Return the made-up digest of a version."""
    return hashlib.sha256(f"{model}@{version}".encode()).hexdigest()


def _id(model: str, version: int) -> str:
    return f"{model.upper()}{version:018}"[:26]


def _at(day: float) -> int:
    return int((FIRST_DAY + day) * DAY_MS)


def _each(size: RegistrySize) -> Iterator[tuple[int, str, int]]:
    for version in range(size.versions_each):
        for place, model in enumerate(size.models):
            yield place, model, version


def version_rows(size: RegistrySize, profile: bytes) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table `version`."""
    for place, model, version in _each(size):
        owner = f"team-{_TEAMS[place % len(_TEAMS)]}"
        fingerprint = hashlib.sha256(f"{model} data {version // 3}".encode()).hexdigest()
        yield {
            "digest": digest_of(model, version),
            "name": model,
            "version": str(version),
            "format": "onnx",
            "published_at": _at(version * DAYS / size.versions_each) - DAY_MS + place,
            "publisher": f"builder-{place % 7}",
            "owner": owner,
            "risk_tier": "high" if place % 10 == 0 else "low",
            "dataset": fingerprint,
            "words": words_of(model, str(version), f"builder-{place % 7}", owner),
            "manifest": _manifest(model, version, fingerprint),
            "envelopes": [_ENVELOPE, _ENVELOPE],
            "profile": profile,
        }


def _manifest(model: str, version: int, fingerprint: str) -> dict[str, Any]:
    chunks = [digest_of(model, -chunk) for chunk in range(1, 17)]
    files = [
        {"path": f"f{n}", "size": 1 << 20, "sha256": fingerprint, "chunks": chunks[:8]}
        for n in range(3)
    ]
    return {
        "gnomon": 1,
        "name": model,
        "version": str(version),
        "format": "onnx",
        "files": files,
        "reproducibility": {
            "dataset_uri": f"s3://data/{model}/{version // 3}",
            "dataset_fingerprint": fingerprint,
            "test_metrics": {"mean_absolute_error": 1 + version % 7 / 10},
            "parameters": {"depth": 3, "trees": 100 + version},
        },
    }


def alias_rows(size: RegistrySize) -> Iterator[dict[str, Any]]:
    """Yield one alias a model."""
    for model in size.models:
        values = {"model": model, "set_at": _at(0), "actor": "ada"}
        yield values | {"alias": "baseline", "version": "0"}


def tag_rows(size: RegistrySize) -> Iterator[dict[str, Any]]:
    """Yield the tags of all versions."""
    for place, model, version in _each(size):
        values = {"model": model, "version": str(version)}
        yield values | {"key": "region", "value": _TEAMS[(place + version) % len(_TEAMS)]}
        if version % 100 == 0:
            yield values | {"key": "audited", "value": "yes"}


def _changes(size: RegistrySize) -> Iterator[tuple[str, int, int, int]]:
    """Yield model, version, and its first and next version's first day in service."""
    firsts: dict[int, int] = {}
    for day in range(DAYS):
        firsts.setdefault(size.placed_on(day), day)
    spans = pairwise([*firsts.items(), (size.versions_each, DAYS)])
    for (version, first), (_, following) in spans:
        for model in size.models:
            yield model, version, first, following


def placement_rows(size: RegistrySize) -> Iterator[dict[str, Any]]:
    """Yield the placements, one after the other in each model."""
    for model, version, first, following in _changes(size):
        yield {
            "id": _id(model, version),
            "model": model,
            "version": str(version),
            "started_at": _at(first),
            "ended_at": None if following == DAYS else _at(following),
            "actor": "gate",
        }


def rollout_rows(size: RegistrySize) -> Iterator[dict[str, Any]]:
    """Yield the rollout that led to each placement."""
    for model, version, first, _ in _changes(size):
        yield {
            "id": _id(model, version),
            "model": model,
            "champion": str(max(version - 1, 0)),
            "candidate": str(version),
            "state": "completed",
            "weight": 1_000,
            "shadow": 0,
            "step": len(_STEPS) - 1,
            "plan": {"steps": list(_STEPS)},
            "created_at": _at(first - 0.5),
            "updated_at": _at(first),
            "ended_at": _at(first),
            "actor": "ada",
            "reason": "passed",
        }


def step_rows(size: RegistrySize) -> Iterator[dict[str, Any]]:
    """Yield the steps of each rollout."""
    for model, version, first, _ in _changes(size):
        for position, weight in enumerate(_STEPS):
            yield {
                "rollout": _id(model, version),
                "position": position,
                "weight": weight,
                "shadow": 0,
                "entered_at": _at(first - 0.4 + position / 10),
                "left_at": _at(first - 0.3 + position / 10),
                "window_position": 0,
                "verdict": "passed",
                "evidence": {},
            }


def window_rows(size: RegistrySize, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the windows that nodes sent, one a day, node and model; all have one content."""
    left = size.windows
    for day in range(DAYS):
        version = size.placed_on(day)
        for place, model in enumerate(size.models):
            for node in range(min(size.nodes, left)):
                left -= 1
                yield {
                    "node": f"node-{node:04}",
                    "boot": "b",
                    "sequence": day * len(size.models) + place,
                    "digest": digest_of(model, version),
                    "model": model,
                    "version": str(version),
                    "route": model,
                    "shadow": False,
                    "started_at": _at(day),
                    "ended_at": _at(day + 1),
                    "rows": WINDOW_ROWS,
                    "received_at": _at(day + 1),
                    **content,
                }
