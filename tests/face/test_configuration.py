"""Settings come from the file, then the environment, then flags; each says where it came from."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from gnomon.command.shared.settings_sections import SECTIONS
from gnomon.configuration import SECTION_NAMES, resolve
from gnomon.runtime.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    data: Path
    port: int = 8600
    host: str = "127.0.0.1"
    engines: tuple[str, ...] = ("onnx",)
    budget_seconds: float | None = None
    packages: tuple[Path, ...] = ()
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if self.port < 0:
            raise ValueError(f"port {self.port} should be 0 or more")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "gnomon.toml"
    path.write_text('[hub]\ndata = "from-file"\nport = 1\nhost = "file.example"\n')
    return str(path)


def test_flags_beat_environment_beats_file(file: str) -> None:
    settings, origins = resolve(
        Settings,
        "hub",
        file=file,
        environment={"GNOMON_HUB_PORT": "2", "GNOMON_HUB_HOST": "environment.example"},
        flags={"host": "flag.example", "port": None},
    )
    assert settings == Settings(data=Path("from-file"), port=2, host="flag.example")
    sources = {origin.name: origin.source for origin in origins}
    assert sources["data"] == file
    assert sources["port"] == "environment GNOMON_HUB_PORT"
    assert sources["host"] == "flag --host"
    assert sources["engines"] == "default"


def test_texts_become_the_settings_type(file: str) -> None:
    settings, _ = resolve(
        Settings,
        "hub",
        file=file,
        environment={"GNOMON_HUB_ENGINES": "onnx, tflite", "GNOMON_HUB_BUDGET_SECONDS": "1.5"},
        flags={"packages": "a, b", "key_file": "key.pem"},
    )
    assert settings.packages == (Path("a"), Path("b"))
    assert settings.key_file == Path("key.pem")
    assert settings.engines == ("onnx", "tflite")
    assert settings.budget_seconds == 1.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[hub]\ndata = 'x'\nprot = 3\n",
            r"unknown setting prot \(did you mean port\?\); known are",
        ),
        ("[hubb]\ndata = 'x'\n", r"unknown section [hubb] \(did you mean hub\?\); known are"),
        (
            "port = 3\n[hub]\ndata = 'x'\n",
            "port is outside of every section; settings are below a line such as",
        ),
        ("hub = 3\n", "hub is outside of every section"),
        ("[hub]\ndata = 'x'\nport = 'many'\n", "hub.port from"),
        ("[hub]\n", "hub.data is not set: give --data, GNOMON_HUB_DATA"),
        ("[hub]\ndata = 'x'\nport = -4\n", "port -4 should be 0 or more"),
        ("[hub\n", "not readable as TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "gnomon.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says.replace("[", r"\[")):
        resolve(Settings, "hub", file=str(path), environment={})


def test_a_variable_that_is_nearly_a_setting_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"GNOMON_HUB_DATA": "x", "GNOMON_HUB_PROT": "1", "GNOMON_HUB_SERVICE_HOST": "h"}
    resolve(Settings, "hub", environment=environment)
    assert caplog.messages == [
        "the variable GNOMON_HUB_PROT names no setting of [hub] (did you mean port?)"
    ]


def test_every_section_of_the_commands_is_known() -> None:
    assert set(SECTIONS) == SECTION_NAMES


def test_a_flag_says_what_may_be_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"a whole number.*: 'many'"):
        resolve(Settings, "hub", environment={"GNOMON_HUB_DATA": "x"}, flags={"port": "many"})
