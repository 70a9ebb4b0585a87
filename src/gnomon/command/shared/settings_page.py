"""The page of all settings, written from the sources that `--help` shows too."""

import dataclasses
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from gnomon.command.shared.setting_comments import comments_of
from gnomon.command.shared.settings_sections import SECTIONS, settings_type

_HEAD = """# Settings

Each setting is a line below its section in `gnomon.toml`, a variable `GNOMON_<SECTION>_<NAME>`, or
a flag of the command that uses the section; [The command line](commands.md#settings) says which of
these wins. This page is written by `gnomon config --page`."""

#: Section → the commands that use it.
_USED_BY = {
    "hub": "`gnomon hub run` and the other commands that work on a hub's data folder",
    "node": "`gnomon serve`, `gnomon agent` and `gnomon stream`: the node that predicts",
    "agent": "`gnomon agent`",
    "serve": "`gnomon serve`",
    "stream": "`gnomon stream`",
    "builder": "`gnomon package push` and `gnomon package pull`",
    "command": "all commands that show times",
    "log": "all commands",
    "pipeline": "`gnomon pipeline`",
}


def settings_page() -> str:
    """Return the page, in Markdown."""
    return "\n\n".join([_HEAD, *("\n".join(_section(name)) for name in SECTIONS)]) + "\n"


def _section(name: str) -> Iterator[str]:
    kind = settings_type(name)
    comments = comments_of(kind)
    yield f"## `[{name}]`"
    yield ""
    yield f"Used by {_USED_BY[name]}."
    yield ""
    yield "| setting | default | meaning |"
    yield "|---|---|---|"
    for field in dataclasses.fields(kind):
        meaning = comments.get(field.name, "").replace("|", "\\|")
        yield f"| `{field.name}` | {_default(field)} | {meaning} |"


def _default(field: "dataclasses.Field[Any]") -> str:
    """Return a default as it would be written in the file."""
    value = field.default
    if value is dataclasses.MISSING:
        return "required"
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{', '.join(map(str, value))}`" if value else "none"
    return f"`{value.as_posix() if isinstance(value, PurePath) else value}`"
