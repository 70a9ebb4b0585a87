"""The demo, played once in a smaller size by its own command; what it leaves serves other tests."""

import json
import subprocess
import sys

import pytest

from tests.support.demo import Played


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "gnomon", "demo", "--size", "small", "--json"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=540, check=False
    )
    assert done.stdout, done.stderr[-4000:]
    return Played(folder, done.returncode, json.loads(done.stdout))
