"""`docs/streams.md` names every setting with its default."""

import dataclasses
import re
from pathlib import Path

from gnomon.server.streams.settings import StreamSettings

PAGE = (Path(__file__).parents[2] / "docs" / "streams.md").read_text(encoding="utf-8")


def test_every_setting_is_reported() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (\S+) \|", PAGE, flags=re.MULTILINE)
    told = {name: default for names, default in rows for name in re.findall(r"\w+", names)}
    for field in dataclasses.fields(StreamSettings):
        shown = "none" if field.default in ("", None) else f"`{field.default}`"
        assert told.pop(field.name) == shown
    assert not told
