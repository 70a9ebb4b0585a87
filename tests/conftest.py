"""Marks that follow from a fixture or a folder, what workers share, and the demo, played once."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.support.demo import Played

# Idle threads of OpenMP spin by default, which costs a fit three times its CPU time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Hubs of tests record their addresses here, not in the user's own folder.
_STATE = tempfile.TemporaryDirectory(prefix="gnomon-state-")
os.environ["XDG_STATE_HOME"] = str(Path(_STATE.name).resolve())
# A busy machine makes no example wrong.
settings.register_profile("gnomon", deadline=None)
settings.load_profile("gnomon")

#: Fixture → the mark of every test that needs it.
FIXTURE_MARKS = {"broker": "brokers", "played": "demo"}
#: Folder → the mark of every test in it.
FOLDER_MARKS = {
    "neighbours": "neighbours",
    "bench": "slow",
    "security": "slow",
    "transfer": "slow",
}
LONGEST = {"demo", "brokers"}
#: The files whose tests look at what the demo left: one worker plays it for both.
DEMO_FILES = ("tests/docs/test_readme.py", "tests/face/demo/test_demo.py")
ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in FIXTURE_MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(FIXTURE_MARKS[name])
        for folder, mark in FOLDER_MARKS.items():
            if folder in item.path.relative_to(ROOT).parts:
                item.add_marker(mark)
        if "played" in getattr(item, "fixturenames", ()):
            assert item.path.relative_to(ROOT).as_posix() in DEMO_FILES, item.path
    # The longest begin first, so that no worker waits for them at the end. Sorting is stable.
    items.sort(key=lambda item: not any(mark.name in LONGEST for mark in item.iter_markers()))


class FileScheduling(LoadFileScheduling):
    """Gives all tests of a file to one worker, so that what it sets up is set up once."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return DEMO_FILES[0] if file in DEMO_FILES else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Take away the log that a command set up in this process: its level would stay."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "gnomon", "demo", "--size", "small", "--json"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=540, check=False
    )
    assert done.stdout, done.stderr[-4000:]
    return Played(folder, done.returncode, json.loads(done.stdout))
