"""What a small file or text may cost the process that takes it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind
from gnomon.core.kinds import ContractError

LOAD = """
import resource, sys
from pathlib import Path
from msgspec.structs import replace
from gnomon.runtime.engines import onnx
from tests.support.packages import make_package
package = make_package(Path(sys.argv[1]), None, model=Path(sys.argv[2]).read_bytes())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
manifest = replace(package.manifest, output_tensors=("y",))
for engine in (onnx.NativeOnnxEngine, onnx.PythonOnnxEngine):
    engine(Path(sys.argv[2]).read_bytes(), manifest)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def growing_onnx(numbers: int) -> bytes:
    """Return a model of 300 bytes that fills a tensor of so many numbers."""
    nodes = [
        helper.make_node(
            "Constant", [], ["shape"], value=numpy_helper.from_array(np.array([numbers], np.int64))
        ),
        helper.make_node(
            "ConstantOfShape", ["shape"], ["big"], value=numpy_helper.from_array(np.ones(1, "f4"))
        ),
        helper.make_node("ReduceSum", ["big"], ["total"], keepdims=1),
        helper.make_node("Add", ["x", "total"], ["y"]),
    ]
    sides = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in (("x", 5), ("y", 5))
    ]
    graph = helper.make_graph(nodes, "growing", sides[:1], sides[1:])
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.slow
def test_a_small_file_fills_no_memory_when_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(growing_onnx(100_000_000))
    command = [sys.executable, "-c", LOAD, str(tmp_path / "eta-1"), str(tmp_path / "model.onnx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    # The tensor alone has 381 MiB.
    assert int(done.stdout) < 150


@pytest.mark.parametrize("pattern", ["(a+)+", "(.*a){20}", r"(\w+\s?)*!", "(a|aa)+", r"(a*)\1*b"])
def test_no_pattern_of_a_contract_freezes_a_server(pattern: str) -> None:
    """With the first, 28 characters took 13.6 s; the field is refused when it is built or read."""
    with pytest.raises(ContractError, match=r"pattern .* (ways|refers)"):
        Contract([Field(name="note", kind=Kind.STRING, pattern=pattern)])
