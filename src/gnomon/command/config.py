"""`gnomon config`: which settings hold, and why."""

from typing import Any

import click

from gnomon.command.shared.output import emit, json_option, show, styled, table
from gnomon.command.shared.settings_page import settings_page
from gnomon.command.shared.settings_sections import SECTIONS, settings_type
from gnomon.configuration import Origin, resolve
from gnomon.logs.redaction import is_secret
from gnomon.runtime.errors import ConfigurationError


@click.command()
@click.argument("section", required=False, type=click.Choice(list(SECTIONS)))
@click.option("--page", is_flag=True, help="Print what each setting means, as Markdown.")
@json_option
@click.pass_obj
def config(config_file: str | None, section: str | None, page: bool, as_json: bool) -> None:
    """Show every setting of a SECTION (or of all), its value, and where the value came from."""
    if page:
        click.echo(settings_page(), nl=False)
        return
    found: dict[str, list[Origin]] = {}
    problems: list[str] = []
    for name in [section] if section else list(SECTIONS):
        try:
            found[name] = resolve(settings_type(name), name, file=config_file)[1]
        except ConfigurationError as error:
            problems.append(str(error))
    payload = {
        "settings": [
            {
                "section": name,
                "name": origin.name,
                "value": display_value(origin),
                "source": origin.source,
            }
            for name, origins in found.items()
            for origin in origins
        ],
        "problems": problems,
    }
    emit(payload, as_json=as_json, render=lambda: _render(payload))


def display_value(origin: Origin) -> str:
    """Return a setting's value as text; secrets are masked."""
    return "(set)" if is_secret(origin.name) and origin.value else str(origin.value)


def _render(payload: dict[str, Any]) -> None:
    rows = [[s["section"], s["name"], s["value"], s["source"]] for s in payload["settings"]]
    show(table("Settings", ["section", "name", "value", "from"], rows))
    for problem in payload["problems"]:
        show(styled("not complete: ", "yellow"), problem)
