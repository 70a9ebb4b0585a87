"""Reads pipelines: a TOML file of steps, or a Python file that holds a `Pipeline`."""

import importlib.util
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any
from zlib import crc32

import msgspec

from gnomon.pipeline.steps.artifacts import Artifact
from gnomon.pipeline.steps.build import Build, Pipeline
from gnomon.pipeline.steps.builtin import BUILT_IN
from gnomon.pipeline.steps.rules import Rules
from gnomon.pipeline.steps.triggers import RunConditions
from gnomon.runtime.errors import ConfigurationError

__all__ = ["read_pipeline", "read_when"]

_PARAMETER = "$"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the file's tables."""


class _Require(_Table, frozen=True, kw_only=True):
    clean_code: bool = False
    fingerprints: bool = False


class _Step(_Table, frozen=True, kw_only=True):
    name: str
    run: str
    makes: str = ""
    fingerprint: str = ""
    takes: dict[str, str] = {}  # argument → the step that makes it
    files: dict[str, str | list[str]] = {}  # argument → path or paths, beside the file
    parameters: dict[str, Any] = {}  # argument → value, or "$name" of a parameter of the build


class _File(_Table, frozen=True, kw_only=True):
    name: str
    steps: list[_Step]
    risk_tier: str = ""
    require: _Require = _Require()
    parameters: dict[str, Any] = {}
    when: RunConditions = RunConditions()


def read_pipeline(path: Path) -> Pipeline:
    """Read `build.toml`, or the one `Pipeline` that `build.py` holds.

    Raises:
        ConfigurationError: the file cannot be read, or a key, step or function is wrong; the
            message names it.
    """
    if path.suffix == ".py":
        return _in_module(path)
    file = _read(path)
    _check_steps(path, file)
    functions = {step.name: _function(path, step) for step in file.steps}

    def build(build: Build) -> None:
        made: dict[str, Artifact] = {}
        for step in file.steps:
            function, makes = functions[step.name]
            made[step.name] = build.step(
                step.name,
                function,
                makes=makes,
                fingerprint=step.fingerprint,
                **{argument: made[other] for argument, other in step.takes.items()},
                **{argument: _paths(path, files) for argument, files in step.files.items()},
                **_values(path, step, build.parameters),
            )

    return Pipeline(
        name=file.name,
        function=build,
        source=path,
        risk_tier=file.risk_tier,
        rules=Rules(file.require.clean_code, file.require.fingerprints),
        parameters=file.parameters,
    )


def read_when(path: Path) -> RunConditions:
    """Return when a pipeline's TOML file says that it should run.

    Raises:
        ConfigurationError: the file cannot be read, or its `[when]` is wrong.
    """
    return _read(path).when


def _read(path: Path) -> _File:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(document, _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: not readable as TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _check_steps(path: Path, file: _File) -> None:
    known: set[str] = set()
    for step in file.steps:
        for argument, other in step.takes.items():
            if other not in known:
                there = ", ".join(sorted(known)) or "none"
                raise ConfigurationError(
                    f"{path}: step {step.name!r} takes {argument} from {other!r}, which is no step "
                    f"before it; before it are: {there}"
                )
        given = [*step.takes, *step.files, *step.parameters]
        if twice := {one for one in given if given.count(one) > 1}:
            raise ConfigurationError(
                f"{path}: step {step.name!r} is given {min(twice)} more than once; use one of "
                "takes, files and parameters"
            )
        known.add(step.name)
    if not known:
        raise ConfigurationError(f"{path}: there is no [[steps]]")


def _function(path: Path, step: _Step) -> tuple[Callable[..., Any], str]:
    """Return the function that a step runs, and what it makes."""
    if step.run in BUILT_IN:
        function, kind = BUILT_IN[step.run]
        return function, kind.value
    file, separator, name = step.run.rpartition(":")
    if not separator or not file.endswith(".py"):
        known = ", ".join(BUILT_IN)
        raise ConfigurationError(
            f"{path}: step {step.name!r} runs {step.run!r}; use {known}, or a function such as "
            "train.py:train"
        )
    if not step.makes:
        raise ConfigurationError(f"{path}: step {step.name!r} should say what it makes")
    found: Any = getattr(_load(path.parent / file), name, None)
    if not callable(found):
        raise ConfigurationError(f"{path}: step {step.name!r}: {file} has no function {name!r}")
    return found, step.makes


def _values(path: Path, step: _Step, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the step's parameters, with each "$name" replaced by the build's, at any depth."""

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: resolve(one) for name, one in value.items()}
        if isinstance(value, list):
            return [resolve(one) for one in value]
        if not isinstance(value, str) or not value.startswith(_PARAMETER):
            return value
        name = value.removeprefix(_PARAMETER)
        if name not in parameters:
            there = ", ".join(parameters) or "none"
            raise ConfigurationError(
                f"{path}: step {step.name!r} wants the parameter {name!r}; there are: {there}"
            )
        return parameters[name]

    return {argument: resolve(value) for argument, value in step.parameters.items()}


def _paths(path: Path, files: str | list[str]) -> Path | list[Path]:
    if isinstance(files, str):
        return path.parent / files
    return [path.parent / file for file in files]


def _in_module(path: Path) -> Pipeline:
    found = [one for one in vars(_load(path)).values() if isinstance(one, Pipeline)]
    if len(found) != 1:
        raise ConfigurationError(f"{path} should hold one Pipeline, it holds {len(found)}")
    return found[0]


class _SourceLoader(SourceFileLoader):
    """Compiles the file as it is now.

    Python takes a cached bytecode file for current if the source's size and second of change are
    the recorded ones, so that a quick edit may run the old code under the new code's hash.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


@contextmanager
def _no_bytecode_written() -> Iterator[None]:
    """Keep the modules beside a build's file from being cached, for the same reason."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _load(path: Path) -> ModuleType:
    """Import a file; it can import the modules beside it."""
    name = f"gnomon_build_{crc32(str(path.resolve()).encode()):08x}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    loader = _SourceLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(f"{path} cannot be imported: there is no such Python file")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    sys.modules[name] = module
    try:
        with _no_bytecode_written():
            spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigurationError(
            f"{path} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    return module
