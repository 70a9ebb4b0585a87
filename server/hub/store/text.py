"""Text as both databases can hold it, whatever a node or a person has sent."""

from sqlalchemy import Dialect, String, TypeDecorator


def storable(text: str) -> str:
    """Return a text with U+FFFD or ? for what SQL cannot store: NUL, and halves of surrogates.

    PostgreSQL refuses NUL; without this, one such record would hold up all that its node sends.
    """
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


class StorableText(TypeDecorator[str]):
    """A column of such text; without a length, of any."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Make a value storable."""
        return None if value is None else storable(value)
