"""The text of a CSV file in UTF-8, read from any byte at which a record begins."""

import codecs
from dataclasses import dataclass
from pathlib import Path

from gnomon.pipeline.datasets.csv_dialect import with_byte_order
from gnomon.pipeline.datasets.row_encoding import DatasetError

__all__ = ["CsvText", "open_text"]

#: The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class CsvText:
    """A file, its encoding, and the byte at which its text begins, after a byte order mark."""

    path: Path
    encoding: str
    start: int

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end` of the file, in UTF-8.

        A character that `end` cuts is left out, unless the file ends there.

        Raises:
            DatasetError: the bytes are no text in this encoding.
        """
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
            is_end = not file.read(1)
        return self._in_utf_8(data, start, is_end)

    def length(self, text: bytes) -> int:
        """Return the number of bytes of the file that hold this text in UTF-8."""
        if self.encoding == "utf-8":
            return len(text)
        return len(codecs.encode(text.decode(), self.encoding))

    def _in_utf_8(self, data: bytes, start: int, is_end: bool) -> bytes:
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        try:
            text = decoder.decode(data, is_end)
        except UnicodeDecodeError as error:
            raise DatasetError(
                f"{self.path}: byte {start + error.start} is no text in {self.encoding} "
                f"({error.reason}); set the encoding, such as utf-16, cp1252 or latin-1"
            ) from error
        if self.encoding == "utf-8":
            pending, _ = decoder.getstate()
            return data[: len(data) - len(pending)]
        return text.encode()


def open_text(path: Path, encoding: str) -> CsvText:
    """Return the file's text: in the encoding of its mark, else the given one, else UTF-8.

    Raises:
        DatasetError: the file has no byte of text, or looks as if it had another encoding.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)
    mark, marked = next(((mark, name) for mark, name in _MARKS if head.startswith(mark)), (b"", ""))
    given = with_byte_order(encoding) if encoding else ""
    text = CsvText(path, marked or given or "utf-8", len(mark))
    if path.stat().st_size <= text.start:
        raise DatasetError(f"{path} is empty; the first line should name the columns")
    if not marked and not given and b"\0" in head:
        raise DatasetError(
            f"{path}: there is a zero byte in the first four, as in UTF-16; set the encoding"
        )
    return text
