"""Nodes upload at the same time, and what was acknowledged is counted."""

from pathlib import Path

import pytest

from gnomon.bench.hub import uploads
from gnomon.bench.hub.node_calls import running_nodes

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_all_nodes_upload_and_every_window_is_counted() -> None:
    with running_nodes(ROOT, 2) as nodes:
        rate = uploads.measure(nodes, 3, seconds=0.2)
    assert rate.windows >= 6
    assert rate.windows % 3 == 0
    assert rate.cpu_seconds > 0
    assert "3 windows an upload" in str(rate)
