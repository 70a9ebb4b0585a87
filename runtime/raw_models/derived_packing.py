"""The packing of a raw model: a contract with a field for each column of its tensors."""

from collections.abc import Sequence

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.packages.column_names import describe_column, field_names
from gnomon.runtime.raw_models.probe import TensorInfo, datatype

__all__ = ["derive_packing"]

#: A tensor of more columns than this becomes one vector, unless its columns are named.
_SCALARS = 64

_KINDS = {
    "FP32": Kind.FLOAT32,
    "FP64": Kind.FLOAT64,
    "INT32": Kind.INT32,
    "INT64": Kind.INT64,
}


def derive_packing(
    tensors: Sequence[TensorInfo], columns: tuple[str, ...], *, nullable: bool = False
) -> Packing:
    """Return a contract with a field for each column, and how these become the tensors again.

    `nullable` lets numbers of floats be missing.

    Raises:
        PackageError: a tensor does not have the shape (rows, columns).
        ConfigurationError: the columns' number is unknown, or `columns` do not name the inputs.
    """
    if len(tensors) == 1 and len(set(columns)) < len(columns):
        twice = next(one for one in columns if columns.count(one) > 1)
        raise ConfigurationError(f"column {twice!r} is named twice; names must differ")
    if not tensors:
        raise PackageError("the model takes no input; Gnomon packs rows of columns")
    for tensor in tensors:
        if len(tensor.shape) != 2:
            raise PackageError(
                f"the model's tensor {tensor.name!r} has the shape {list(tensor.shape)}; "
                "Gnomon packs rows of columns, [-1, columns]"
            )
    widths = [tensor.width for tensor in tensors]
    if len(tensors) == 1 and columns:
        widths = _width_of_columns(widths[0], columns)
    if -1 in widths:
        raise ConfigurationError(
            "the model does not say how many columns it takes; name them, in order (--columns)"
        )
    packed, fields = [], []
    own_columns = columns if len(tensors) == 1 else ()
    names = _names(tensors, widths, own_columns)
    for tensor, width, own_names in zip(tensors, widths, names, strict=True):
        kind = datatype(tensor)
        own = _fields(kind, width, own_names, own_columns, nullable and kind.startswith("FP"))
        # Whole numbers have no NaN; nothing here may be missing, so the number is never used.
        missing = 0.0 if kind.startswith("INT") else float("nan")
        features = tuple(Feature(field.name, "value", missing) for field in own)
        packed.append(Tensor(tensor.name, kind, features))
        fields.append(own)
    if len(tensors) > 1 and columns:
        _check_names(tensors, fields, columns)
    return Packing(Contract([field for own in fields for field in own]), packed)


def _width_of_columns(width: int, columns: tuple[str, ...]) -> list[int]:
    """Return the width of the only tensor, which takes the columns by place: it names none."""
    if width not in (-1, len(columns)):
        raise ConfigurationError(f"{len(columns)} columns are named, but the model takes {width}")
    return [len(columns)]


def _check_names(
    tensors: Sequence[TensorInfo], fields: Sequence[Sequence[Field]], columns: tuple[str, ...]
) -> None:
    """Refuse columns that are not the model's own inputs, each once, in whatever order.

    An input of one column goes by its tensor's name, also if that is no name for a field.
    """
    aliases = {
        tensor.name: own[0].name
        for tensor, own in zip(tensors, fields, strict=True)
        if len(own) == 1
    }
    expected = [field.name for own in fields for field in own]
    if sorted(aliases.get(column, column) for column in columns) != sorted(expected):
        raise ConfigurationError(
            f"the model takes {', '.join(expected)} by name, but the columns are "
            f"{', '.join(columns)}; name each of the model's inputs once"
        )


def _names(
    tensors: Sequence[TensorInfo], widths: Sequence[int], columns: tuple[str, ...]
) -> list[list[str]]:
    """Return the names of each tensor's fields: its columns', or its own with numbers."""
    if columns:
        return [field_names(columns)]
    bases = field_names([tensor.name for tensor in tensors])
    parts = [
        [base] if _is_vector(tensor, width) else [f"{base}_{number}" for number in range(width)]
        for tensor, base, width in zip(tensors, bases, widths, strict=True)
    ]
    names = iter(field_names([name for part in parts for name in part]))
    return [[next(names) for _ in part] for part in parts]


def _is_vector(tensor: TensorInfo, width: int) -> bool:
    """Whether a tensor without names of columns is one field."""
    return width == 1 or (width > _SCALARS and datatype(tensor) == "FP32")


def _fields(
    datatype: str, width: int, names: Sequence[str], columns: tuple[str, ...], nullable: bool
) -> list[Field]:
    if len(names) == 1 and width > 1:
        return [Field(name=names[0], kind=Kind.VECTOR, shape=(width,))]
    described = [
        "" if name == column else describe_column(column)
        for name, column in zip(names, columns or names, strict=True)
    ]
    return [
        Field(name=name, kind=_KINDS[datatype], description=description, nullable=nullable)
        for name, description in zip(names, described, strict=True)
    ]
