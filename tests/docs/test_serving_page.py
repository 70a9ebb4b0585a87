"""`docs/serving.md` says what is so: errors, settings, calls and metrics, from the code."""

import re
from pathlib import Path

import httpx

from gnomon.runtime.errors import WIRE
from gnomon.runtime.wire import ERRORS_BY_CODE

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_table_of_errors_is_the_one_table() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 6]
    expected = []
    for code, (status, http) in WIRE.items():
        kind = ERRORS_BY_CODE[code]
        when = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        if code == "internal":
            when = "Something unexpected; the server's log tells more."
        expected.append(f"| `{code}` | {kind.fault.value} | {status} | {http} | {when} |")
    assert rows == expected


def test_every_path_is_there(rest: httpx.Client) -> None:
    section = PAGE.split("| REST | answers |")[1].split("\n\n")[0]
    calls = re.findall(r"`(GET|POST) ([^`]+)`", section)
    assert len(calls) >= 8
    for method, path in calls:
        good = path.replace("[/versions/{version}]", "/versions/1").replace("{model}", "eta")
        assert rest.request(method, good).status_code in (200, 422), good
        if "[" in path:
            short = path.replace("[/versions/{version}]", "").replace("{model}", "eta")
            assert rest.request(method, short).status_code in (200, 422), short


def test_every_metric_is_there(rest: httpx.Client) -> None:
    section = PAGE.split("## Metrics")[1].split("## ")[0]
    text = rest.get("/metrics").text
    names = re.findall(r"`((?:gnomon|nv)_\w+)`", section)
    assert len(names) >= 11
    for name in names:
        family = name.removesuffix("_total")
        assert re.search(rf"^# TYPE {family}(_total)? ", text, re.MULTILINE), name
