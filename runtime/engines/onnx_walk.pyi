import enum

class WalkVerdict(enum.IntEnum):
    ALL_INSIDE = 0
    EXTERNAL = 1
    CUT_SHORT = 2
    MALFORMED = 3
    TOO_DEEP = 4

def walk(file: bytes) -> tuple[WalkVerdict, int, int, int]: ...
def tensor_name(file: bytes, start: int, end: int) -> bytes: ...
