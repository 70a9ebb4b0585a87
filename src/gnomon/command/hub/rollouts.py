"""`gnomon hub place`, `rollout`, `rollouts`, `abort` and others: which version is in service."""

import re
from typing import TYPE_CHECKING, Any

import click

from gnomon.command.shared.hub_command import (
    CommandResult,
    as_line,
    environment_option,
    hub_command,
    reason_option,
    without_none,
)
from gnomon.command.shared.listing import render_list, wide_option, with_versions
from gnomon.command.shared.references import resolve_reference

if TYPE_CHECKING:
    from gnomon.client.hub import HubClient

_COLUMNS = ("id", "versions", "state", "weight", "environment", "waits_for")


@click.command()
@click.argument("reference", metavar="NAME@VERSION")
@environment_option
@hub_command
def place(client: "HubClient", reference: str, environment: str) -> CommandResult:
    """Put NAME@VERSION straight into service on all nodes of an environment, without a rollout."""
    model, version = resolve_reference(client, reference)
    body = {"model": model, "version": version, "environment": environment}
    return as_line(
        client.post("placements", body), f"in service in {environment}: {model}@{version}"
    )


@click.command()
@click.argument("model", metavar="NAME")
@environment_option
@reason_option
@hub_command
def retire(client: "HubClient", model: str, environment: str, reason: str) -> CommandResult:
    """Take NAME out of service on all nodes of an environment; they answer it no longer."""
    body = {"model": model, "environment": environment, "reason": reason}
    payload = client.post("placements/retire", body)
    return as_line(payload, f"out of service in {environment}: {model}@{payload['version']}")


def read_steps(_context: click.Context, _option: click.Parameter, value: str) -> list[int]:
    """Return the steps of a rollout, parts in 1,000.

    Raises:
        click.BadParameter: one is neither a number from 1 to 1000 nor a percentage of at most 100,
            with one digit after the point.
    """
    steps = [_parts(step.strip()) for step in value.split(",")]
    if not all(1 <= step <= 1000 for step in steps):
        raise click.BadParameter(
            f"{value!r} should be parts in 1,000, such as 100,500,1000, or percentages, such as "
            "10%,50%,100%"
        )
    return steps


def _parts(step: str) -> int:
    """Return a step in parts in 1,000; 0 if it cannot be read."""
    percentage = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]))? ?%", step)
    if percentage is not None:
        return 10 * int(percentage[1]) + int(percentage[2] or 0)
    return int(step) if re.fullmatch("[0-9]{1,4}", step) else 0


@click.command()
@click.argument("reference", metavar="NAME@VERSION")
@click.option(
    "--steps",
    default="100,500,1000",
    show_default=True,
    callback=read_steps,
    help="Parts in 1,000, or percentages.",
)
@environment_option
@hub_command
def rollout(
    client: "HubClient", reference: str, steps: list[int], environment: str
) -> CommandResult:
    """Move traffic to NAME@VERSION step by step, each step behind its gate."""
    model, version = resolve_reference(client, reference)
    body = {"model": model, "version": version, "environment": environment, "steps": steps}
    payload = client.post("rollouts", body)
    return as_line(payload, f"rollout {payload['id']} of {model}@{version} has begun")


@click.command()
@click.option("--model", help="Only this model's.")
@click.option("--env", "environment", help="Only this environment's.")
@wide_option
@hub_command
def rollouts(client: "HubClient", **filters: str | None) -> CommandResult:
    """List the rollouts, newest first; with --json also what each gate says now."""
    payload = client.get("rollouts", **without_none(filters))
    return CommandResult(
        payload,
        lambda: render_list(
            "Rollouts",
            [one | {"waits_for": _waits_for(one)} for one in with_versions(payload)],
            _COLUMNS,
        ),
    )


def _waits_for(rollout: dict[str, Any]) -> str:
    """Return what an active rollout waits for: a person, or evidence."""
    if rollout["gate"] is None:
        return ""
    if rollout["paused_at"] is not None:
        return f"paused {rollout['pause_reason']}"
    needs = "; ".join(need["text"] for need in rollout["needs"])
    return str(needs or rollout["gate"]["reason"])


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@reason_option
@hub_command
def abort(client: "HubClient", rollout: str, reason: str) -> CommandResult:
    """Give all traffic of ROLLOUT back to the version in service."""
    payload = client.post(f"rollouts/{rollout}/abort", {"reason": reason})
    return as_line(payload, f"aborted {rollout}")


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@reason_option
@hub_command
def pause(client: "HubClient", rollout: str, reason: str) -> CommandResult:
    """Let ROLLOUT stay at its step; if its gate shows that it is worse, it still goes back."""
    payload = client.post(f"rollouts/{rollout}/pause", {"reason": reason})
    return as_line(payload, f"paused {rollout}")


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@reason_option
@hub_command
def resume(client: "HubClient", rollout: str, reason: str) -> CommandResult:
    """Let the gates of ROLLOUT decide again."""
    payload = client.post(f"rollouts/{rollout}/resume", {"reason": reason})
    return as_line(payload, f"resumed {rollout}")


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option("--to-end", is_flag=True, help="All steps that are left, and not only the next.")
@reason_option
@hub_command
def promote(client: "HubClient", rollout: str, to_end: bool, reason: str) -> CommandResult:
    """Begin the next step of ROLLOUT before its gate has enough evidence."""
    payload = client.post(f"rollouts/{rollout}/promote", {"reason": reason, "to_end": to_end})
    return as_line(
        payload, f"promoted {rollout}: {payload['state']} at {payload['weight'] / 10:g} %"
    )


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@reason_option
@hub_command
def retry(client: "HubClient", rollout: str, reason: str) -> CommandResult:
    """Begin ROLLOUT, which was sent back or aborted, again with the same plan."""
    payload = client.post(f"rollouts/{rollout}/retry", {"reason": reason})
    return as_line(payload, f"rollout {payload['id']} has begun")
