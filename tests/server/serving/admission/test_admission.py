"""The log of calls that went wrong: a line each, with what is needed and no value of a request."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from gnomon.runtime.errors import EngineError, InvalidInput
from gnomon.server.serving.admission.admission import Admission
from gnomon.server.serving.admission.admitted_call import AdmittedCall
from gnomon.server.serving.admission.authentication import LOCAL, Authentication
from gnomon.server.serving.rate_limits import RateLimits

SECRET = "4711-secret"


def new_admission(slow_seconds: float = 1.0, **limits: Any) -> Admission:
    return Admission(
        Authentication(None),
        RateLimits(**limits),
        is_known=lambda _: True,
        slow_seconds=slow_seconds,
    )


def ask(admission: Admission, error: Exception | None = None) -> None:
    with admission.admit(LOCAL, AdmittedCall("rest", "eta", request_id="r1")) as call:
        call.version = "3"
        call.read_ns = call.started_ns + 1_000_000
        call.answered_ns = call.started_ns + 3_000_000
        if error is not None:
            raise error


def test_a_refusal_names_rules_and_no_values() -> None:
    details = [
        {"row": 2, "field": "age", "rule": "maximum", "value": SECRET, "expected": SECRET},
    ]
    admission = new_admission()
    with capture_logs() as lines, pytest.raises(InvalidInput):
        ask(admission, InvalidInput(f"age is {SECRET}", details=details))
    (line,) = lines
    assert SECRET not in str(line)
    assert line["event"] == "call_refused"
    assert (line["code"], line["fault"]) == ("invalid_input", "caller")
    assert line["rules"] == [{"row": 2, "field": "age", "rule": "maximum"}]
    assert (line["frontend"], line["route"], line["version"]) == ("rest", "eta", "3")
    assert (line["caller"], line["request_id"]) == ("local", "r1")
    assert (line["read_ms"], line["predict_ms"]) == (1.0, 2.0)
    assert line["total_ms"] >= 0


def test_failures_and_slow_answers_are_reported_and_others_are_not() -> None:
    admission = new_admission()
    with capture_logs() as lines:
        ask(admission)
        with pytest.raises(EngineError):
            ask(admission, EngineError(SECRET))
        with pytest.raises(RuntimeError):
            ask(admission, RuntimeError(SECRET))
        ask(new_admission(slow_seconds=1e-9))
    assert [line["event"] for line in lines] == ["call_failed", "call_failed", "call_slow"]
    assert [line.get("code") for line in lines] == ["engine", "internal", None]
    assert SECRET not in str(lines)
    assert admission.throttle.under_way == 0


def test_a_flood_does_not_fill_the_disk() -> None:
    admission = new_admission()
    with capture_logs() as lines:
        for _ in range(1_000):
            with pytest.raises(InvalidInput):
                ask(admission, InvalidInput("bad"))
    assert 50 <= len(lines) < 500


def test_what_was_turned_away_is_counted() -> None:
    admission = new_admission(requests_per_second=0.001, burst=1)
    ask(admission)
    for _ in range(3):
        with capture_logs(), pytest.raises(Exception, match="try again"):
            ask(admission)
    assert admission.rejected == {"overloaded": 3}
