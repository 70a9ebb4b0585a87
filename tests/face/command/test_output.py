"""What commands print is what the values say: no markup, no control characters, nothing cut."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

import gnomon.command
from gnomon.command.shared import listing, output

LINES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])).filter(
    lambda text: text == text.strip()
)


def rendered(thing: object, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a pipe would receive."""
    received = io.StringIO()
    console = Console(file=received, width=output.PIPE_COLUMNS, markup=False, emoji=False)
    monkeypatch.setattr(output, "console", console)
    output.show(thing)
    return received.getvalue()


def cells(table: str) -> list[str]:
    """Return the cells of the last row."""
    (*_, row) = table.splitlines()
    return [cell.strip() for cell in row.split("│")]


@given(text=LINES.filter(lambda text: "│" not in text))
@example(text="[/b] hi")
@example(text="[red]gone[/]")
@example(text=":smile: [model] x" * 40)
@example(text="\\[bold]")
def test_any_text_in_a_cell_comes_out_as_it_is(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        shown = rendered(output.table("Tags", ["tag", "value"], [["note", text]]), patched)
    assert cells(shown) == ["note", text]


@given(text=LINES)
@example(text="[/b] hi")
@example(text="[model]")
@example(text=":smile: " * 200 + "end")
def test_any_text_in_a_line_a_title_or_a_heading_comes_out_as_it_is(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        assert rendered(text, patched) == f"{text}\n"
        assert text in rendered(output.table(text, ["a"], [["b"]]), patched)
        assert text in rendered(output.table("t", [text], [["b"]]), patched)
        assert rendered(output.styled(text, "bold"), patched) == f"{text}\n"


@given(text=st.text(st.characters(categories=["Cc", "Cs"]), min_size=1))
@example(text="\x1b[2K\x1b[1A")
@example(text="\u202egpj.exe")
@example(text="\ud800")
def test_what_would_move_the_cursor_is_shown_by_its_number(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        shown = rendered(output.table("t", ["value"], [[text]]), patched)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
    for character in set(text) - set("\t\n"):
        assert character.isprintable() or repr(character)[1:-1] in shown


@pytest.mark.parametrize("width", [40, 80, 140])
def test_on_a_narrow_terminal_no_value_is_cut_or_folded_beyond_reading(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"column_{number}" for number in range(15)]
    record = {name: f"{name}={'x' * 20}" for name in names} | {"at": 0}
    received = io.StringIO()
    console = Console(file=received, width=width, markup=False, emoji=False)
    monkeypatch.setattr(output, "console", console)
    listing.render_list("Rollouts", [record, record])
    shown = received.getvalue()
    assert shown.startswith("Rollouts\n\n")
    for name in names:
        assert shown.count(f"  {name}: {record[name]}\n") == 2
    assert "  at: 1970-01-01T00:00:00Z\n" in shown


def test_a_table_with_few_columns_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    received = io.StringIO()
    monkeypatch.setattr(output, "console", Console(file=received, width=60, markup=False))
    output.show(output.table("Alerts", ["id", "text"], [["01M8P4W", "word " * 40]]))
    assert "01M8P4W" in received.getvalue()
    assert received.getvalue().count("word") == 40


def test_no_command_prints_past_the_one_place_that_knows_how() -> None:
    folder = Path(gnomon.command.__file__).parent
    for file in folder.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        if file.name not in {"output.py", "demo.py", "progress.py"}:
            assert "console.print" not in text, file
        assert not re.search(r"\[/\]", text), f"{file} writes markup beside values"
