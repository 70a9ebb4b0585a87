"""A LiteRT file cannot read the files, or the memory, of the process that loads it."""

import contextlib
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from gnomon.pipeline.formats.importing import Source, import_model, read_source
from gnomon.runtime.engines import load_engine
from gnomon.runtime.engines.tflite_file import check_self_contained
from gnomon.runtime.errors import EngineError, PackageError
from gnomon.runtime.packages.manifest import Manifest

SECRET = b"-----BEGIN PRIVATE KEY-----"


def tensor(name: str, **more: Any) -> Any:
    return schema.TensorT(
        name=name, type=schema.TensorType.FLOAT32, shape=[1, 4], hasRank=True, **more
    )


def evil_tflite(weights: Any, **more: Any) -> bytes:
    """Return a model x + weights; `more` are fields of the model."""
    add = schema.OperatorCodeT(deprecatedBuiltinCode=0, builtinCode=0, version=1)
    operator = schema.OperatorT(
        opcodeIndex=0,
        inputs=[0, 1],
        outputs=[2],
        builtinOptionsType=schema.BuiltinOptions.AddOptions,
        builtinOptions=schema.AddOptionsT(),
    )
    graph = schema.SubGraphT(
        name="main",
        tensors=[tensor("x"), weights, tensor("y")],
        operators=[operator],
        inputs=[0],
        outputs=[2],
    )
    fields = {"buffers": [schema.BufferT()], "subgraphs": [graph], "operatorCodes": [add]} | more
    return pack(schema.ModelT(version=3, **fields))


def external_buffer() -> bytes:
    """Return a model whose weights are the first bytes of the key, as LiteRT 2 has it."""
    return evil_tflite(
        tensor("w", buffer=0, externalBuffer=1),
        externalBufferGroups=[schema.ExternalBufferGroupT(name=b"key.pem")],
        externalBuffers=[schema.ExternalBufferT(id=1, group=0, offset=0, length=16)],
    )


def buffer_at(offset: int, size: int = 16) -> bytes:
    """Return a model whose weights begin so many bytes behind its start."""
    buffers = [schema.BufferT(), schema.BufferT(offset=offset, size=size)]
    return evil_tflite(tensor("w", buffer=1), buffers=buffers)


def options_at(offset: int) -> bytes:
    """Return a model with an operator whose options begin so many bytes behind its start."""
    model = schema.ModelT.InitFromPackedBuf(evil_tflite(tensor("w")))
    operator = model.subgraphs[0].operators[0]
    operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = offset, 1 << 12
    return pack(model)


def manifest(folder: Path) -> Manifest:
    """Return the manifest of a harmless model, as an import writes it."""
    source = Source(
        "good.tflite",
        "tflite",
        evil_tflite(
            tensor("w", buffer=1), buffers=[schema.BufferT(), schema.BufferT(data=list(bytes(16)))]
        ),
    )
    return import_model(source, folder / "good", "m", "1", signer=None).manifest


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


#: The last two end before the file's start: their sum wraps around at 64 bits.
EVIL = {
    "external": external_buffer(),
    "only named": evil_tflite(tensor("w", externalBuffer=1)),
    "behind": buffer_at(1 << 12),
    "far": buffer_at(1 << 40),
    "before": buffer_at((1 << 64) - 8),
    "options": options_at((1 << 64) - 8),
}


@pytest.mark.parametrize("kind", EVIL)
def test_no_data_outside_of_the_file_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "key.pem").write_bytes(SECRET)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.tflite").write_bytes(EVIL[kind])
    source = read_source(tmp_path / "evil.tflite")
    with pytest.raises(PackageError, match="is not in the model's file of"):
        import_model(source, tmp_path / "made", "m", "1", signer=None)
    assert not (tmp_path / "made").exists()
    with pytest.raises(EngineError, match=r"m@1: .* is not in the model's file of"):
        load_engine("tflite", EVIL[kind], manifest(tmp_path))


def test_data_behind_the_tables_of_a_file_are_in_it() -> None:
    """A file above 2 GB has its buffers there."""
    size = len(buffer_at(1 << 12))
    check_self_contained(buffer_at(size) + bytes(16), "m@1")
    with pytest.raises(EngineError, match="m@1: buffer 1 is not in"):
        check_self_contained(buffer_at(size) + bytes(15), "m@1")


@given(data=st.data(), kind=st.sampled_from([*EVIL]))
def test_a_broken_file_is_refused_by_name(data: st.DataObject, kind: str) -> None:
    content = bytearray(EVIL[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(EngineError):
        check_self_contained(bytes(content[: data.draw(st.integers(0, len(content)))]), "m@1")
