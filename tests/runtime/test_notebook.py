"""Values draw themselves in a notebook: everything from outside as text, and never too large."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gnomon.edge.agent import Agent
from gnomon.runtime.notebook import draw_facts, draw_table
from gnomon.runtime.prediction import Prediction, Predictions
from tests.support.packages import make_package

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
LIMIT = 100_000
VALUES = st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.lists(st.text()))


class Reader(HTMLParser):
    """Collects the tags that a browser would see, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(st.text(), st.lists(st.text(), max_size=30), st.lists(st.lists(VALUES), max_size=40))
def test_no_value_becomes_a_tag(caption: str, header: list[str], rows: list[list[object]]) -> None:
    drawn = draw_table(caption, header, rows, len(rows))
    assert Reader(drawn).tags <= TAGS
    assert len(drawn.encode(errors="replace")) <= LIMIT
    assert (len(rows) > 20) <= ("more rows" in drawn)


def test_the_largest_table_is_within_the_limit() -> None:
    drawn = draw_table("x" * 10_000, ['"' * 900] * 90, [['"' * 900] * 90] * 900, 900)
    assert Reader(drawn).tags <= TAGS
    assert len(drawn) <= LIMIT
    assert "898 more rows" in drawn


def test_facts_without_a_value_are_left_out() -> None:
    assert Reader(draw_facts("a", [("b", None), ("c", ""), ("d", 0)])).texts == ["a", "d", "0"]


def test_packages_answers_and_agents_draw_themselves(tmp_path: Path) -> None:
    package = make_package(tmp_path / "eta-1", None, owner="<script>")
    assert repr(package) == f"Package(eta@1, {package.digest[:16]}, at {package.path})"
    drawn = Reader(package._repr_html_())
    assert {"Package eta@1", "<script>", "distance", "0 to 10000", "AA, UA, WN"} <= set(drawn.texts)
    row = {"distance": 800.0, "wind": 900.0, "carrier": "UA"}
    with Agent(package=package.path) as agent:
        answer = agent.predict(row, request_id="<b>")
        status = agent.status()
    texts = Reader(answer._repr_html_()).texts
    assert {"Answer of eta@1", "air_time", "<b>", "corrected or flagged"} <= set(texts)
    assert "eta@1" in Reader(status._repr_html_()).texts


def test_many_answers_show_their_first_rows() -> None:
    outputs = {"x": np.arange(1_000.0), "label": np.array(["<i>"] * 1_000, object)}
    answers = Predictions(outputs, "m", "1", "d", "r", (), None, latency_ns=1, rows=1_000)
    texts = Reader(answers._repr_html_()).texts
    assert {"1000 answers of m@1", "19", "<i>", "… and 980 more rows"} <= set(texts)
    assert "20" not in texts
    one = Prediction({"x": [1.0, 2.0]}, "m", "1", "d", "r", (), None, 1)
    assert "1, 2" in Reader(one._repr_html_()).texts
