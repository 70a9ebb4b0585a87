"""The model that a recipe names: file, contract, packing and outputs that fit together."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import ContractError, Field
from gnomon.core.packing import Feature, Packing, Tensor
from gnomon.core.row import Columns
from gnomon.pipeline.build import ModelFile
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.profiles.profile import derive_fields
from gnomon.pipeline.proofs.tree_proof import TreeProof, prove_file
from gnomon.pipeline.recipes.file import Recipe
from gnomon.runtime.models.outputs import OutputReader
from gnomon.runtime.raw_models.probe import TensorInfo, answer, datatype, derive_kind, read_tensors
from gnomon.runtime.raw_models.trees.recognise import ENDINGS, as_trees
from gnomon.runtime.raw_models.zip_map import unwrap_zip_maps

__all__ = ["RecipeModel"]

#: How many rows of the training data are compared with the library that trained the model.
_PROOF_ROWS = 20_000


class RecipeModel:
    """A model file with the contract of its inputs, and how these become its tensors."""

    def __init__(self, recipe: Recipe, train: Dataset, content: bytes | None = None) -> None:
        """Read the file and derive the contract from the training data.

        `content` is the model to use if its file is missing.

        Raises:
            ConfigurationError: recipe, data and model do not fit together.
            PackageError: the file is no model of its format.
        """
        self._recipe = recipe
        path = recipe.beside(recipe.model.file)
        self.format = recipe.model.format or path.suffix.lstrip(".")
        # A package of a PMML file has the ONNX model, but not the PMML's description of its fields.
        is_kept = content is not None and self.format != "pmml" and not path.exists()
        try:
            self.content = content if content and is_kept else path.read_bytes()
        except OSError as error:
            raise recipe.error(f"model.file {path} cannot be read: {error}") from error
        self._source = path if self.format in ENDINGS and path.exists() else None
        if self.format in ENDINGS:
            self.content, self.format = as_trees(self.content), "trees"
        said = self._compile() if self.format == "pmml" else {}
        self._maps = self._unwrap_maps() if self.format == "onnx" else {}
        self._order = tuple(said) or tuple(recipe.inputs)
        self._tensors = read_tensors(self.format, self.content, str(path))
        try:
            overrides = {
                name: {**said.get(name, {}), **one.overrides} for name, one in recipe.inputs.items()
            }
            fields = derive_fields(train, list(recipe.inputs), overrides=overrides)
            self.contract = Contract(fields, recipe.rules)
            self._packing = self._pack()
        except (ContractError, TypeError) as error:
            raise recipe.error(str(error)) from error
        self._outputs = self._find_outputs()

    def _unwrap_maps(self) -> dict[str, str]:
        """Make tensors of the maps of probabilities whose tensors the recipe names.

        Returns the tensor behind each map.
        """
        content, maps = unwrap_zip_maps(self.content)
        wanted = {one.tensor or name for name, one in self._recipe.outputs.items()}
        if wanted.intersection(one.tensor for one in maps):
            self.content = content
        return {one.output: one.tensor for one in maps}

    def _compile(self) -> Mapping[str, Mapping[str, Any]]:
        """Replace a PMML file by its ONNX model; return the attributes of its fields."""
        from gnomon.pipeline.pmml.compile import compile_pmml

        compiled = compile_pmml(self.content)
        inputs = self._recipe.inputs
        names = {one.column: name for name, one in inputs.items()}
        if set(names) != set(compiled.inputs):
            raise self._recipe.error(
                f"[inputs] should name the fields of the PMML: {', '.join(compiled.inputs)}; "
                f"it names {', '.join(names)}"
            )
        described = {names[field]: said for field, said in compiled.inputs.items()}
        if self._recipe.tensors:
            raise self._recipe.error("[[tensors]] has no place beside a PMML file, which says it")
        for name, said in described.items():
            allowed = inputs[name].overrides.get("allowed", said.get("allowed"))
            if tuple(allowed or ()) != tuple(said.get("allowed") or ()):
                raise self._recipe.error(
                    f"inputs.{name}.allowed should be as in the PMML: {_listed(said['allowed'])}"
                    if said.get("allowed")
                    else f"inputs.{name}: the PMML has no list of values for it"
                )
        self.content, self.format = compiled.content, "onnx"
        return described

    @property
    def file(self) -> ModelFile:
        """Return what goes into the package."""
        return ModelFile(
            format=self.format,
            content=self.content,
            packing=self._packing,
            output_tensors=tuple(tensor.name for tensor in self._outputs),
        )

    def answer(self, columns: Columns) -> list[NDArray[Any]]:
        """Return the output tensors in the order of the recipe's outputs; shape `(rows, …)`."""
        return answer(
            self.format,
            self.content,
            self._packing.pack_columns(columns),
            [tensor.name for tensor in self._outputs],
            is_single_row=any(tensor.shape[:1] == (1,) for tensor in self._tensors.inputs),
            reference=str(self._recipe.beside(self._recipe.model.file)),
        )

    def prove(self, columns: Columns) -> TreeProof | None:
        """Compare trees with the library that trained them, on checked rows and hostile ones.

        None if the model is no file of a trainer, or its library is not installed.

        Raises:
            PackageError: they answer otherwise.
        """
        if self._source is None:
            return None
        (rows,) = self._packing.pack_columns(columns).values()
        return prove_file(self._source, self.content, rows[:_PROOF_ROWS])

    def output_fields(self, answers: list[NDArray[Any]]) -> tuple[Field, ...]:
        """Return the fields of the outputs, from the answers and from the recipe.

        Args:
            answers: one array for each output; the first dimension is the row.

        Raises:
            ConfigurationError: the recipe's attributes do not fit an output.
        """
        outputs = zip(self._recipe.outputs.items(), answers, strict=True)
        try:
            return tuple(
                Field(**{"name": name, **derive_kind(values), **output.attributes})
                for (name, output), values in outputs
            )
        except (ContractError, TypeError) as error:
            raise self._recipe.error(f"[outputs]: {error}") from error

    def read_outputs(
        self, answers: list[NDArray[Any]], fields: tuple[Field, ...]
    ) -> dict[str, NDArray[Any]]:
        """Return the answers as callers see them, by the output's name.

        Args:
            answers: one array for each field; the first dimension is the row.
            fields: the outputs.
        """
        reader = OutputReader(self._recipe.reference, fields)
        return reader.read_columns(answers, len(answers[0]))

    def _pack(self) -> Packing:
        """Return the recipe's packing; by default all inputs in the only float tensor."""
        given = self._given_tensors()
        taken = {tensor.name: tensor for tensor in self._tensors.inputs}
        if set(given) != set(taken):
            raise self._recipe.error(
                f"the model takes the tensors {_shown(self._tensors.inputs)}, but [[tensors]] "
                f"names {', '.join(given) or 'none'}; say for each which inputs are in it"
            )
        tensors = [
            Tensor(name, dtype, tuple(self._feature(field) for field in fields))
            for name, (dtype, fields) in given.items()
        ]
        packing = Packing(self.contract, tensors)
        for name, width in packing.widths.items():
            if taken[name].width not in (-1, width):
                raise self._recipe.error(
                    f"the model's tensor {name!r} has {taken[name].width} columns, but the inputs "
                    f"make {width}; a category is one column if encode is 'code', and one for "
                    "each allowed value if it is 'onehot'"
                )
        return packing

    def _given_tensors(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return datatype and inputs by tensor: the recipe's, or the only possible ones."""
        recipe, tensors, names = self._recipe, self._tensors.inputs, self._order
        if recipe.tensors:
            return {tensor.name: (tensor.dtype, tensor.fields) for tensor in recipe.tensors}
        if len(tensors) == 1:
            return {tensors[0].name: (datatype(tensors[0]), names)}
        if {tensor.name for tensor in tensors} == set(names):
            return {tensor.name: (datatype(tensor), (tensor.name,)) for tensor in tensors}
        return {}

    def _feature(self, name: str) -> Feature:
        field = self.contract.fields[self.contract.field_index(name)]
        chosen = self._recipe.inputs[name]
        return Feature(name, chosen.encode if field.kind.is_text else "value", chosen.missing)

    def _find_outputs(self) -> tuple[TensorInfo, ...]:
        """Return the tensors behind the outputs, each behind one only."""
        found: dict[str, TensorInfo] = {}
        readers: dict[str, str] = {}
        for name in self._recipe.outputs:
            tensor = found[name] = self._find_output(name)
            if tensor.name in readers:
                raise self._recipe.error(
                    f"outputs.{name} and outputs.{readers[tensor.name]} both read the tensor "
                    f"{tensor.name!r}; an output has a tensor of its own"
                )
            readers[tensor.name] = name
        return tuple(found.values())

    def _find_output(self, name: str) -> TensorInfo:
        """Return the tensor behind an output: that of its name, or the only one there is."""
        tensors = self._tensors.outputs
        wanted = self._recipe.outputs[name].tensor
        found = [tensor for tensor in tensors if tensor.name == (wanted or name)]
        usable = [tensor for tensor in tensors if tensor.dtype is not None]
        if not found and not wanted:
            if len(usable) != 1 or len(self._recipe.outputs) != 1:
                raise self._recipe.error(
                    f"outputs.{name}: none of the model's outputs has this name; say which it "
                    f'reads, {name} = {{tensor = "…"}}, of {_shown(tensors)}'
                )
            return usable[0]
        if not found or found[0].dtype is None:
            what = "is no output of the model"
            if found:
                behind = self._maps.get(found[0].name)
                what = f"{_NO_NUMBERS}{_OR_NAME.format(behind)}" if behind else _NO_NUMBERS
            raise self._recipe.error(
                f"outputs.{name}: tensor {wanted or name} {what}; it gives {_shown(tensors)}"
            )
        return found[0]


#: What skl2onnx makes of probabilities unless it is told otherwise is the usual case.
_NO_NUMBERS = "holds no numbers (from skl2onnx? export with options={'zipmap': False})"
_OR_NAME = ", or name the tensor behind it, {!r}"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))


def _shown(tensors: tuple[TensorInfo, ...]) -> str:
    return ", ".join(f"{one.name} ({one.type} {list(one.shape)})" for one in tensors)
