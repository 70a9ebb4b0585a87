"""Refuses ONNX files that keep data of a tensor in another file.

ONNX Runtime would read it from wherever the file says: a key of the process that loads the model,
which the model then gives away through its answers. What a package may be made of is in the
package, so all of a model's data must be in its own file. Looked at is every tensor: initializers,
dense and sparse, and attributes of nodes, in the graph, its subgraphs, functions and training.
"""

from gnomon.runtime.engines.onnx_walk import WalkVerdict, tensor_name, walk
from gnomon.runtime.errors import EngineError

__all__ = ["check_self_contained"]

_NAME_LIMIT = 100
_WHY = {
    WalkVerdict.CUT_SHORT: "it is empty or cut short",
    WalkVerdict.MALFORMED: "it is not valid protobuf",
    WalkVerdict.TOO_DEEP: "its messages are nested more than 100 deep",
}


def check_self_contained(model: bytes, reference: str) -> None:
    """Look through an ONNX file before anything loads it; linear in its size, without copies.

    Raises:
        EngineError: a tensor's data are not in the file, or the file is not ONNX.
    """
    verdict, at, start, end = walk(model)
    if verdict is WalkVerdict.EXTERNAL:
        name = tensor_name(model, start, end)[:_NAME_LIMIT].decode(errors="replace")
        raise EngineError(
            f"{reference}: the tensor {name!r} keeps its data in another file (external_data); "
            "right would be one file with all of the model's data in it, as onnx.save(model, path) "
            "writes it"
        )
    if verdict is not WalkVerdict.ALL_INSIDE:
        raise EngineError(
            f"{reference}: the file is not an ONNX model: {_WHY[verdict]} at byte {at}"
        )
