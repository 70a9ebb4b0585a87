"""The process of a replay: it runs in the recreated environment and predicts rows again.

Run by `gnomon.delivery.replay.replaying`; one line of JSON in, one line out.
"""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gnomon.runtime.errors import GnomonError
from gnomon.runtime.models.model import Model
from gnomon.runtime.models.tensor_model import open_model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import TrustStore

__all__ = ["ReplayRequest", "ReplayResult", "RowResult", "main"]


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay: a package, and rows beside its golden samples."""

    package: str
    trusted_keys: tuple[bytes, ...]
    rows: tuple[dict[str, Any], ...] = ()


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """The model's answer to one row: outputs, or an error."""

    outputs: dict[str, Any] = {}
    error: str = ""


class ReplayResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to golden rows and other rows, and the environment that gave them."""

    golden: tuple[RowResult, ...] = ()
    rows: tuple[RowResult, ...] = ()
    versions: dict[str, str] = {}
    python: str = ""
    machine: str = ""
    error: str = ""


def main() -> None:
    """Replay what standard input asks for, and write the result to standard output."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=ReplayRequest)
    sys.stdout.buffer.write(msgspec.json.encode(_replay(request), enc_hook=_plain))


def _replay(request: ReplayRequest) -> ReplayResult:
    trust = TrustStore(request.trusted_keys) if request.trusted_keys else None
    package = Package.open(Path(request.package), trust)
    outcome = ReplayResult(
        versions={one.name: _version(one.name) for one in package.manifest.dependencies},
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
    )
    try:
        model = open_model(package)
    except GnomonError as error:
        return msgspec.structs.replace(outcome, error=str(error))
    try:
        return msgspec.structs.replace(
            outcome,
            golden=tuple(_answer(model, row) for row in package.golden.rows),
            rows=tuple(_answer(model, row) for row in request.rows),
        )
    finally:
        model.close()


def _answer(model: Model, row: dict[str, Any]) -> RowResult:
    try:
        return RowResult(outputs=dict(model.predict_row(row)))
    except GnomonError as error:
        return RowResult(error=str(error))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"an output is a {type(value).__name__}")


if __name__ == "__main__":
    main()
