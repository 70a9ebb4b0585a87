"""`gnomon config`: which settings hold, and why."""

import importlib
from typing import Any

import click

from gnomon.command.output import console, emit, json_option, table
from gnomon.configuration import Origin, resolve
from gnomon.runtime.errors import ConfigurationError

#: Section of gnomon.toml → the settings dataclass that it fills.
SECTIONS = {
    "hub": "gnomon.server.hub.settings:HubSettings",
    "node": "gnomon.edge.settings:NodeSettings",
    "serve": "gnomon.server.serving.settings:ServeSettings",
    "stream": "gnomon.server.streams.settings:StreamSettings",
    "builder": "gnomon.client.registry:BuilderSettings",
    "pipeline": "gnomon.run_sender:PipelineSettings",
}


@click.command()
@click.argument("section", required=False, type=click.Choice(list(SECTIONS)))
@json_option
@click.pass_obj
def config(config_file: str | None, section: str | None, as_json: bool) -> None:
    """Show every setting of a SECTION (or of all), its value, and where the value came from."""
    found: dict[str, list[Origin]] = {}
    problems: list[str] = []
    for name in [section] if section else list(SECTIONS):
        try:
            found[name] = resolve(settings_type(name), name, file=config_file)[1]
        except ConfigurationError as error:
            problems.append(str(error))
    payload = {
        "settings": [
            {"section": name, "name": origin.name, "value": shown(origin), "source": origin.source}
            for name, origins in found.items()
            for origin in origins
        ],
        "problems": problems,
    }
    emit(payload, as_json=as_json, render=lambda: _render(payload))


def settings_type(section: str) -> Any:
    """Import and return the settings dataclass of a section."""
    module, _, attribute = SECTIONS[section].partition(":")
    return getattr(importlib.import_module(module), attribute)


def shown(origin: Origin) -> str:
    """Return a setting's value as text; secrets are masked."""
    secret = any(
        word in origin.name for word in ("token", "key", "password", "secret", "database_url")
    )
    return "(set)" if secret and origin.value else str(origin.value)


def _render(payload: dict[str, Any]) -> None:
    rows = [[s["section"], s["name"], s["value"], s["source"]] for s in payload["settings"]]
    console.print(table("Settings", ["section", "name", "value", "from"], rows))
    for problem in payload["problems"]:
        console.print(f"[yellow]not complete:[/] {problem}")
