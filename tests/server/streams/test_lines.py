"""Lines come out the same however the bytes came in, and none is longer than its limit."""

from hypothesis import given
from hypothesis import strategies as st

from gnomon.server.streams.lines import LineSplitter


@given(st.lists(st.binary(max_size=30)), st.integers(1, 12), st.integers(0, 99))
def test_pieces_make_no_difference(pieces: list[bytes], limit: int, begin: int) -> None:
    splitter = LineSplitter(limit, begin)
    found = [line for piece in pieces for line in splitter.feed(piece)]
    last = splitter.rest()
    found += [last] if last else []
    whole = b"".join(pieces)
    texts = whole.split(b"\n")
    if not texts[-1]:
        texts.pop()
    assert [line.data for line in found] == [text[:limit] for text in texts]
    assert [line.is_whole for line in found] == [len(text) <= limit for text in texts]
    at, ends = begin, []
    for text in texts:
        at += len(text) + 1
        ends.append(min(at, begin + len(whole)))
    assert [line.after for line in found] == ends
