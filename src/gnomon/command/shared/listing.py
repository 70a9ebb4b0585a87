"""Lists of records: chosen columns, or with `--wide` all of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from gnomon.command.shared.output import readable, show, table

_WIDE = "gnomon.wide"


def _remember(context: click.Context, _: click.Parameter, is_wide: bool) -> None:
    context.meta[_WIDE] = is_wide


wide_option = click.option(
    "--wide",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show all columns, not only the usual ones.",
)


def render_list(
    title: str, records: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()
) -> None:
    """Show records to a person; times in ms become readable, and nothing is cut.

    Args:
        title: above the table.
        records: value by name, alike in their names.
        columns: the names to show, in this order, unless the command has the flag `--wide`; none:
            all of them.
    """
    if not records:
        show(title, ": none yet")
        return
    names = list(records[0]) if _is_wide() or not columns else columns
    rows = [[_cell(name, record.get(name)) for name in names] for record in records]
    show(table(title, names, rows))


def with_versions(
    rollouts: Sequence[Mapping[str, Any]], model: str | None = None
) -> list[dict[str, Any]]:
    """Return rollouts, each with the text `versions`: from which one to which, and of what.

    Args:
        rollouts: as the hub returns them.
        model: the model of all of them; None: each names its own.
    """
    return [
        {**one, "versions": f"{model or one['model']} {one['champion']} → {one['candidate']}"}
        for one in rollouts
    ]


def _is_wide() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_WIDE))


def _cell(name: str, value: Any) -> Any:
    """Return a value for people; what is nested in a list or an object is JSON."""
    if isinstance(value, dict):
        return ", ".join(f"{one}={_nested(held)}" for one, held in value.items())
    if isinstance(value, list):
        return ", ".join(map(_nested, value))
    return readable(name, value)


def _nested(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
