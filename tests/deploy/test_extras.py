"""What a server needs: its extra brings everything, and little."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from gnomon.client.inference.blocking import Client
from tests.support.names import ROOT
from tests.support.packages import make_package

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MOST_PACKAGES = 30
MOST_MB = 65

#: Only modules of these distributions can be imported, beside Gnomon's and Python's own.
ONLY = """
import sys
allowed = set(sys.argv[1].split(","))
class Finder:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in allowed or top in sys.stdlib_module_names or top.startswith("_sysconfig")
        if not known:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Finder())
from gnomon.__main__ import main
sys.argv[1:] = sys.argv[2:]
sys.exit(main())
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(requirement: Requirement, extras: set[str]) -> bool:
    if requirement.marker is None:
        return True
    environment: dict[str, Any] = dict(default_environment())
    return any(requirement.marker.evaluate(environment | {"extra": one}) for one in extras | {""})


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """Return what is installed by these requirements, by its name."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        one = waiting.pop()
        name = canonical(one.name)
        if name == "gnomon":
            waiting += [
                Requirement(text)
                for extra in one.extras
                for text in PROJECT["optional-dependencies"][extra]
            ]
            continue
        is_new = name not in found
        found[name] = distribution(one.name)
        needs = [Requirement(text) for text in found[name].requires or ()]
        if is_new or one.extras:
            waiting += [need for need in needs if applies(need, set(one.extras))]
    return found


@pytest.fixture(scope="module")
def needed() -> dict[str, Distribution]:
    return closure([*PROJECT["dependencies"], "gnomon[server]"])


def test_a_server_needs_no_database(needed: dict[str, Distribution]) -> None:
    assert not {"sqlalchemy", "alembic", "obstore", "jinja2", "rich", "httpx"} & set(needed)


def test_a_server_needs_few_packages_and_little_disk() -> None:
    """Beyond NumPy and the engine. Compiled Python is taken to be as large as its source."""
    server = [one for one in PROJECT["optional-dependencies"]["server"] if one != "gnomon[onnx]"]
    own = closure([*PROJECT["dependencies"], *server])
    del own["numpy"]
    size = sum(
        path.stat().st_size * (2 if path.suffix == ".py" else 1)
        for one in own.values()
        for path in {Path(str(one.locate_file(file))) for file in one.files or ()}
        if path.suffix != ".pyc" and path.is_file()
    )
    assert len(own) + 1 <= MOST_PACKAGES, sorted(own)  # Gnomon itself is one
    assert size / 1e6 <= MOST_MB


@pytest.mark.slow
def test_a_server_runs_with_what_its_extra_brings(
    tmp_path: Path, needed: dict[str, Distribution]
) -> None:
    modules = {
        Path(file.parts[0]).name.partition(".")[0]
        for one in needed.values()
        for file in one.files or ()
    }
    make_package(tmp_path / "eta", None)
    command = [sys.executable, "-c", ONLY, ",".join({"gnomon", "google", *modules})]
    command += ["serve", str(tmp_path / "eta"), "--port", "0", "--rest-port", "0", "--json"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        addresses = json.loads(process.stdout.readline())
        with Client(addresses["grpc"]) as client:
            (answer,) = client.predict("eta", {"distance": 800.0, "wind": 10.0, "carrier": "UA"})
        assert answer.outputs == {"air_time": 111.0}
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()


def test_commands_of_a_server_show_tables_and_say_what_they_need(tmp_path: Path) -> None:
    """Without rich each value is a line; calls of a hub name the extra that brings them."""
    env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "XDG_STATE_HOME": str(tmp_path)}
    allowed = "gnomon,click,numpy,msgspec,structlog,cryptography,grpc,google,psutil,_cffi_backend"
    for arguments, code, part in (
        (["config", "log"], 0, "  name: level\n  value: auto\n  from: default\n"),
        (["hub", "nodes"], 2, "needs httpx, which is not installed: pip install 'gnomon[cli]'"),
        (["hub", "run"], 2, "pip install 'gnomon[hub]'"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", ONLY, allowed, *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        assert part in done.stdout + done.stderr
