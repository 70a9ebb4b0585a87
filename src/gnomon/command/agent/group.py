"""`gnomon agent`: without a command it runs the agent until it is stopped."""

from typing import Any

import click

from gnomon.command.agent import inspect
from gnomon.command.agent.run import run_agent
from gnomon.command.shared.log_options import set_up_log_of
from gnomon.command.shared.output import json_option
from gnomon.command.shared.settings_options import SettingsCommand


class AgentGroup(SettingsCommand, click.Group):
    """A group that takes the settings of its own command as flags."""

    sections = ("node", "agent")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the agent, or the named command, which sets up its own log."""
        return click.Group.invoke(self, ctx)


@click.group(cls=AgentGroup, invoke_without_command=True)
@click.option("--wait-seconds", default=60.0, help="How long the first model may take to come.")
@json_option
@click.pass_context
def agent(ctx: click.Context, /, wait_seconds: float, as_json: bool, **flags: Any) -> None:
    """Run a device's agent, which syncs packages and telemetry with its hub, until stopped.

    Prints the agent's status once a model is in service. Programs of the same user are answered
    on a Unix socket (Open Inference Protocol over gRPC). Programs that predict in their own
    process embed `gnomon.Agent` instead.
    """
    if ctx.invoked_subcommand is not None:
        return
    set_up_log_of(ctx, is_long_running=True)
    run_agent(ctx.obj, flags, wait_seconds, as_json=as_json)


for _command in (inspect.status, inspect.logs, inspect.doctor):
    agent.add_command(_command)
