"""What a pickle or a file of skops can reach: no file, no network, no process, bounded memory."""

import errno
import io
import os
import pickle
import platform
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from gnomon.runtime.engines import pickle_classes, pickle_policy, skops_policy
from gnomon.runtime.isolation.landlock import landlock_version

SOURCE = Path(__file__).parents[2] / "src"

READERS = [
    CountVectorizer(input="filename"),
    TfidfVectorizer(input="filename"),
    HashingVectorizer(input="filename"),
    FunctionTransformer(np.load),
    make_pipeline(CountVectorizer(input="filename", vocabulary=["root"]), Ridge()),
]


@pytest.mark.parametrize("estimator", READERS, ids=lambda one: type(one).__name__)
def test_an_estimator_that_reads_files_is_refused_by_its_class(estimator):
    data = pickle.dumps(estimator)
    with pytest.raises(pickle.UnpicklingError, match="it names"):
        pickle_policy.scan(data)
    with pytest.raises(pickle.UnpicklingError, match="it names"):
        pickle_policy.ModelUnpickler(io.BytesIO(data)).load()
    with pytest.raises((ValueError, TypeError), match="not trusted"):
        skops_policy.reader()(skops.io.dumps(estimator))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.base", "BaseEstimator"),
        ("sklearn.datasets._base", "load_files"),
        ("sklearn.utils._testing", "TempMemmap"),
        ("sklearn.metrics._dist_metrics", "PyFuncDistance64"),
        ("sklearn.tree._export", "_DOTTreeExporter"),
        ("sklearn.tree._tree", "Tree.__class__"),
        ("sklearn.tree._tree", "newObj.__self__"),
        ("sklearn.linear_model._ridge", "make_dataset"),
        ("numpy", "load"),
        ("os", "system"),
    ],
)
def test_only_the_classes_of_the_list_are_allowed(module, name):
    data = f"c{module}\n{name}\n.".encode()
    with pytest.raises(pickle_policy.ForbiddenName):
        pickle_policy.scan(data)
    with pytest.raises(pickle_policy.ForbiddenName):
        pickle_policy.ModelUnpickler(io.BytesIO(data)).load()


def test_the_list_holds_no_class_that_reads_files():
    names = {name for one in pickle_classes.ESTIMATORS.values() for name in one}
    assert not names & {type(one).__name__ for one in READERS[:4]}
    assert "Ridge" in names


BUSY = """
import sys
sys.path[:0] = [{source!r}]
from gnomon.runtime.isolation.resource_limits import limit_cpu
limit_cpu(0)
while True:
    pass
"""


@pytest.mark.slow
def test_the_process_ends_once_its_processor_time_is_used():
    program = [sys.executable, "-S", "-c", BUSY.format(source=str(SOURCE))]
    assert subprocess.run(program, check=False).returncode == -signal.SIGXCPU


LIMITED = """
import sys
sys.path[:0] = [{source!r}]
import os, resource
from gnomon.runtime.isolation.resource_limits import limit_memory_and_files
file = open({new!r}, "wb", buffering=0)
limit_memory_and_files(1 << 30)
def tried(function):
    try:
        function()
    except (OSError, MemoryError) as error:
        return type(error).__name__ + str(getattr(error, "errno", ""))
    return "done"
print(tried(lambda: file.write(b"x")))
print(tried(lambda: [os.dup(0) for _ in range(1_000)]))
print(tried(lambda: bytearray(2 << 30)))
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_limited_process_writes_no_file_and_leaves_no_core(tmp_path):
    program = LIMITED.format(source=str(SOURCE), new=str(tmp_path / "new"))
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"OSError{errno.EFBIG}",
        f"OSError{errno.EMFILE}",
        "MemoryError",
        "(0, 0)",
    ]


CONFINED = """
import sys
sys.path[:0] = [{source!r}]
import ctypes, os, resource, socket, subprocess
from gnomon.runtime.engines.sklearn_worker import _confine
lacking = _confine(1000)
def tried(function, *arguments):
    try:
        function(*arguments)
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"
print(lacking)
print(tried(open, {secret!r}))
print(tried(open, "/proc/self/environ"))
print(tried(open, {new!r}, "w"))
print(tried(os.listdir, "/"))
print(tried(socket.create_connection, ("127.0.0.1", {port})))
print(tried(socket.socket, socket.AF_UNIX))
print(tried(os.fork))
print(tried(subprocess.run, ["/bin/true"]))
print(tried(bytearray, 64 << 30))
import sklearn.ensemble, numpy
rows = numpy.random.default_rng(0).normal(size=(200, 3))
model = sklearn.ensemble.RandomForestRegressor(3).fit(rows, rows[:, 0])
print(model.predict(rows).shape)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    landlock_version() < 1 or platform.machine() not in ("x86_64", "aarch64"),
    reason="the kernel has no Landlock, or the machine no filter",
)
def test_the_process_reaches_no_file_network_process_or_unbounded_memory(tmp_path):
    secret = tmp_path / "key.pem"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = CONFINED.format(
            source=str(SOURCE),
            secret=str(secret),
            new=str(tmp_path / "new"),
            port=server.getsockname()[1],
        )
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    lacking, *found, shape = done.stdout.splitlines()
    assert lacking == "()"
    assert found == [*["PermissionError"] * 8, "MemoryError"]
    assert shape == "(200,)"
