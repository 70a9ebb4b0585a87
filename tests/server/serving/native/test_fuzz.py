"""Decoder, encoder and framing in C under AddressSanitizer, on input that is almost right.

`GNOMON_FUZZ_SECONDS` is the time for each of the two targets; 30 in CI, else 4. `GNOMON_FUZZ_SEED`
repeats a run: the programs draw all their chances from it.
"""

import os
import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from gnomon.proto import inference_pb2 as oip
from gnomon.server.serving.native.loop import missing_library
from tests.support import http2_frames as http2
from tests.support.serving import request

HERE = Path(__file__).parent / "fuzz"
NATIVE = Path(__file__).parents[4] / "server" / "serving" / "native"
#: Sources of the decoder and the encoder; all others belong to the loop.
MESSAGES = ("answer.c", "elements.c", "message.c", "protobuf.c")
SECONDS = int(os.environ.get("GNOMON_FUZZ_SECONDS") or (30 if os.environ.get("CI") else 4))
SEED = int(os.environ.get("GNOMON_FUZZ_SEED") or random.randrange(1, 2**32))
STREAM = "/fuzz/Stream"

pytestmark = pytest.mark.fuzz


def build(
    folder: Path,
    harness: str,
    sources: Sequence[Path],
    sanitizers: str = "address,undefined",
    *options: str,
) -> Path:
    """Compile a harness with sanitizers, and options of its own."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler (package gcc)")
    flags = ["-g", "-O1", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    # The sources' own assertions: threads, locks, and which state may follow which.
    flags.append("-DGNOMON_DEBUG")
    probe = folder / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    command = [compiler, *flags, "-o", str(folder / "probe"), str(probe)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"the compiler has no {sanitizers} sanitizer (packages libasan8, libtsan2)")
    program = folder / harness.removesuffix(".c")
    command = [compiler, *flags, *options, "-Wall", "-Wextra", f"-I{NATIVE}", f"-I{HERE}"]
    libraries = ["-lm", "-ldl", "-lpthread"]
    done = subprocess.run(
        [*command, "-o", str(program), str(HERE / harness), *map(str, sources), *libraries],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return program


def run(program: Path, seeds: Sequence[bytes]) -> str:
    """Run a harness for its time; return what it says in the end."""
    paths = []
    for number, seed in enumerate(seeds):
        paths.append(program.with_name(f"seed-{number}"))
        paths[-1].write_bytes(seed)
    done = subprocess.run(
        # ThreadSanitizer knows addresses only where they lie by default.
        [*_as_is(), str(program), str(SECONDS), str(SEED), *map(str, paths)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=20 * SECONDS + 120,
        # Leaks are looked for where the system lets it: under a tracer it does not.
        env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"},
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("ThreadSanitizer does not run with this kernel's addresses")
    assert done.returncode == 0, f"GNOMON_FUZZ_SEED={SEED}\n{done.stderr[-8_000:]}"
    return done.stdout


def _as_is() -> list[str]:
    """Return the command that runs another without random addresses, where there is one."""
    command = ["setarch", "-R"]
    works = shutil.which("setarch") and not subprocess.run([*command, "true"]).returncode
    return command if works else []


def messages() -> list[bytes]:
    """Return requests of every form that the decoder reads."""
    raw = oip.ModelInferRequest(model_name="eta", id="r1", model_version="1")
    for name, kind, data in (
        ("distance", "FP64", struct.pack("<d", 800.0)),
        ("half", "FP16", b"\x00\x3c"),
        ("flag", "BOOL", b"\1"),
        ("carrier", "BYTES", b"\2\0\0\0UA"),
    ):
        raw.inputs.add(name=name, datatype=kind, shape=[1])
        raw.raw_input_contents.append(data)
    raw.outputs.add(name="air_time")
    raw.parameters["key"].string_param = "customer-7"
    typed = oip.ModelInferRequest(model_name="eta")
    for kind, field, values in (
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [-1, 127]),
        ("UINT16", "uint_contents", [0, 65_535]),
        ("INT64", "int64_contents", [-(2**63), 2**63 - 1]),
        ("UINT64", "uint64_contents", [0, 2**64 - 1]),
        ("FP32", "fp32_contents", [1.5, -0.0]),
        ("BYTES", "bytes_contents", [b"UA", "é€".encode()]),
    ):
        tensor = typed.inputs.add(name=kind.lower(), datatype=kind, shape=[2, 1])
        getattr(tensor.contents, field).extend(values)
    made = (request(), request(3), raw, typed, oip.ModelInferRequest())
    return [one.SerializeToString() for one in made]


def conversations() -> list[bytes]:
    """Return what good clients say, each on a connection of its own."""
    hello = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
    ping = http2.frame(http2.PING, 0, 0, b"whatever")
    window = http2.frame(8, 0, 0, b"\0\1\0\0")
    unary = b"".join(http2.call(2 * turn + 1, bytes([turn]) * 40) for turn in range(4))
    long = http2.block(http2.request_headers(authorization="Bearer " + "x" * 900))
    split = http2.frame(http2.HEADERS, 0, 1, long[:300])
    split += http2.frame(http2.CONTINUATION, 0, 1, long[300:600])
    split += http2.frame(http2.CONTINUATION, http2.END_HEADERS, 1, long[600:])
    split += http2.frame(http2.DATA, http2.END_STREAM, 1, http2.prefixed(b"\2" * 20))
    timed = http2.call(1, b"\0slow", grpc_timeout="1m", grpc_encoding="gzip")
    headers = http2.block(http2.request_headers(path=STREAM))
    stream = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, headers)
    for size in (0, 1, 3_000):
        stream += http2.frame(http2.DATA, 0, 1, http2.prefixed(b"s" * size))
    both = http2.prefixed(b"one") + http2.prefixed(b"two")
    stream += http2.frame(http2.DATA, 0, 1, both[:7]) + http2.frame(http2.DATA, 0, 1, both[7:])
    ended = stream + http2.frame(http2.DATA, http2.END_STREAM, 1)
    reset = stream + http2.frame(http2.RST_STREAM, 0, 1, b"\0\0\0\x08") + http2.call(3, b"\2")
    large = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.block(http2.request_headers()))
    large += http2.frame(http2.DATA, 0, 1, http2.prefixed(b"x" * 16_000)[:16_000])
    kinds = (unary, split, timed, stream, ended, reset, large, ping + window + unary + ping)
    return [hello + said for said in kinds]


def test_decoder_and_encoder_keep_to_their_bytes(tmp_path: Path) -> None:
    sources = [NATIVE / name for name in MESSAGES]
    said = run(build(tmp_path, "messages.c", sources), messages())
    assert int(said.split()[0]) > 1_000


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_the_loop_bears_any_frames_and_shares_nothing_unguarded(
    tmp_path: Path, sanitizers: str
) -> None:
    missing = missing_library()
    if missing is not None:
        pytest.skip(f"{missing} (package libnghttp2-14)")
    sources = [path for path in sorted(NATIVE.glob("*.c")) if path.name not in MESSAGES]
    said = run(build(tmp_path, "frames.c", sources, sanitizers), conversations())
    counts = [int(word) for word in said.replace(",", "").split() if word.isdigit()]
    # Connections, answers, refusals, messages of streams, answers in C: it got that far.
    assert min(counts) > 0, said
