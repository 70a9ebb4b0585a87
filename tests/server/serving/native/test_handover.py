"""What one thread hands to a loop is seen, however late the loop reads its signal."""

from pathlib import Path

import pytest

from gnomon.server.serving.native.loop import missing_library
from tests.server.serving.native.test_fuzz import MESSAGES, NATIVE, STREAM, build, run
from tests.support import http2_frames as http2

pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.skipif(
        missing_library() is not None, reason="libnghttp2 is not installed (package libnghttp2-14)"
    ),
]


def calls() -> list[bytes]:
    """Return a call that C answers, one that Python answers, and one of many messages."""
    hello = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
    headers = http2.block(http2.request_headers(path=STREAM))
    stream = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, headers)
    for size in (1, 3_000):
        stream += http2.frame(http2.DATA, 0, 1, http2.prefixed(b"s" * size))
    stream += http2.frame(http2.DATA, http2.END_STREAM, 1)
    return [hello + http2.call(1, b"\0"), hello + http2.call(1, b"\1"), hello + stream]


@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_every_hand_over_is_seen_under_delays(tmp_path: Path, sanitizers: str) -> None:
    sources = [path for path in sorted(NATIVE.glob("*.c")) if path.name not in MESSAGES]
    wrapped = "-Wl,--wrap=read,--wrap=pthread_mutex_lock"
    program = build(tmp_path, "handover.c", sources, sanitizers, wrapped)
    said = run(program, calls())
    answered, drained, _ = (int(word) for word in said.split() if word.isdigit())
    assert answered >= 96 * drained > 0
