"""Files and pipes: where reading begins again, what a crash leaves, and what is refused."""

import os
from pathlib import Path

import pytest

from gnomon.runtime.errors import ConfigurationError, StorageError
from gnomon.server.streams.addresses import open_sink, open_source
from gnomon.server.streams.file_progress import FileProgress
from gnomon.server.streams.files import FileSink, FileSource, PipeSource
from gnomon.server.streams.settings import StreamSettings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"one\ntwo\n\nthree\nfour")
    return path


def open_file(path: Path, *, follow: bool = False) -> FileSource:
    progress = FileProgress(path.with_name("progress"))
    return FileSource(path, progress, record_bytes=100, follow=follow)


def test_reading_begins_where_it_was_committed(path: Path) -> None:
    source = open_file(path)
    assert [one.data for one in source.read(1, 0)] == [b"one"]
    source.commit()
    assert [one.data for one in source.read(2, 0)] == [b"two", b"three"]
    source.close()
    source = open_file(path)
    records = source.read(10, 0)
    assert [(one.data, one.position) for one in records] == [
        (b"two", "4"),
        (b"three", "9"),
        (b"four", "15"),
    ]
    assert source.ended
    source.commit()
    source.close()
    source = open_file(path)
    assert source.read(10, 0) == []
    assert source.ended
    source.close()


def test_a_followed_file_waits_for_the_end_of_a_line(path: Path) -> None:
    source = open_file(path, follow=True)
    assert [one.data for one in source.read(10, 0)] == [b"one", b"two", b"three"]
    assert not source.ended
    with path.open("ab") as file:
        file.write(b"teen\nfi")
    assert [one.data for one in source.read(10, 0)] == [b"fourteen"]
    source.close()


@pytest.mark.parametrize("content", [b"one\n", b"other\ntwo\n\nthree\nfour"])
def test_another_file_is_not_mistaken_for_the_one_that_was_begun(
    path: Path, content: bytes
) -> None:
    source = open_file(path)
    source.read(10, 0)
    source.commit()
    source.close()
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="belongs to another file"):
        open_file(path)


def test_progress_that_cannot_be_read_is_reported(path: Path) -> None:
    path.with_name("progress").write_bytes(b"{")
    with pytest.raises(ConfigurationError, match="remove it to start"):
        open_file(path)


def test_one_process_at_a_time(path: Path, tmp_path: Path) -> None:
    source, sink = open_file(path), FileSink(tmp_path / "out")
    with pytest.raises(StorageError, match="another process uses"):
        open_file(path)
    with pytest.raises(StorageError, match="cannot be written"):
        FileSink(tmp_path / "out")
    source.close()
    sink.close()


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"whole\n" + b"x" * 600_000)
    sink = FileSink(path)
    sink.write([("a", b"more"), ("b", b"and more")])
    sink.close()
    assert path.read_bytes() == b"whole\nmore\nand more\n"
    path.write_bytes(b"torn")
    FileSink(path).close()
    assert path.read_bytes() == b""


def test_a_full_disk_leaves_no_part_of_a_batch() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    sink = open_sink(str(full), StreamSettings())
    with pytest.raises((StorageError, OSError)):
        sink.write([("a", b"answer")])


def test_a_pipe_ends_with_its_last_line() -> None:
    reader, writer = os.pipe()
    source = PipeSource(reader, record_bytes=5)
    assert source.read(9, 0.01) == []
    os.write(writer, b"one\nmuch too long\ntw")
    records = source.read(9, 0.01)
    assert [(one.data, one.position, one.is_whole) for one in records] == [
        (b"one", "1", True),
        (b"much ", "2", False),
    ]
    os.close(writer)
    assert [one.data for one in source.read(9, 1)] == [b"tw"]
    assert source.ended
    os.close(reader)


@pytest.mark.parametrize(
    "address",
    ["redis://here/there", "nats://here", "kafka:///topic", "nats://user:secret@here/subject"],
)
def test_what_is_no_address_is_refused_and_no_password_shown(address: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_source(StreamSettings(source=address))
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        open_sink(address, StreamSettings())


def test_a_source_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        open_source(StreamSettings(source=str(tmp_path / "nothing")))
