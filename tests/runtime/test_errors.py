"""Errors keep what they say on their way over the wire."""

from gnomon.runtime.errors import GnomonError, NotFound, UnknownModel
from gnomon.runtime.wire import read_error, status_name, trailing_metadata


def test_what_was_not_found_is_known_at_the_other_end() -> None:
    error = NotFound("there is no alert 'x'", kind="alert")
    read = read_error(str(error), trailing_metadata(error))
    assert type(read) is NotFound
    assert (read.kind, str(read)) == ("alert", "there is no alert 'x'")
    assert status_name(error) == "NOT_FOUND"


def test_an_unknown_model_is_one_thing_that_was_not_found() -> None:
    error: GnomonError = UnknownModel("no model 'x'")
    read = read_error(str(error), trailing_metadata(error))
    assert type(read) is UnknownModel
    assert read.kind == "model"
    assert NotFound("nothing").kind == ""
