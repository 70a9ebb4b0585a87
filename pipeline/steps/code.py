"""The code that a step runs, as a hash, and the environment that it runs in."""

import inspect
import platform
from collections.abc import Callable, Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gnomon.runtime.errors import ConfigurationError

__all__ = ["code_hash", "environment", "is_own_code", "source_of"]

#: The libraries whose version may change what a step makes.
_LIBRARIES = (
    "gnomon",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skl2onnx",
)


def source_of(function: Callable[..., Any]) -> Path:
    """Return the file that defines a function.

    Raises:
        ConfigurationError: if it has none, as for what is typed into an interpreter.
    """
    try:
        found = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        found = None
    if found is None or not Path(found).is_file():
        raise ConfigurationError(
            f"{getattr(function, '__qualname__', function)} is not defined in a file; a step's "
            "function should be, so that its code can be recorded and changes can be detected"
        )
    return Path(found).resolve()


def code_hash(function: Callable[..., Any]) -> str:
    """Return the SHA-256 of a function's name and of all Python files in its folder.

    So a change in a module beside it counts as well. Gnomon's own functions count by their file;
    its version is part of the environment.
    """
    source = source_of(function)
    files = sorted(source.parent.glob("*.py")) if is_own_code(function) else [source]
    total = sha256(function.__qualname__.encode())
    for path in files:
        total.update(path.name.encode() + b"\0" + sha256(path.read_bytes()).digest())
    return total.hexdigest()


def is_own_code(function: Callable[..., Any]) -> bool:
    """Whether a function is the user's own, not one of Gnomon's."""
    return not (function.__module__ or "").startswith("gnomon.")


def environment() -> Mapping[str, str]:
    """Return the versions of Python, of the system and of the libraries that are installed."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
