"""How values draw themselves in a notebook: tables of HTML, without scripts or anything fetched."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

__all__ = ["draw_facts", "draw_table"]

#: Most rows and columns of a table, and characters of a cell.
ROWS, COLUMNS, CHARACTERS = 20, 20, 200
#: A table ends with the row that exceeds this; so it has at most 100 KB.
_BYTES = 48_000


def draw_facts(caption: str, facts: Iterable[tuple[str, Any]]) -> str:
    """Return a table of two columns: what, and its value; facts without a value are left out."""
    return draw_table(
        caption, (), [fact for fact in facts if fact[1] not in (None, "", (), [], {})]
    )


def draw_table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]], total: int | None = None
) -> str:
    """Return a table; what exceeds the limits is left out, and that is said.

    Args:
        caption: stands above.
        header: names of the columns; empty: none.
        rows: values; all are shown as texts, never as HTML.
        total: how many rows there are, if `rows` has not all of them.
    """
    given = list(islice(rows, ROWS + 1))
    lines = [f"<table><caption>{_text(caption)}</caption>"]
    if header:
        lines.append(f"<thead>{_row('th', header)}</thead>")
    lines.append("<tbody>")
    shown = size = 0
    for row in given[:ROWS]:
        if size > _BYTES:
            break
        lines.append(_row("td", row))
        shown, size = shown + 1, size + len(lines[-1].encode(errors="replace"))
    lines.append("</tbody></table>")
    if (total or len(given)) > shown:
        more = "more" if total is None else f"{total - shown} more"
        lines.append(f"<p>… and {more} rows</p>")
    return "".join(lines)


def _row(tag: str, values: Sequence[Any]) -> str:
    cells = [f"<{tag}>{_text(value)}</{tag}>" for value in values[:COLUMNS]]
    if len(values) > COLUMNS:
        cells.append(f"<{tag}>…</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _text(value: Any) -> str:
    # Only who draws pays for the import.
    import html

    text = value if isinstance(value, str) else _plain(value)
    return html.escape(text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…")


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(_plain, value[:COLUMNS])) + (", …" if len(value) > COLUMNS else "")
    return str(value)
