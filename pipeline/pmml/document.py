"""The XML of a PMML document: read without entities, without namespaces, within limits."""

from collections.abc import Iterator
from typing import NoReturn
from xml.etree.ElementTree import Element, ParseError

from gnomon.runtime.errors import PackageError
from gnomon.runtime.extras import missing_extra

__all__ = ["children", "number", "parse", "refuse", "require"]

#: Limits that hold before and while the XML is read.
BYTES_LIMIT = 256 << 20
ELEMENTS_LIMIT = 5_000_000
DEPTH_LIMIT = 500

#: What says something to people only, or of how the model came about.
_IGNORED = frozenset({"Extension", "Header", "MiningBuildTask", "ModelStats", "ModelExplanation"})


def parse(data: bytes) -> Element:
    """Return the document's root with plain names.

    Raises:
        PackageError: it is too large or too deep, no PMML 4, no XML, or declares entities or a
            document type, which nothing here needs and attacks are made of.
    """
    if len(data) > BYTES_LIMIT:
        raise PackageError(f"the PMML has {len(data)} bytes; at most {BYTES_LIMIT} are read")
    try:
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import DefusedXMLParser
    except ImportError as error:
        raise PackageError(missing_extra("PMML", "defusedxml", "pmml")) from error
    parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(data)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise PackageError(f"the PMML declares what may not be in it: {error}") from error
    except (ParseError, ValueError) as error:
        raise PackageError(f"the PMML is not valid XML: {error}") from error
    if root.tag != "PMML" or not root.get("version", "").startswith("4"):
        raise PackageError(
            f"the document is {root.tag} {root.get('version', '')}, expected PMML of a version 4"
        )
    return root


class _Builder:
    """Builds elements, and stops if there are too many or they are nested too deeply."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._count = 0
        self._root: Element | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > ELEMENTS_LIMIT or len(self._open) >= DEPTH_LIMIT:
            raise ValueError(f"more than {ELEMENTS_LIMIT} elements, or deeper than {DEPTH_LIMIT}")
        element = Element(tag.rpartition("}")[2], attributes)
        if self._open:
            self._open[-1].append(element)
        self._open.append(element)

    def end(self, _tag: str) -> None:
        self._root = self._open.pop()

    def data(self, text: str) -> None:
        if self._open and len(self._open[-1]) == 0:
            self._open[-1].text = (self._open[-1].text or "") + text

    def close(self) -> Element | None:
        return self._root


def children(element: Element) -> Iterator[Element]:
    """Yield the children of an element that affect the model."""
    return (child for child in element if child.tag not in _IGNORED)


def require(element: Element, attribute: str) -> str:
    """Return a required attribute; raises PackageError."""
    value = element.get(attribute)
    if value is None:
        raise PackageError(f"PMML: {element.tag} has no attribute {attribute!r}")
    return value


def number(element: Element, attribute: str, default: float | None = None) -> float:
    """Return an attribute that is a number; raises PackageError."""
    if default is not None and attribute not in element.attrib:
        return default
    text = require(element, attribute)
    try:
        return float(text)
    except ValueError as error:
        raise PackageError(
            f"PMML: {element.tag} {attribute}={text[:80]!r} should be a number"
        ) from error


def refuse(element: Element, reason: str = "") -> NoReturn:
    """Raise PackageError for an element that cannot be compiled."""
    shown = " ".join(f"{key}={value[:40]!r}" for key, value in list(element.attrib.items())[:4])
    raise PackageError(
        f"PMML: {element.tag} ({shown or 'no attributes'}) cannot be compiled"
        + (f": {reason}" if reason else "")
    )
