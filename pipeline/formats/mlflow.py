"""The folder of an MLflow model: which file holds it, and what its signature calls the columns."""

from pathlib import Path
from typing import Any

import msgspec

from gnomon.runtime.decoding import UNDECODABLE
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.extras import missing_extra

__all__ = ["mlflow_file", "signature_columns"]

_FILE = "MLmodel"


class _Signature(msgspec.Struct, frozen=True):
    inputs: str | None = None


class _Document(msgspec.Struct, frozen=True):
    """What an import reads of `MLmodel`."""

    flavors: dict[str, dict[str, Any]] | None = None
    signature: _Signature | None = None


class _Input(msgspec.Struct, frozen=True):
    """A column of a table, or a tensor (`type` is "tensor"); either may have no name."""

    type: Any = ""
    name: str = ""


def mlflow_file(folder: Path, flavour: str, key: str, usual: str) -> Path:
    """Return the file of one flavour in the folder of an MLflow model.

    Args:
        folder: The model's folder.
        flavour: The flavour, such as `onnx`.
        key: The flavour's key that names the file.
        usual: The name of the file if the key is not there.

    Raises:
        ConfigurationError: the folder is no such model, has not the flavour, or names a file
            outside of it.
    """
    flavours = _read(folder).flavors or {}
    if flavour not in flavours:
        raise ConfigurationError(
            f"{folder} holds the flavours {', '.join(flavours) or 'none'}, not {flavour}; onnx can "
            "be imported, and with --unpickle sklearn: the others are code, which an import does "
            "not run"
        )
    file = str(flavours[flavour].get(key, usual))
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigurationError(f"{folder / _FILE}: {file!r} is outside of the folder")
    return path


def signature_columns(folder: Path) -> tuple[str, ...]:
    """Return the names of the columns in the model's signature; none if it is one of tensors.

    Raises:
        ConfigurationError: the signature cannot be read.
    """
    signature = _read(folder).signature
    text = signature.inputs if signature else None
    try:
        inputs = msgspec.json.decode(text, type=list[_Input]) if text else []
    except UNDECODABLE as error:
        raise ConfigurationError(
            f"{folder / _FILE}: signature.inputs should be a list of named columns: {error}"
        ) from error
    columns = [one.name for one in inputs if one.type != "tensor"]
    return tuple(columns) if all(columns) else ()


def _read(folder: Path) -> _Document:
    path = folder / _FILE
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=_Document)
    except ImportError as error:
        raise ConfigurationError(missing_extra("an MLflow model", "PyYAML", "yaml")) from error
    except (OSError, *UNDECODABLE) as error:
        raise ConfigurationError(
            f"{path}, which makes a folder an MLflow model, cannot be read: {error}"
        ) from error
