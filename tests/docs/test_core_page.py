"""What the documents show is what happens."""

import doctest
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_blocks_of_the_core_document_run():
    found = doctest.testfile(
        str(DOCS / "core.md"),
        module_relative=False,
        optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL,
        encoding="utf-8",
    )
    assert found.attempted > 15
    assert found.failed == 0


def test_the_rules_of_the_core_document_are_as_it_says():
    from gnomon.core.contract import Contract
    from gnomon.core.fields import Field, Kind, Rule

    fields = [
        Field(name="a", kind=Kind.FLOAT64, nullable=True, finite=False),
        Field(name="b", kind=Kind.FLOAT64, nullable=True),
    ]
    for expression, row, broken in (
        ("a < b", {"a": 2.0, "b": None}, False),
        ("a < b and a < 1", {"a": 2.0, "b": None}, True),
        ("a < b or a is missing", {"a": 2.0, "b": 1.0}, True),
        ("b is missing", {"a": 2.0, "b": 1.0}, True),
        ("a / b > 5", {"a": 1.0, "b": 0.0}, False),
        ("a / b < 5", {"a": 1.0, "b": 0.0}, True),
        ("a / b < 5", {"a": 0.0, "b": 0.0}, False),
        ("log(b) > 0", {"a": 0.0, "b": -1.0}, False),
    ):
        contract = Contract(fields, [Rule(name="rule", expression=expression)])
        found = contract.check_row(row, contract.new_row())
        assert (found is not None) == broken, expression
