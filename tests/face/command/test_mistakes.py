"""Mistakes that newcomers make: what each is told, and with which exit code."""

import pickle
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.command.root import run
from gnomon.pipeline.recipes.example import EXAMPLE
from gnomon.runtime.packages.signing import Signer
from tests.support.hub_command import HubCommand
from tests.support.packages import make_package
from tests.support.recipes import write_project

SERVE = ("serve", "eta", "--port", "0", "--rest-port", "-1")
BUILD = ("package", "build")
IMPORT = ("package", "import")
KEY = "0" * 64

#: What is written → its exit code, and parts of the message: what is wrong, what would be right.
LOCAL = {
    "serve nope/rent-1": (2, "nope/rent-1 does not exist"),
    "serve empty": (2, "empty holds no model: expected a package (a folder with manifest.json)"),
    "serve model.pkl": (2, "model.pkl holds no model", ".onnx, .tflite"),
    "serve damaged.onnx": (3, "damaged.onnx", "not an ONNX model"),
    "serve eta --port {busy} --rest-port -1": (2, "127.0.0.1:{busy}", "give port (0: any)"),
    "serve eta --port 0 --rest-port {busy}": (2, "127.0.0.1:{busy}", "give rest_port (0: any"),
    "serve eta --port 99999": (2, "port should be 0 to 65535, got 99999"),
    "serve eta --port x": (2, "serve.port from flag --port", "a whole number"),
    "serve": (2, "give either hub, or packages to serve"),
    "serve eta --host 0.0.0.0": (2, "'0.0.0.0'", "give keys_file"),
    "serve eta --prot 1": (2, "No such option '--prot'", "--port"),
    "--config bad.toml {serve}": (2, "bad.toml: not readable as TOML", "line 1"),
    "--config key.toml {serve}": (2, "key.toml [serve]: unknown setting prot (did you mean port?)"),
    "--config section.toml {serve}": (2, "unknown section [sreve] (did you mean serve?)"),
    "--config type.toml serve eta": (2, "serve.port from type.toml", "a whole number"),
    "--config none.toml serve eta": (2, "none.toml", "does not exist"),
    "hub run --behind-tls-proxy yes": (2, "flag --behind-tls-proxy", "true or false"),
    "sevre": (2, "No such command 'sevre' (did you mean 'serve'?)"),
    "xyzzy": (2, "No such command 'xyzzy'."),
    "hub nodse": (2, "No such command 'nodse'", "nodes"),
    "{serve} --keys-file none.json": (2, "none.json cannot be read", "`gnomon key create` makes"),
    "{serve} --keys-file eta": (2, "eta cannot be read as a file of API keys"),
    "{serve} --certificate-file no.pem --key-file key.pem": (2, "no.pem", "cannot be read"),
    "{serve} --certificate-file bad.toml --key-file key.pem": (2, "bad.toml", "certificate_file"),
    "predict eta rows.csv": (2, "rows.csv: line 1 is not JSON", "say --csv"),
    "predict eta none.json": (2, "none.json: No such file or directory"),
    "predict eta none.csv --csv": (2, "none.csv", "No such file or directory"),
    "predict eta empty": (2, "empty: Is a directory"),
    "predict eta latin.csv --csv": (2, "latin.csv: byte 9", "set the encoding"),
    "predict bad rows.csv --csv": (3, "model.onnx has", "bytes, expected"),
    "predict eta rows.csv --csv --key {other}": (3, "is not signed by a trusted key"),
    "package verify eta --key key.pem": (2, "'key.pem' should be a public key: 64 hexadecimal"),
    "package verify none --key {other}": (2, "none", "does not exist"),
    "package inspect empty": (3, "empty", "manifest.json"),
    "key create ada --file none/keys.json": (2, "none/keys.json cannot be written"),
    "dataset fingerprint none.csv": (2, "none.csv"),
    "dataset profile none.parquet": (2, "none.parquet"),
    "dataset check rows.csv": (2, "record"),
    "package build none.toml out": (2, "none.toml"),
    "package build bad.toml out": (2, "bad.toml", "line 1"),
    "pipeline run none.toml": (2, "none.toml"),
    "package import none.onnx out --name m --version 1": (2, "none.onnx"),
    "package import none.pmml out --name m --version 1": (2, "none.pmml", "does not exist"),
    "package import damaged.onnx out --name m --version 1": (
        3,
        "damaged.onnx",
        "not an ONNX model",
    ),
    "package import model.pkl out --name m --version 1": (
        2,
        "model.pkl should end in .onnx",
        "--unpickle",
    ),
    "package import empty out --name m --version 1": (
        2,
        "empty/MLmodel, which makes a folder an MLflow model, cannot be read",
    ),
    "package import {model} out --name M --version 1": (2, "name 'M'", "lower case letters"),
    "package import damaged.onnx out": (2, "Missing option '--name'"),
    "hub run --database-url foo://x --data-folder h": (2, "'foo'; expected sqlite or postgresql"),
    "hub run --data-folder garbage {ports}": (5, "garbage/hub.db", "`gnomon hub doctor`"),
    "hub restore none": (2, "none"),
    "hub import none --data-folder h": (2, "none"),
    "hub audit verify none.jsonl": (2, "none.jsonl"),
    "hub rollout eta@1 --steps a,b": (2, "'a,b' should be parts in 1,000", "percentages"),
    "hub nodes --url http://127.0.0.1:9": (4, "http://127.0.0.1:9 cannot be reached", "refused"),
    "hub nodes --url 127.0.0.1:8600": (2, "'127.0.0.1:8600'", "such as http://127.0.0.1:8600"),
    "hub nodes --url http://[::1": (2, "'http://[::1' is no URL"),
    "hub nodes --api-key-file none": (2, "no API key can be read from none"),
    "hub place eta --url {nowhere}": (2, "'eta' should be NAME@VERSION, such as eta@1"),
}

