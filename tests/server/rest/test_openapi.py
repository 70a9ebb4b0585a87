"""Both OpenAPI documents: valid, and true of what random requests are answered."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import validate

from gnomon.runtime.packages.package import Package
from tests.server.hub.conftest import shared_caller
from tests.support.hub import Caller
from tests.support.packages import make_package
from tests.support.serving import Served, rest_client

__all__ = ["shared_caller"]

#: Requests of each operation: good ones by its schema, and as many bad ones.
EXAMPLES = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    package: Package = make_package(tmp_path_factory.mktemp("packages") / "eta-1", None)
    served = Served(package)
    with rest_client(served) as client:
        yield client
    served.close()


@pytest.fixture(params=["server", "hub"])
def rest(request: pytest.FixtureRequest) -> httpx.Client:
    if request.param == "server":
        client: httpx.Client = request.getfixturevalue("server")
        return client
    caller: Caller = request.getfixturevalue("shared_caller")
    return caller.http


@pytest.mark.slow
def test_the_document_is_valid(rest: httpx.Client) -> None:
    description = rest.get("/openapi.json").json()
    validate(description)
    assert "HTTPValidationError" not in json.dumps(description)
    for path, operations in description["paths"].items():
        for operation in operations.values():
            problem = operation["responses"]["422"]["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, path


@pytest.mark.slow
def test_answers_are_what_the_document_says(rest: httpx.Client) -> None:
    schemathesis = pytest.importorskip(
        "schemathesis", reason="schemathesis is not installed: pip install schemathesis"
    )
    from schemathesis.specs.openapi import checks

    told = [
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]
    faults: list[str] = []
    headers = {name: value for name, value in rest.headers.items() if name == "authorization"}

    def check(case: Any) -> None:
        response = case.call(base_url=str(rest.base_url), headers=headers)
        case.validate_response(response, checks=told)
        # A model may give what its contract does not allow: that is the package's fault.
        is_package = response.status_code == 502 and response.json()["code"] == "invalid_output"
        assert response.status_code < 500 or is_package, response.text

    for found in schemathesis.openapi.from_dict(
        rest.get("/openapi.json").json()
    ).get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:
            cases = operation.as_strategy(generation_mode=mode)
            try:
                _limited(given(case=cases)(check))()
            except Unsatisfiable:
                # A call without parameters has no bad form.
                continue
            except Exception as error:
                faults.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}")
    assert not faults, "\n\n".join(faults)


def _limited(test: Any) -> Any:
    return settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )(test)
