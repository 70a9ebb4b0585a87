"""Which conditions a node names, and in which words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gnomon.edge.node_warnings import find_warnings
from gnomon.edge.telemetry.figures import SpoolFigures

SOUND = SpoolFigures(records=0, bytes=0, merged=0, dropped=0, damaged=0)
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def found(**changes: Any) -> dict[str, str]:
    state: dict[str, Any] = {
        "figures": SOUND,
        "is_hub_reachable": True,
        "clock_offset_seconds": 1.0,
        "validity": (NOW - 10 * DAY, NOW + 20 * DAY),
        "damage": (),
    }
    return find_warnings(**{**state, **changes})


def test_a_sound_node_has_none() -> None:
    assert found() == {}
    assert found(clock_offset_seconds=None, validity=None) == {}


@pytest.mark.parametrize(
    ("kind", "text", "changes"),
    [
        (
            "disk",
            "no space left); 3 records",
            {"figures": SpoolFigures(3, 90, 0, 0, 0, 0, 3, "no space left")},
        ),
        ("telemetry_lost", "7 samples were dropped", {"figures": SpoolFigures(0, 0, 0, 7, 0)}),
        ("telemetry_lost", "2 records", {"figures": SpoolFigures(0, 0, 0, 0, 0, 2)}),
        (
            "telemetry_waiting",
            "5 records of telemetry (400 bytes) wait",
            {"figures": SpoolFigures(5, 400, 0, 0, 0), "is_hub_reachable": False},
        ),
        ("clock", "3600 s behind", {"clock_offset_seconds": 3_600.2}),
        ("clock", "86400 s ahead of", {"clock_offset_seconds": -86_400.0}),
        ("certificate", "expired at", {"validity": (NOW - 40 * DAY, NOW - 10 * DAY)}),
        ("certificate", "was not renewed yet", {"validity": (NOW - 27 * DAY, NOW + 3 * DAY)}),
        ("state_damaged", "sync.json is damaged", {"damage": ("sync.json is damaged",)}),
    ],
)
def test_each_condition_is_named(kind: str, text: str, changes: dict[str, Any]) -> None:
    warnings = found(**changes)
    assert list(warnings) == [kind]
    assert text in warnings[kind]


def test_the_end_of_a_certificate_is_found_by_the_clock_of_the_hub() -> None:
    warnings = found(clock_offset_seconds=30 * 86_400.0)
    assert set(warnings) == {"clock", "certificate"}
    assert found(clock_offset_seconds=1e15)["clock"]
