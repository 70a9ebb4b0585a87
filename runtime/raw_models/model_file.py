"""A bare model file: whether it is one, and its content in a format that an engine runs."""

from pathlib import Path

from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.raw_models.trees.recognise import ENDINGS, HEAD_BYTES, as_trees, find_trainer

__all__ = ["ENDINGS_SHOWN", "FORMATS", "is_model_file", "read_model_file"]

#: Formats whose files end in their name.
FORMATS = ("onnx", "tflite", "trees")

#: For messages.
ENDINGS_SHOWN = "ends in .onnx, .tflite or .trees, or is of LightGBM, XGBoost or CatBoost"


def is_model_file(path: Path) -> bool:
    """Whether a file is a model: by its ending, or by what a trainer's file begins with."""
    ending = path.suffix.lower().lstrip(".")
    if ending in FORMATS or ending not in ENDINGS:
        return ending in FORMATS
    try:
        with path.open("rb") as file:
            return find_trainer(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def read_model_file(path: Path) -> tuple[str, bytes]:
    """Return the format and content of a model file; a trainer's trees become a file of trees.

    Raises:
        ConfigurationError: the file cannot be read, or is no model.
        UnreadableTrees: the trees of a trainer cannot be run here.
    """
    ending = path.suffix.lower().lstrip(".")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if ending in FORMATS:
        return ending, content
    if find_trainer(content[:HEAD_BYTES]) is None:
        raise ConfigurationError(f"{path} is no model: expected a file that {ENDINGS_SHOWN}")
    return "trees", as_trees(content)
