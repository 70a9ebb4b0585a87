"""Two checkouts against each other: here this one against itself."""

from pathlib import Path

import pytest

from gnomon.bench import commits
from gnomon.bench.hub import node_calls
from gnomon.bench.servers import h2load

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not h2load.is_installed(), reason="needs h2load: package nghttp2-client")
def test_both_checkouts_serve_and_their_figures_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "LOADS", ((1, 1),))
    monkeypatch.setattr(commits, "SECONDS", 1)
    (one,) = commits.compare("serving", ROOT, ROOT, rounds=1)
    assert one.what == "serving, 1 connections x 1 streams [req]"
    assert 0.2 < one.ratio < 5
    assert one.after > 1_000


@pytest.mark.slow
def test_both_checkouts_answer_a_node_and_their_figures_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_calls, "CALLS", 5)
    found = commits.compare("hub", ROOT, ROOT, rounds=1)
    assert [one.what for one in found] == [
        "hub, unchanged Exchange [call]",
        "hub, Upload of a window [call]",
    ]
    assert all(one.after > 1_000 for one in found)


def test_checkouts_without_a_common_figure_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def rounds(name: str, checkouts: object, rounds: int) -> list[tuple[str, dict[str, float]]]:
        return [("after", {"a": 1.0}), ("before", {"b": 1.0})]

    monkeypatch.setattr(commits, "_command_rounds", rounds)
    with pytest.raises(RuntimeError, match="core: the two checkouts have no figure in common"):
        commits.compare("core", ROOT, ROOT, rounds=1)


def test_a_checkout_that_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=str(tmp_path)):
        commits.compare("core", tmp_path, tmp_path, rounds=1)
