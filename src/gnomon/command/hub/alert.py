"""`gnomon alert`: the hub's alerts, silences, and tests of where alerts are sent."""

import re
import time
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.hub.alerts import acknowledge, close
from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    as_list,
    hub_command,
    reason_option,
    without_none,
)
from gnomon.command.shared.listing import wide_option
from gnomon.command.shared.times import show_time

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("id", "severity", "model", "kind", "source", "opened_at", "text")
_SILENCE_COLUMNS = ("id", "models", "kinds", "sources", "ends_at", "actor", "reason")
_UNITS = {"m": 60, "h": 3_600, "d": 86_400}


@click.group()
def alert() -> None:
    """See and silence the hub's alerts, and test where they are sent."""


@alert.command("list")
@click.option("--model", help="Only this model's.")
@click.option("--all", "with_closed", is_flag=True, help="Closed ones too.")
@wide_option
@hub_command
def list_alerts(client: "HubClient", model: str | None, with_closed: bool) -> CommandResult:
    """List the open alerts, the most severe first."""
    filters = without_none({"model": model})
    payload = client.get("alerts", open_only=not with_closed, **filters)
    return as_list(payload, "Alerts", _COLUMNS)


@alert.command("show")
@click.argument("alert_id", metavar="ALERT")
@hub_command
def show_alert(client: "HubClient", alert_id: str) -> CommandResult:
    """Show ALERT: what, where, since when, how sure, and where to look first."""
    found = client.get(f"alerts/{alert_id}")
    return as_line(found, "\n".join(f"{name}: {value}" for name, value in _facts(found).items()))


def _facts(found: dict[str, Any]) -> dict[str, Any]:
    names = ("text", "severity", "kind", "model", "version", "source", "field", "component")
    facts = {name: found[name] for name in names}
    facts["nodes"] = found["nodes"] or ""
    facts["since"] = _time(found["opened_at"])
    facts["last"] = _time(found["last_at"])
    facts["how sure"] = found["certainty"]
    facts["look first"] = found["first_look"]
    facts["taken care of by"] = found["acknowledged_by"]
    facts["silenced by"] = found["silenced_by"]
    return {name: value for name, value in facts.items() if value not in ("", None)}


def _time(at: int) -> str:
    return show_time(at) or str(at)


def read_duration(_context: click.Context, _option: click.Parameter, value: str) -> int:
    """Return a duration in milliseconds.

    Raises:
        click.BadParameter: it is not a number of minutes, hours or days.
    """
    found = re.fullmatch("([1-9][0-9]{0,4})([mhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} should be such as 30m, 8h or 3d")
    return int(found[1]) * _UNITS[found[2]] * 1_000


@alert.command()
@click.option("--for", "duration_ms", required=True, callback=read_duration, help="30m, 8h, 3d.")
@click.option("--models", default="*", show_default=True, help="Pattern of models.")
@click.option("--kinds", default="*", show_default=True, help="Pattern of kinds.")
@click.option("--sources", default="*", show_default=True, help="Pattern of nodes.")
@reason_option
@hub_command
def silence(client: "HubClient", duration_ms: int, **patterns: str) -> CommandResult:
    """Send no message of alerts that match, for a time; what is open then is sent."""
    ends_at = int(time.time() * 1_000) + duration_ms
    made = client.post("silences", {"ends_at": ends_at, **patterns})
    return as_line(made, f"silenced until {_time(made['ends_at'])}: {made['id']}")


@alert.command()
@click.option("--all", "ended", is_flag=True, help="Ended ones too.")
@wide_option
@hub_command
def silences(client: "HubClient", ended: bool) -> CommandResult:
    """List the silences that hold now."""
    return as_list(client.get("silences", ended=ended), "Silences", _SILENCE_COLUMNS)


@alert.command()
@click.argument("silence_id", metavar="SILENCE")
@hub_command
def unsilence(client: "HubClient", silence_id: str) -> CommandResult:
    """End SILENCE now."""
    return as_line(client.post(f"silences/{silence_id}/end"), f"ended {silence_id}")


@alert.command()
@click.argument("webhook", metavar="WEBHOOK")
@click.option("--seconds", type=click.FloatRange(0, 600), default=30.0, show_default=True)
@hub_command
def test(client: "HubClient", webhook: str, seconds: float) -> CommandResult:
    """Send a test to WEBHOOK, and say whether it arrived."""
    delivery = client.post(f"webhooks/{webhook}/test")["delivery"]
    deadline = time.monotonic() + seconds
    while True:
        found = _delivery(client, webhook, delivery)
        if found["state"] == "delivered":
            return as_line(found, f"{webhook} has taken the test")
        if found["error"] or time.monotonic() > deadline:
            said = found["error"] or f"not sent within {seconds:g} s; it is tried further"
            answer = as_line(found, f"{webhook}: {said}")
            return CommandResult(answer.payload, answer.render, exit_code=1)
        time.sleep(0.2)


def _delivery(client: "HubClient", webhook: str, delivery: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = client.get(f"webhooks/{webhook}/deliveries")
    return next(one for one in listed if one["id"] == delivery)


alert.add_command(acknowledge)
alert.add_command(close)
