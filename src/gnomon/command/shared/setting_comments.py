"""What each setting means: the comments above its line in the settings dataclass."""

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

_MARK = "#: "


@functools.cache
def comments_of(settings_type: Any) -> Mapping[str, str]:
    """Return the comment of each setting, on one line; settings in a row may share one.

    Empty if the sources of Gnomon are not installed.
    """
    found: dict[str, str] = {}
    for kind in reversed(settings_type.__mro__):
        if "__annotations__" in vars(kind):
            found |= _comments_in(kind)
    return found


def _comments_in(kind: type) -> dict[str, str]:
    try:
        lines = inspect.getsource(kind).splitlines()
    except OSError:
        return {}
    return dict(_commented(lines, set(vars(kind)["__annotations__"])))


def _commented(lines: list[str], names: set[str]) -> Iterator[tuple[str, str]]:
    comment: list[str] = []
    is_open = False
    for line in map(str.strip, lines):
        if line.startswith(_MARK):
            comment = [*comment, line[len(_MARK) :]] if is_open else [line[len(_MARK) :]]
            is_open = True
            continue
        is_open = False
        name, colon, _ = line.partition(":")
        if colon and name in names and comment:
            yield name, " ".join(comment)
        elif not line:
            comment = []
