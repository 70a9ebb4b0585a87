"""The records of a CSV text: where each ends, and how many values it has."""

import numpy as np
from numpy.typing import NDArray

def find_records(
    data: NDArray[np.uint8], delimiter: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], bool]:
    """Return where each record ends, its number of values, and whether the last ends in quotes.

    A record ends after LF, CR or CRLF outside of quotes, or with the text. Quotes count if a value
    begins with them, as Arrow's parser takes them. A line of no bytes has 0 values.

    Args:
        data: the text, in UTF-8 or any encoding that has ASCII in it, from a record's start on.
        delimiter: the character between values, of ASCII.
    """
