"""Flags that commands share which speak with a hub."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from gnomon.command.shared.output import json_option

DEFAULT_URL = "http://127.0.0.1:8600"

environment_option = click.option(
    "--env", "environment", default="production", show_default=True, help="The environment."
)


def client_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags by which a hub is found."""
    for option in (
        click.option("--url", envvar="GNOMON_HUB_URL", default=DEFAULT_URL, show_default=True),
        click.option("--api-key", envvar="GNOMON_HUB_API_KEY", help="Needed from other machines."),
        json_option,
    ):
        command = option(command)
    return command


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given: those that are not None."""
    return {name: value for name, value in parameters.items() if value is not None}
