"""Traced requests that metrics point to: the newest of each model, and of so many models."""

import pytest

from gnomon.server.serving.admission import exemplars
from gnomon.server.serving.admission.exemplars import Exemplars, TracedCall


def test_requests_and_models_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exemplars, "_KEPT", 3)
    monkeypatch.setattr(exemplars, "_MODELS", 2)
    kept = Exemplars()
    calls = [TracedCall(0.1, f"{number:032x}", float(number)) for number in range(5)]
    for route in ("eta", "fuel", "delay"):
        for call in calls:
            kept.add(route, "1", call)
    assert kept.of("eta", "1") == kept.of("fuel", "1") == calls[2:]
    assert kept.of("delay", "1") == kept.of("eta", "2") == []
