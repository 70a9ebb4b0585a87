"""The systemd units are valid, hardened, and leave time for a drain."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from gnomon.command.root import EXIT_CODES
from gnomon.edge.settings import NodeSettings
from gnomon.runtime import errors
from gnomon.runtime.errors import Fault
from gnomon.server.serving.settings import ServeSettings

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
NAMES = ("gnomon-server.service", "gnomon-agent.service")
#: By systemd's own measure, 0 (none) to 10 (wide open); "OK" begins at 4.9.
EXPOSURE = 3.0


class Unit(configparser.RawConfigParser):
    """A unit's settings; of those that are given twice, the last."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None)
        self.optionxform = str  # type: ignore[assignment, method-assign]
        self.read(UNITS / name)


@pytest.fixture
def tool() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_systemd_takes_the_unit(name: str, tool: str, tmp_path: Path) -> None:
    program = Unit(name)["Service"]["ExecStart"].split()[0]
    text = (UNITS / name).read_text(encoding="utf-8")
    assert program in text
    # The program is not installed here.
    (tmp_path / name).write_text(text.replace(program, "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        [tool, "verify", tmp_path / name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert name not in done.stderr
    threshold = f"--threshold={round(EXPOSURE * 10)}"
    done = subprocess.run(
        [tool, "security", "--offline=true", threshold, tmp_path / name],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in done.stderr or "Unknown" in done.stderr:
        pytest.skip("this systemd-analyze has no offline measure (252 has)")
    assert done.returncode == 0, done.stdout[-2_000:]


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_may_do_little(name: str) -> None:
    service = Unit(name)["Service"]
    assert service["DynamicUser"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["StateDirectory"] == name.removesuffix(".service")
    assert service["StateDirectoryMode"] == "0700"


def test_a_stop_leaves_time_for_the_drain() -> None:
    server, agent = (int(Unit(name)["Service"]["TimeoutStopSec"]) for name in NAMES)
    settings = ServeSettings()
    assert server >= settings.notice_seconds + settings.grace_seconds + 10
    assert agent >= NodeSettings(hub="127.0.0.1:1").stop_seconds + 10


def test_the_agent_is_watched_and_started_again() -> None:
    service = Unit(NAMES[1])["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 30
    assert int(service["TimeoutStartSec"]) >= 600  # what was in service is loaded first
    assert service["Restart"] == "on-failure"  # which a watchdog's end is
    # A package that is tried apart may be ended for its memory, and the agent goes on.
    assert service["OOMPolicy"] == "continue"


@pytest.mark.parametrize("name", NAMES)
def test_exactly_what_only_a_person_can_mend_is_not_tried_again(name: str) -> None:
    codes = Unit(name)["Service"]["RestartPreventExitStatus"].split()
    assert {int(code) for code in codes} == {EXIT_CODES[Fault.CALLER], EXIT_CODES[Fault.PACKAGE]}


@pytest.mark.parametrize("kind", [*vars(errors).values()])
def test_an_error_that_may_pass_lets_the_agent_be_started_again(kind: object) -> None:
    """The hub, the disk and the network recover by themselves."""
    prevented = Unit(NAMES[1])["Service"]["RestartPreventExitStatus"].split()
    if isinstance(kind, type) and issubclass(kind, errors.GnomonError):
        may_pass = kind.fault in (Fault.HUB, Fault.NODE, Fault.US)
        assert (str(EXIT_CODES[kind.fault]) in prevented) != may_pass
