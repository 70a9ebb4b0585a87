"""What a pickle may name. A pickle is a program; this says which programs a model file may be.

A fitted scikit-learn model is made of estimators, of the trees and losses within them, and of
arrays, each allowed by its exact name. All else is refused by its name: before anything runs, as
far as a scan of the pickle shows, and again by the process that reads it. Not even all of
scikit-learn, NumPy and SciPy is let through: some of their classes open files.
"""

import io
import pickle
import pickletools
from collections.abc import Iterator
from typing import Any

from gnomon.runtime.engines.pickle_classes import ESTIMATORS, PARTS

__all__ = ["ForbiddenName", "ModelUnpickler", "is_known_class", "scan"]

#: Module → names that rebuild arrays, numbers and random states; `*` is every class in it.
_ALLOWED: dict[str, frozenset[str]] = {
    "_codecs": frozenset({"encode"}),
    "builtins": frozenset({"bytearray", "complex", "dict", "frozenset", "list", "set", "slice"}),
    "collections": frozenset({"OrderedDict", "defaultdict"}),
    "copyreg": frozenset({"_reconstructor"}),
    "numpy": frozenset({"dtype", "float32", "float64", "int32", "int64", "ndarray"}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy._core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy._core.numeric": frozenset({"_frombuffer"}),
    "numpy.random._mt19937": frozenset({"MT19937"}),
    "numpy.random._pcg64": frozenset({"PCG64"}),
    "numpy.random._pickle": frozenset(
        {"__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"}
    ),
    "numpy.random.bit_generator": frozenset({"SeedSequence", "__pyx_unpickle_SeedSequence"}),
    "scipy.sparse._csc": frozenset({"csc_array", "csc_matrix"}),
    "scipy.sparse._csr": frozenset({"csr_array", "csr_matrix"}),
}
#: What Cython calls the functions that rebuild objects of its classes.
_CYTHON = ("__pyx_unpickle_", "newObj")


class ForbiddenName(pickle.UnpicklingError):
    """The pickle names something that no model file needs."""

    def __init__(self, module: str, name: str) -> None:
        super().__init__(
            f"it names {module[:80]}.{name[:80]}; a model file may name scikit-learn's estimators "
            "and what they are made of, arrays and numbers"
        )


def scan(data: bytes) -> None:
    """Look through a pickle without running it.

    Raises:
        ForbiddenName: it names something outside of what a model may name.
        pickle.UnpicklingError: it is no pickle, or hides what it names.
    """
    try:
        for module, name in _names(data):
            if not _is_allowed(module, name):
                raise ForbiddenName(module, name)
    except (ValueError, IndexError, KeyError) as error:
        raise pickle.UnpicklingError(f"it is no pickle: {error}") from error


class ModelUnpickler(pickle.Unpickler):
    """Reads a pickle in which only what a model may name can be found."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what is named; raise `ForbiddenName` if it is not allowed."""
        if not _is_allowed(module, name):
            raise ForbiddenName(module, name)
        return super().find_class(module, name)


def is_known_class(module: str, name: str) -> bool:
    """Whether scikit-learn has a class of this very name that a model may be made of."""
    return name in ESTIMATORS.get(module, ()) or name in PARTS.get(module, ())


def _is_allowed(module: str, name: str) -> bool:
    if is_known_class(module, name) or name in _ALLOWED.get(module, ()):
        return True
    is_rebuilt = name.startswith(_CYTHON) and "." not in name
    return is_rebuilt and (module in PARTS or module in ESTIMATORS)


def _names(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the modules and names that a pickle's operations put together."""
    texts: list[str] = []
    memo: dict[int, str] = {}
    for operation, argument, _ in pickletools.genops(io.BytesIO(data)):
        kind = operation.name
        if kind in ("GLOBAL", "INST"):
            module, _, name = str(argument).partition(" ")
            yield module, name
        elif kind == "STACK_GLOBAL":
            if len(texts) < 2:
                raise ValueError("it hides what it names")
            yield texts[-2], texts[-1]
        elif kind in ("EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID"):
            raise ValueError(f"{kind} stands for names that are not in it")
        elif kind == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif kind in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = texts[-1] if texts else ""
        elif kind in ("GET", "BINGET", "LONG_BINGET"):
            texts.append(memo.get(int(argument or 0), ""))
        elif isinstance(argument, str):
            texts.append(argument)