#: The same for calls of a hub that runs.
AT_A_HUB = {
    "hub nodes --api-key-file wrong.key": (2, "the API key is not known here"),
    "hub place eta@1": (2, "there is no eta@1 in the registry"),
    "hub place eta@champion": (2, "there is no eta@champion in the registry"),
    "hub place eta": (2, "'eta' should be NAME@VERSION, such as eta@1"),
    "hub abort 01M8P4WZZ1QK3V7N5T2R9XBYCD": (2, "01M8P4WZZ1QK3V7N5T2R9XBYCD"),
    "hub trust key.pem": (2, "'key.pem' should be a public key", "holds something else"),
    "hub trust none.pub": (2, "'none.pub' should be a public key", "no file of that name"),
    "hub untrust abcd": (2, "'abcd' should be a public key: 64 hexadecimal digits, or a file"),
    "hub token --role king": (2, "'king' is not one of", "builder"),
    "registry at 2027-13-01": (2, "'2027-13-01' is no time", "2026-03-01T12:00Z"),
    "registry at 9000-01-01": (2, "is in the future"),
    "registry show eta@1": (2, "there is no model 'eta'"),
}

#: What is changed in a good recipe → parts of the message.
RECIPES = {
    ('"train.csv"', '"none.csv"'): ("none.csv", "No such file"),
    ('file = "model.onnx"', 'file = "none.onnx"'): ("none.onnx", "No such file"),
    ('version = "1"', 'version = "one two"'): ("version", "'one two'"),
    ('name = "duration"', 'name = "Duration 1"'): ("name", "Duration 1"),
    ("distance = {minimum = 0, maximum", "distnce = {minimum = 0, maximum"): (
        "distnce",
        "distance",
    ),
    ('label = "took"', 'label = "tok"'): ("tok", "took"),
    ('tensor = "minutes"', 'tensor = "minute"'): ("minute", "minutes"),
    ("hour = {minimum = 0, maximum = 23", "hour = {minimum = 9, maximum = 23"): ("hour", "minimum"),
    ('"car", "truck", "van"', '"car", "truck"'): ("vehicle", "van"),
    ('encode = "code"', 'encode = "hot"'): ("hot", "onehot"),
    ("weight <= 30 or", "weight <= 30 oder"): ("heavy", "oder"),
    ('risk_tier = "low"', 'risktier = "low"'): ("unknown key risktier", "risk_tier"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package, other models, data and settings, some of them wrong."""
    folder = tmp_path_factory.mktemp("mistakes")
    signer = Signer.generate()
    signer.save(folder / "key.pem")
    make_package(folder / "eta", signer)
    make_package(folder / "bad", signer)
    with (folder / "bad" / "model.onnx").open("ab") as model:
        model.write(b"xx")
    for name in ("empty", "garbage"):
        (folder / name).mkdir()
    (folder / "garbage" / "hub.db").write_bytes(b"garbage" * 1_000)
    (folder / "damaged.onnx").write_bytes(b"\x08\x07garbage")
    (folder / "model.pkl").write_bytes(pickle.dumps({"a": 1}))
    (folder / "rows.csv").write_text("distance,wind,carrier\n800,10,UA\n")
    (folder / "latin.csv").write_bytes(b"distance\n\xe9\n")
    (folder / "bad.toml").write_text("[serve\nport=1\n")
    (folder / "key.toml").write_text("[serve]\nprot=1\n")
    (folder / "section.toml").write_text("[sreve]\nport=1\n")
    (folder / "type.toml").write_text('[serve]\nport="x"\n')
    (folder / "wrong.key").write_text("gnomon_wrong")
    write_project(folder / "project")
    return folder


@pytest.fixture(scope="module")
def busy() -> Iterator[int]:
    """A port that is in use."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def check_told(capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    """Hold what was printed to one mistake: its parts, no traceback, no report of our own fault."""
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "unexpected error" not in told
    for part in parts:
        assert part in " ".join(told.split()), told


@pytest.mark.parametrize("call", LOCAL)
def test_a_mistake_is_named_with_what_would_be_right(
    call: str, busy: int, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {
        "busy": busy,
        "serve": " ".join(SERVE),
        "other": KEY,
        "model": "eta/model.onnx",
        "nowhere": "http://127.0.0.1:9",
        "ports": "--rest-port 0 --enrolment-port 0 --sync-port 0",
    }
    code, *parts = LOCAL[call]
    found = run(call.format(**values).split())
    check_told(capsys, *(part.format(**values) for part in parts))
    assert found == code
    assert not Path("out").exists()


@pytest.mark.slow
def test_a_mistake_at_a_hub_is_named_with_what_would_be_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = HubCommand(tmp_path)
    try:
        for call, (code, *parts) in AT_A_HUB.items():
            assert run([*call.split(), "--url", hub.rest]) == code, call
            check_told(capsys, *parts)
    finally:
        hub.stop()


@pytest.mark.parametrize("change", RECIPES, ids=lambda change: change[1])
def test_a_mistake_in_a_recipe_names_what_is_wrong_in_it(
    change: tuple[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = change
    assert before in EXAMPLE
    recipe = folder / "project" / "wrong.toml"
    recipe.write_text(EXAMPLE.replace(before, after, 1), encoding="utf-8")
    assert run([*BUILD, str(recipe), "out"]) == 2
    check_told(capsys, *RECIPES[change])
    assert not Path("out").exists()
