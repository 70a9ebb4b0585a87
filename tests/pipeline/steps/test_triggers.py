"""A pipeline is due on its schedule and by what has happened; a restart forgets nothing."""

from datetime import UTC, datetime

import msgspec
import pytest

from gnomon.pipeline.steps.triggers import (
    Alerts,
    Facts,
    Labels,
    RunConditions,
    TriggerProgress,
    Triggers,
)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def restarted(triggers: Triggers, when: RunConditions) -> Triggers:
    return Triggers(
        when, msgspec.json.decode(msgspec.json.encode(triggers.seen), type=TriggerProgress)
    )


def test_a_schedule_is_due_once_each_time() -> None:
    when = RunConditions(cron="30 3 * * *")
    triggers = Triggers(when, TriggerProgress(at=at("2026-03-01T03:00")))
    assert triggers.next_time() == at("2026-03-01T03:30")
    assert triggers.due(at("2026-03-01T03:29"), None) == ""
    assert triggers.due(at("2026-03-01T03:30"), None) == "schedule"
    triggers = restarted(triggers, when)
    assert triggers.due(at("2026-03-01T04:00"), None) == ""
    assert triggers.next_time() == at("2026-03-02T03:30")


def test_times_that_passed_meanwhile_make_one_run() -> None:
    triggers = Triggers(
        RunConditions(cron="30 3 * * *"), TriggerProgress(at=at("2026-03-01T04:00"))
    )
    assert triggers.due(at("2026-03-09T12:00"), None) == "schedule"
    assert triggers.due(at("2026-03-09T12:01"), None) == ""


def test_new_labels_are_counted_from_when_they_were_first_seen() -> None:
    when = RunConditions(labels=Labels(model="eta", minimum=100))
    triggers = Triggers(when, TriggerProgress(at=0))
    assert triggers.due(1, None) == ""
    assert triggers.due(1, Facts(labels=5_000)) == ""
    assert triggers.due(2, Facts(labels=5_099)) == ""
    triggers = restarted(triggers, when)
    assert triggers.due(3, Facts(labels=5_100)) == "100 new labels"
    assert triggers.due(4, Facts(labels=5_150)) == ""


def test_an_alert_that_opens_makes_one_run() -> None:
    when = RunConditions(alerts=Alerts(model="eta", kinds=("all_moved",)))
    triggers = Triggers(when, TriggerProgress(at=0))
    assert triggers.due(1, Facts(alerts=(("01A", "all_moved"),))) == ""
    others = (("01A", "all_moved"), ("01B", "silent"))
    assert triggers.due(2, Facts(alerts=others)) == ""
    both = (*others, ("01C", "all_moved"))
    triggers = restarted(triggers, when)
    assert triggers.due(3, Facts(alerts=both)) == "alert all_moved"
    assert triggers.due(4, Facts(alerts=both)) == ""


def test_the_first_alert_of_all_counts() -> None:
    triggers = Triggers(RunConditions(alerts=Alerts(model="eta")), TriggerProgress(at=0))
    assert triggers.due(1, Facts()) == ""
    assert triggers.due(2, Facts(alerts=(("01A", "all_moved"),))) == "alert all_moved"


def test_a_wrong_cron_is_named() -> None:
    with pytest.raises(ValueError, match="'61 \\* \\* \\* \\*' is no cron expression"):
        RunConditions(cron="61 * * * *")
