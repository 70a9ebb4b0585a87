"""`docs/settings.md` and `--help` say of each setting what the comment above it says."""

import dataclasses
from pathlib import Path

import pytest

from gnomon.command.root import run
from gnomon.command.shared.setting_comments import comments_of
from gnomon.command.shared.settings_sections import SECTIONS, settings_type

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

#: Commands whose flags are the settings of a section.
COMMANDS = {"hub": "hub run", "node": "agent", "serve": "serve", "stream": "stream"}


@dataclasses.dataclass
class Base:
    #: Of the base,
    #: on two lines.
    first: int = 0


@dataclasses.dataclass
class Sample(Base):
    #: Of both.
    second: int = 1
    third: int = 2

    fourth: int = 3
    #: Its own.
    fifth: str = "a: b"


def test_comments_are_those_above_a_setting_or_its_group() -> None:
    assert comments_of(Sample) == {
        "first": "Of the base, on two lines.",
        "second": "Of both.",
        "third": "Of both.",
        "fifth": "Its own.",
    }


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_has_a_comment(section: str) -> None:
    kind = settings_type(section)
    assert list(comments_of(kind)) == [field.name for field in dataclasses.fields(kind)]


def test_the_page_is_the_one_that_the_command_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--page"]) == 0
    assert PAGE.read_text(encoding="utf-8") == capsys.readouterr().out


@pytest.mark.parametrize("section", COMMANDS)
def test_help_shows_the_meaning_of_each_setting(
    section: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*COMMANDS[section].split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, comment in comments_of(settings_type(section)).items():
        default = f"[{section}.{name}]"
        meaning = shown.partition(default)[0].replace("- ", "-")
        assert comment.replace("- ", "-") in meaning, name
