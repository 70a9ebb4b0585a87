"""What people and programs hand to commands is taken, or refused by a typed error."""

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gnomon.command.hub.rollouts import read_steps
from gnomon.command.predict import read_row
from gnomon.command.shared.output import readable
from gnomon.runtime.errors import InvalidInput

CONTEXT = click.Context(click.Command("rollout"))
OPTION = click.Option(["--steps"])


@given(line=st.binary())
@example(line=b"\xff")
@example(line=b"[" * 100_000)
@example(line=b'{"a": ' + b"1" * 10_000 + b"}")
@example(line=b"[]")
@example(line=b'{"a": "\\ud800"}')
def test_a_line_is_a_row_or_refused(line: bytes) -> None:
    try:
        row = read_row(line, 7)
    except InvalidInput as refused:
        assert str(refused).startswith("line 7 ")
    else:
        assert isinstance(row, dict)


@pytest.mark.parametrize("line", [b'{"a": 1, "a": 5}', b'{"x": {"a": 1, "\\u0061": 5}}'])
def test_a_name_that_comes_twice_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput, match="line 7 is refused: the name 'a' comes twice"):
        read_row(line, 7)


@given(text=st.text())
@example(text="10%,50%")
@example(text="100,,1000")
@example(text="²")
@example(text="0,1001")
@example(text="0%,100.1%,1e1%,-5%")
def test_steps_are_parts_in_a_thousand_or_refused(text: str) -> None:
    try:
        steps = read_steps(CONTEXT, OPTION, text)
    except click.BadParameter as refused:
        assert "parts in 1,000" in refused.message
    else:
        assert all(1 <= step <= 1000 for step in steps)


@given(steps=st.lists(st.integers(1, 1000), min_size=1))
def test_a_percentage_is_ten_parts_in_a_thousand(steps: list[int]) -> None:
    text = ",".join(
        f"{step // 10}.{step % 10}%" if step % 10 else f"{step // 10} %" for step in steps
    )
    assert read_steps(CONTEXT, OPTION, text) == steps


@given(number=st.integers())
@example(number=2**63)
def test_any_number_is_readable_as_a_time_or_as_itself(number: int) -> None:
    assert readable("started_at", number) == number or isinstance(readable("at_at", number), str)
    assert readable("rows", number) == number


def test_a_time_is_shown_as_people_write_it() -> None:
    assert readable("published_at", 0) == "1970-01-01T00:00:00Z"
