"""Tells by content whose trees a file holds, and makes them a file of trees."""

import re
from collections.abc import Callable

from gnomon.runtime.raw_models.trees.catboost_json import read_catboost
from gnomon.runtime.raw_models.trees.lightgbm_text import read_lightgbm
from gnomon.runtime.raw_models.trees.reading import UnreadableTrees
from gnomon.runtime.raw_models.trees.xgboost_model import read_xgboost

__all__ = ["ENDINGS", "HEAD_BYTES", "TREES", "as_trees", "find_trainer"]

#: What trainers' files end in; others end so too, so that the content decides.
ENDINGS = ("txt", "json", "ubj", "model")
#: How much of a file tells whose it is.
HEAD_BYTES = 4_096
#: The start of a file of trees.
TREES = b"gnmtrees"

_READERS: dict[str, tuple[re.Pattern[bytes], Callable[[bytes], bytes]]] = {
    "LightGBM": (re.compile(rb"tree\r?\nversion=v[0-9]+\r?\n"), read_lightgbm),
    "CatBoost": (re.compile(rb'\s*\{\s*"features_info"\s*:\s*\{'), read_catboost),
    "XGBoost": (re.compile(rb'\s*\{\s*"learner"\s*:\s*\{|\{L\x00{7}\x07learner\{'), read_xgboost),
}


def find_trainer(head: bytes) -> str | None:
    """Return the library that wrote a file which begins so, or None if it is not known."""
    return next((name for name, (start, _) in _READERS.items() if start.match(head)), None)


def as_trees(content: bytes) -> bytes:
    """Return a trainer's model as a file of trees; such a file is returned as it is.

    Raises:
        UnreadableTrees: the file is of no known trainer, or has what no file of trees holds.
    """
    if content.startswith(TREES):
        return content
    trainer = find_trainer(content[:HEAD_BYTES])
    if trainer is None:
        raise UnreadableTrees(
            f"the file is no model of {' or '.join(_READERS)}; right would be what their "
            "save_model writes (text, JSON or UBJSON)"
        )
    return _READERS[trainer][1](content)
