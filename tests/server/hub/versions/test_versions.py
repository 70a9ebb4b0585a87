"""Versions are found, named, tagged, compared and followed."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner

from gnomon.command.root import root
from gnomon.runtime.packages.package import Package
from gnomon.server.hub.versions import search
from tests.support.packages import linear_onnx

Make = Callable[..., Package]


@pytest.fixture
def packages_there(builder: Any, make: Make) -> list[Package]:
    made = [
        make("1"),
        make("2", model=linear_onnx([1.0, 0.0, 0.0, 0.0, 0.0], 1.0)),
        make("2", format="tflite"),
    ]
    for package in made:
        builder.publish(package)
    return made


def refused(caller: Any, path: str, **body: Any) -> tuple[int, str]:
    answer: httpx.Response = caller.http.post(f"/api/v1/{path}", json=body)
    return answer.status_code, answer.json()["code"]


def found(caller: Any, **wanted: Any) -> list[tuple[str, str]]:
    packages = caller.get("versions", **wanted)["packages"]
    return sorted((one["version"], one["format"]) for one in packages)


def command(caller: Any, *arguments: str) -> Any:
    result = CliRunner().invoke(
        root, ["registry", *arguments, "--url", caller.addresses.rest, "--json"], obj=None
    )
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.mark.both_databases
def test_versions_are_found_by_what_is_said_of_them(
    caller: Any, packages_there: list[Package]
) -> None:
    everything = [("1", "onnx"), ("2", "onnx"), ("2", "tflite")]
    caller.post("models/eta/versions/2/tags", tags={"region": "north", "checked": "yes"})
    caller.post("placements", model="eta", version="1")
    for wanted, expected in (
        ({}, everything),
        ({"model": "eta"}, everything),
        ({"model": "other"}, []),
        ({"text": "ET"}, everything),
        ({"text": "%"}, []),
        ({"publisher": "ada", "format": "onnx"}, everything[:2]),
        ({"tag": "region"}, everything[1:]),
        ({"tag": "region=north", "format": "tflite"}, everything[2:]),
        ({"tag": "region=south"}, []),
        ({"alias": "champion"}, everything[:1]),
        ({"dataset": "f" * 64}, everything),
        ({"risk_tier": "low"}, everything),
        ({"since": 1, "until": 2}, []),
    ):
        assert found(caller, **wanted) == expected, wanted
    (champion,) = caller.get("versions", alias="champion")["packages"]
    assert champion["aliases"] == ["champion"]
    assert caller.http.get("/api/v1/versions", params={"colour": "red"}).status_code == 422


def test_what_is_searched_for_fits_its_columns(packages_there: list[Package]) -> None:
    manifest = msgspec.structs.replace(packages_there[0].manifest, owner="\N{SNOWMAN}" * 5_000)
    columns = search.columns_of(manifest, "ada")
    assert columns["owner"] == "\N{SNOWMAN}" * 85
    assert columns["words"].startswith("eta@1 ada \N{SNOWMAN}")
    assert sum(len(text.encode()) for text in columns.values()) < 1_200


@pytest.mark.both_databases
def test_pages_follow_each_other(caller: Any, packages_there: list[Package]) -> None:
    whole = caller.get("versions")
    assert whole["next"] is None
    pages, cursor = [], {}
    for _ in whole["packages"]:
        page = caller.get("versions", limit=1, **cursor)
        pages += page["packages"]
        cursor = {"cursor": page["next"]}
    assert pages == whole["packages"]
    assert cursor == {"cursor": None}
    answer = caller.http.get("/api/v1/versions", params={"cursor": "x"})
    assert answer.json()["code"] == "invalid_input"
    listed = caller.get("models/eta/versions", limit=1, offset=1)
    assert [one["digest"] for one in listed] == [whole["packages"][1]["digest"]]


def test_a_version_comes_with_all_that_it_takes_to_verify_it(
    caller: Any, packages_there: list[Package]
) -> None:
    version = caller.get("models/eta/versions/2")
    assert [one["format"] for one in version["packages"]] == ["onnx", "tflite"]
    for one, package in zip(version["packages"], packages_there[1:], strict=True):
        assert one["digest"] == package.digest
        envelopes = [base64.b64decode(envelope) for envelope in one["envelopes"]]
        assert envelopes == list(package.envelopes)
        assert one["manifest"] == json.loads(package.manifest_bytes)
    assert caller.http.get("/api/v1/models/eta/versions/7").json()["code"] == "unknown_model"


@pytest.mark.both_databases
def test_an_alias_moves(caller: Any, packages_there: list[Package]) -> None:
    assert caller.post("models/eta/aliases", alias="tried", version="1") == {"tried": "1"}
    assert caller.post("models/eta/aliases", alias="tried", version="2") == {"tried": "2"}
    assert caller.post("models/eta/aliases", alias="tried", version="2") == {"tried": "2"}
    assert caller.get("models/eta/aliases/tried")["version"] == "2"
    assert caller.post("models/eta/aliases", alias="tried") == {}
    audited = [one["detail"] for one in caller.get("audit") if one["action"] == "set_alias"]
    assert audited == [
        {"alias": "tried", "previous": "1"},
        {"alias": "tried", "previous": None},
    ]


@pytest.mark.slow
def test_champion_and_challenger_follow_from_what_is_done(
    caller: Any, packages_there: list[Package]
) -> None:
    caller.post("placements", model="eta", version="1")
    rollout = caller.post("rollouts", model="eta", version="2")
    assert caller.get("models/eta/aliases") == {"champion": "1", "challenger": "2"}
    assert refused(caller, "models/eta/aliases", alias="champion", version="2") == (
        409,
        "conflict",
    )
    caller.post(f"rollouts/{rollout['id']}/abort")
    assert caller.get("models/eta/aliases") == {"champion": "1"}


def test_a_wrong_alias_or_tag_is_refused(caller: Any, packages_there: list[Package]) -> None:
    aliases, tags = "models/eta/aliases", "models/eta/versions/1/tags"
    assert refused(caller, aliases, alias="Best one", version="1") == (422, "invalid_input")
    assert refused(caller, aliases, alias="best", version="9") == (404, "unknown_model")
    assert refused(caller, aliases, alias="best") == (404, "not_found")
    assert refused(caller, tags, tags={"a b": "c"}) == (422, "invalid_input")
    assert refused(caller, tags, tags={"a": "c" * 256}) == (422, "invalid_input")
    assert refused(caller, "models/eta/versions/9/tags", tags={"a": "c"}) == (404, "unknown_model")
    assert caller.get("models/eta/versions/1")["tags"] == {}


@pytest.mark.both_databases
def test_tags_are_set_and_taken_away(caller: Any, packages_there: list[Package]) -> None:
    path = "models/eta/versions/1/tags"
    assert caller.post(path, tags={"a": "1", "b": "2"}) == {"a": "1", "b": "2"}
    assert caller.post(path, tags={"a": None, "b": "3"}) == {"b": "3"}


def test_a_comparison_says_what_differs(caller: Any, packages_there: list[Package]) -> None:
    same = caller.get("models/eta/compare", left="1", right="1")
    assert (same["rules"], same["reference"], same["manifest"]) == ([], [], [])
    compared = caller.get("models/eta/compare", left="1", right="2")
    assert compared["format"] == "onnx"
    assert [compared[side]["version"] for side in ("left", "right")] == ["1", "2"]
    answer = caller.http.get("/api/v1/models/eta/compare", params={"left": "1", "right": "9"})
    assert answer.json()["code"] == "unknown_model"


def test_the_command_line_says_the_same(caller: Any, packages_there: list[Package]) -> None:
    assert command(caller, "models") == caller.get("models")
    assert command(caller, "alias", "eta@1", "tried") == {"tried": "1"}
    assert command(caller, "tag", "eta@1", "region=north=west") == {"region": "north=west"}
    assert command(caller, "versions", "--alias", "tried") == caller.get("versions", alias="tried")
    assert command(caller, "compare", "eta", "1", "2")["format"] == "onnx"
    assert command(caller, "show", "eta@1")["tags"] == {"region": "north=west"}
    assert command(caller, "alias", "eta", "tried", "--remove") == {}
    assert command(caller, "tag", "eta@1", "--remove", "region") == {}
    assert command(caller, "at", "2026-03-01") == []


def test_every_answer_is_shown_to_people(caller: Any, packages_there: list[Package]) -> None:
    caller.post("placements", model="eta", version="1")
    today = datetime.now(UTC).date().isoformat()
    for line, expected in (
        ("models", "eta"),
        ("versions", "onnx"),
        ("show eta@1", "Placements"),
        ("compare eta 1 2", "Training data"),
        (f"at {today}", "In service"),
        ("at 2026-03-01", "nothing was in service"),
        ("alias eta", "champion"),
        ("tag eta@1 a=b", "Tags"),
    ):
        url = caller.addresses.rest
        result = CliRunner().invoke(root, ["registry", *line.split(), "--url", url], obj=None)
        assert result.exit_code == 0, result.output
        assert expected in result.output


def test_markup_in_a_value_is_shown_and_hides_nothing(
    caller: Any, packages_there: list[Package]
) -> None:
    """One tag could break these lists for everybody, or hide an audit record from a terminal."""
    tag = "note=[/b] hi [red]gone[/red]\x1b[2K"
    url = ["--url", caller.addresses.rest]
    for line in (
        ["registry", "tag", "eta@2", tag],
        ["registry", "versions", "--wide"],
        ["hub", "audit", "list"],
    ):
        result = CliRunner().invoke(root, [*line, *url], obj=None)
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output
    shown = CliRunner().invoke(root, ["registry", "versions", "--wide", *url], obj=None).output
    assert "[/b] hi [red]gone[/red]\\x1b[2K" in shown
