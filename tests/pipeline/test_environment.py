"""The code's version, from real git repositories."""

import subprocess
from importlib.metadata import version

import pytest

from gnomon.pipeline.environment import code_version, pinned
from gnomon.runtime.errors import ConfigurationError


def git(folder, *arguments):
    options = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *options, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_commit_and_cleanness(tmp_path):
    source = tmp_path / "recipe.py"
    source.write_text("a = 1\n")
    git(tmp_path, "init")
    assert code_version(source) == (f"gnomon-{version('gnomon')}", False)
    git(tmp_path, "add", "recipe.py")
    git(tmp_path, "commit", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_version(source) == (f"git:{commit}", True)
    source.write_text("a = 2\n")
    assert code_version(source) == (f"git:{commit}", False)


def test_dependencies_are_pinned_to_what_is_installed():
    found = pinned(["numpy", "msgspec"])
    assert [(one.name, one.version) for one in found] == [
        ("msgspec", version("msgspec")),
        ("numpy", version("numpy")),
    ]
    with pytest.raises(ConfigurationError, match="no-such-thing"):
        pinned(["no-such-thing"])
