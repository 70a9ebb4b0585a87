"""What readers of trainers' models share: one error, and a check of what they made."""

from collections.abc import Callable
from functools import wraps

from gnomon.core.trees import TreeModel
from gnomon.core.trees.layout import TreeWriter
from gnomon.runtime.errors import PackageError

__all__ = ["UnreadableTrees", "reads"]

_MALFORMED = (KeyError, IndexError, TypeError, ValueError, OverflowError, RecursionError)


class UnreadableTrees(PackageError):
    """A trainer's file is malformed, or has what no file of trees holds."""


def reads(trainer: str) -> Callable[[Callable[[bytes], TreeWriter]], Callable[[bytes], bytes]]:
    """Make a reader return the bytes of a file that runs, or raise `UnreadableTrees`.

    What the file of a trainer claims is not believed: what was made of it is opened once.
    """

    def decorate(read: Callable[[bytes], TreeWriter]) -> Callable[[bytes], bytes]:
        @wraps(read)
        def checked(content: bytes) -> bytes:
            try:
                made = read(content).to_bytes()
                TreeModel(made)
            except UnreadableTrees:
                raise
            except _MALFORMED as error:
                what = str(error) if type(error) is not KeyError else f"{error} is missing"
                raise UnreadableTrees(f"the model of {trainer} cannot be read: {what}") from error
            return made

        return checked

    return decorate
