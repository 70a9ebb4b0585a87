"""What a file of skops may be: a small archive, of types that skops trusts, and of no others.

The archive holds a schema of types and arrays, no program. skops trusts the types of NumPy and
SciPy that it knows to be data; a file that names another is refused with its name. Of scikit-learn
the same classes are allowed as in a pickle: skops trusts some that read files.
"""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from gnomon.runtime.engines.pickle_policy import is_known_class

__all__ = ["reader", "scan"]

_ENTRIES_LIMIT = 100_000
_BYTES_LIMIT = 4 << 30
_SCHEMA, _SCHEMA_LIMIT = "schema.json", 64 << 20


def scan(data: bytes) -> None:
    """Look at an archive without unpacking it.

    Raises:
        ValueError: it is not an archive of skops, or would unpack to too many bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {entry.filename: entry.file_size for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"it is no file of skops: {error}") from error
    if _SCHEMA not in entries:
        raise ValueError(f"it is no file of skops: it has no {_SCHEMA}")
    if len(entries) > _ENTRIES_LIMIT or entries[_SCHEMA] > _SCHEMA_LIMIT:
        raise ValueError(f"{len(entries)} parts, of which {_SCHEMA} has {entries[_SCHEMA]} bytes")
    if sum(entries.values()) > _BYTES_LIMIT:
        raise ValueError(f"it unpacks to {sum(entries.values())} bytes; at most {_BYTES_LIMIT}")


def reader() -> Callable[[bytes], Any]:
    """Return what reads a file; imports skops, which writes bytecode, and so comes first.

    What it returns raises ValueError for a file that names a type that is not trusted.
    """
    import skops.io

    def read(data: bytes) -> Any:
        sklearn = {f"{module}.{name}" for module, name in _named_types(data) if _is_sklearn(module)}
        named = skops.io.get_untrusted_types(data=data)
        if unknown := sorted(name for name in sklearn if not _is_known(name)):
            raise ValueError(f"it names types that are not trusted: {', '.join(unknown[:5])}")
        if refused := [name for name in named if not _is_known(name)]:
            raise ValueError(f"it names types that are not trusted: {', '.join(refused[:5])}")
        return skops.io.loads(data, trusted=named)

    return read


def _is_sklearn(module: str) -> bool:
    return module == "sklearn" or module.startswith("sklearn.")


def _named_types(data: bytes) -> set[tuple[str, str]]:
    """Return module and name of every type in the schema, those that skops trusts among them."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
    found, left = set(), [schema]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if isinstance(one.get("__class__"), str):
                found.add((str(one.get("__module__")), one["__class__"]))
            left += one.values()
        elif isinstance(one, list):
            left += one
    return found


def _is_known(name: str) -> bool:
    """Whether a type is one of those that estimators are made of."""
    module, _, attribute = name.rpartition(".")
    return is_known_class(module, attribute)
