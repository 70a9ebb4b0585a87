"""The REST frontend: the same answers and refusals as over gRPC, and pages from the contract."""

import json
import subprocess
import sys
from typing import Any

import httpx
import numpy as np
import pytest
from structlog.testing import capture_logs

from gnomon.runtime.errors import WIRE
from gnomon.server.serving.admission.admission import make_admission
from gnomon.server.serving.rest.frontend import RestFrontend
from gnomon.server.serving.settings import FrontendSettings

INFER = "/v2/models/eta/infer"
PREDICT = "/v1/models/eta:predict"
GOOD = {"distance": 800.0, "wind": 10.0, "carrier": "UA"}

TRITON = """
import sys
import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1])
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("eta")
assert client.is_model_ready("eta", "1") and not client.is_model_ready("eta", "2")
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
metadata = client.get_model_metadata("eta", "1")
assert [i["name"] for i in metadata["inputs"]] == ["distance", "wind", "carrier"]
assert metadata["inputs"][0]["shape"] == [-1, 1], metadata

def tensors(distance, carrier, binary=True, kind="FP64"):
    values = {
        "distance": (np.array(distance), kind),
        "wind": (np.array([[10.0]] * len(distance)), "FP64"),
        "carrier": (np.array(carrier, object), "BYTES"),
    }
    made = []
    for number, (name, (array, datatype)) in enumerate(values.items()):
        tensor = triton.InferInput(name, array.shape, datatype)
        tensor.set_data_from_numpy(array, binary_data=binary if binary != "mixed" else number == 1)
        made.append(tensor)
    return made

for binary_in in (True, False, "mixed"):
    for outputs in (None, True, False):
        wanted = outputs if outputs is None else [
            triton.InferRequestedOutput("air_time", binary_data=outputs)]
        result = client.infer("eta", tensors([[800.0], [400.0]], ["UA", "AA"], binary_in),
                              request_id="q1", outputs=wanted,
                              parameters={"at": "2013-07-04T12:00:00", "key": "customer-7"})
        found = result.as_numpy("air_time")
        assert found.tolist() == [[111.0], [51.0]] and found.dtype == np.float32, found
        assert result.get_response()["id"] == "q1"
        assert result.get_response()["model_version"] == "1"
        datatype = result.get_output("air_time")["datatype"]
        assert datatype == "FP32"

for bad in (tensors([[-1.0]], ["UA"]), tensors([[np.nan]], ["UA"]), tensors([[800.0]], ["ZZ"]),
            tensors(np.array([["far"]], object), ["UA"], True, "BYTES"),
            tensors([[800.0]], ["UA"])[:2], []):
    try:
        client.infer("eta", bad)
    except triton.InferenceServerException as error:
        assert error.status() == "422", error
        print(error.message())
    else:
        raise SystemExit("a bad request was answered")
client.close()
"""


def tensors(**changes: Any) -> dict[str, Any]:
    columns = {"distance": [800.0], "wind": [10.0], "carrier": ["UA"]} | changes
    inputs = [
        {
            "name": name,
            "datatype": "BYTES" if isinstance(values[0], str) else "FP64",
            "shape": [len(values), 1],
            "data": values,
        }
        for name, values in columns.items()
    ]
    return {"id": "r1", "inputs": inputs}


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["error"] == document["detail"]
    return answer.status_code, document["code"]


def test_tritonclient_works_unchanged(served: Any, rest: httpx.Client) -> None:
    address = str(rest.base_url).removeprefix("http://").rstrip("/")
    done = subprocess.run(
        [sys.executable, "-c", TRITON, address],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "'distance': -1.0 breaks 'minimum'" in done.stdout
    assert served.counted() == {"answered": 18, "refused": 6}


def test_tensors_in_tensors_out(served: Any, rest: httpx.Client) -> None:
    answer = rest.post(INFER, json=tensors(wind=[900.0]))
    assert answer.status_code == 200
    document = answer.json()
    assert (document["model_name"], document["model_version"], document["id"]) == ("eta", "1", "r1")
    (output,) = document["outputs"]
    assert output == {"name": "air_time", "datatype": "FP32", "shape": [1, 1], "data": [130.0]}
    (violation,) = json.loads(document["parameters"]["gnomon_violations"])
    assert (violation["field"], violation["rule"]) == ("wind", "maximum")
    assert rest.post("/v2/models/eta/versions/1/infer", json=tensors()).status_code == 200
    assert problem(rest.post("/v2/models/eta/versions/7/infer", json=tensors())) == (
        404,
        "unknown_model",
    )
    assert problem(rest.post("/v2/models/x/infer", json=tensors())) == (404, "unknown_model")


def test_nested_lists_and_null_for_missing(rest: httpx.Client) -> None:
    body = tensors(distance=[800.0, 400.0], wind=[None, 10.0], carrier=["UA", "AA"])
    body["inputs"][0]["data"] = [[800], [400]]
    body["inputs"][1]["datatype"] = "FP64"
    answer = rest.post(INFER, json=body)
    assert answer.json()["outputs"][0]["data"] == pytest.approx([110.0, 51.0])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"datatype": "INT32", "data": [1.5]}, "type"),
        ({"datatype": "INT8", "data": [300]}, "range"),
        ({"datatype": "BOOL", "data": [1]}, "type"),
        ({"datatype": "FP64", "data": ["800"]}, "type"),
        ({"datatype": "FP64", "data": [True]}, "type"),
        ({"datatype": "BYTES", "data": [7]}, "type"),
        ({"datatype": "FP65"}, "datatype"),
        ({"data": [1.0, 2.0]}, "bytes"),
        ({"data": [[1.0], 2.0]}, "data"),
        ({"data": "far"}, "data"),
        ({"data": None, "parameters": {"binary_data_size": 8}}, "binary_data_size"),
        ({"shape": [-1, 1]}, "shape"),
        ({"shape": [1 << 40, 1 << 40]}, "shape"),
        ({"parameters": {"shared_memory_region": "x"}}, "parameters"),
    ],
)
def test_tensors_that_contradict_themselves(
    served: Any, rest: httpx.Client, change: dict[str, Any], rule: str
) -> None:
    body = tensors()
    body["inputs"][0] |= change
    answer = rest.post(INFER, json=body)
    assert problem(answer) == (422, "invalid_input")
    (detail,) = answer.json()["details"]
    assert (detail["field"], detail["rule"]) == ("distance", rule)
    assert detail["expected"]
    assert served.counted() == {"refused": 1}


def test_bodies_that_are_none(served: Any, rest: httpx.Client) -> None:
    bodies = (b"", b"{", b"[]", b'{"inputs": 7}', b"[" * 100_000, b"\xff\xfe", b'{"x": "\xfc"}')
    for path in (INFER, PREDICT):
        for data in bodies:
            assert problem(rest.post(path, content=data)) == (422, "invalid_input")
    assert served.counted() == {"refused": 2 * len(bodies)}


def test_the_binary_part_must_fit(rest: httpx.Client) -> None:
    body = tensors()
    body["inputs"][0] |= {"parameters": {"binary_data_size": 8}}
    del body["inputs"][0]["data"]
    data = json.dumps(body).encode()
    for tail, length, status in (
        (np.float64(800).tobytes(), str(len(data)), 200),
        (np.float64(800).tobytes() + b"x", str(len(data)), 422),
        (b"1234", str(len(data)), 422),
        (np.float64(800).tobytes(), "99999", 422),
        (np.float64(800).tobytes(), "-1", 422),
        (np.float64(800).tobytes(), "²", 422),
    ):
        headers = {"Inference-Header-Content-Length": length.encode("latin-1")}
        assert rest.post(INFER, content=data + tail, headers=headers).status_code == status


def test_rows_in_rows_out(served: Any, rest: httpx.Client) -> None:
    answer = rest.post(PREDICT, json={"instances": [GOOD], "id": "q"}).json()
    (digest,) = served.runtime.models
    assert (answer["model"], answer["version"], answer["digest"]) == ("eta", "1", digest)
    assert (answer["id"], answer["ids"], answer["fallback"]) == ("q", ["q"], None)
    assert answer["predictions"] == [{"air_time": pytest.approx(111.0)}]
    rows = [GOOD, GOOD | {"wind": None}, GOOD | {"wind": 900}]
    answer = rest.post(PREDICT, json={"instances": rows, "id": "q", "at": 1_372_939_200}).json()
    assert [row["air_time"] for row in answer["predictions"]] == pytest.approx([111, 110, 130])
    assert answer["ids"] == ["q/0", "q/1", "q/2"]
    assert [(one["row"], one["rule"]) for one in answer["violations"]] == [(2, "maximum")]
    assert rest.post(PREDICT, json={"instances": [GOOD]}).json()["id"]
    assert served.counted() == {"answered": 5}


def test_one_bad_row_refuses_the_request(served: Any, rest: httpx.Client) -> None:
    answer = rest.post(PREDICT, json={"instances": [GOOD, GOOD | {"distance": -1}]})
    assert problem(answer) == (422, "invalid_input")
    detail, across = answer.json()["details"]
    assert (detail["row"], across["row"], across["rule"]) == (1, 1, "calm")
    assert (detail["field"], detail["rule"], detail["value"]) == ("distance", "minimum", -1)
    assert detail["expected"] == ">= 0 miles"
    assert served.counted() == {"refused": 2}
    for body in ({"instances": []}, {"rows": [GOOD]}, {"instances": [GOOD], "id": "x" * 200}):
        assert problem(rest.post(PREDICT, json=body)) == (422, "invalid_input")
    assert problem(rest.post(PREDICT, json={"instances": [GOOD], "at": "noon"}))[0] == 422
    assert problem(rest.post("/v1/models/x:predict", json={"instances": [GOOD]}))[0] == 404


def test_a_row_that_lacks_a_field_is_checked_alike_alone_and_among_others(
    served: Any, rest: httpx.Client
) -> None:
    # Wind may be null, but its key is required.
    lacking = {"distance": 800.0, "carrier": "UA"}
    for number, rows in enumerate(([lacking], [GOOD, lacking], [lacking, GOOD, GOOD])):
        answer = rest.post(PREDICT, json={"instances": rows})
        assert problem(answer) == (422, "invalid_input")
        (detail,) = answer.json()["details"]
        found = (detail["row"], detail["field"], detail["rule"])
        assert found == (1 if number == 1 else 0, "wind", "required")
        assert detail["expected"] == "a value of kind float64 under this name"
    assert served.counted() == {"refused": 6}


def test_partial_answers_mark_the_bad_rows(served: Any, rest: httpx.Client) -> None:
    rows = [GOOD | {"distance": -1}, GOOD, {"wind": 1.0}, GOOD | {"wind": 900}, GOOD | {"x": 1}]
    body = {"instances": rows, "partial": True, "id": "q"}
    answer = rest.post(PREDICT, json=body).json()
    shown = [row and row["air_time"] for row in answer["predictions"]]
    assert shown == [None, pytest.approx(111), None, pytest.approx(130), None]
    assert answer["ids"] == [None, "q/0", None, "q/1", None]
    assert {(one["row"], one["field"], one["rule"]) for one in answer["refused"]} == {
        (0, "distance", "minimum"),
        (0, None, "calm"),
        (2, "distance", "required"),
        (2, "carrier", "required"),
        (4, "x", "unknown_field"),
    }
    assert [(one["row"], one["field"]) for one in answer["violations"]] == [(3, "wind")]
    assert served.counted() == {"answered": 2, "refused": 3}
    answer = rest.post(PREDICT, json={"instances": rows[:1], "partial": True}).json()
    assert (answer["predictions"], answer["version"]) == ([None], "")
    assert served.counted() == {"answered": 2, "refused": 4}


def test_metadata_and_health(served: Any, rest: httpx.Client) -> None:
    assert rest.get("/v2").json()["name"] == "gnomon"
    assert rest.get("/v2/health/live").status_code == 200
    assert rest.get("/v2/health/ready").status_code == 200
    assert rest.get("/v1/models").json() == {"models": ["eta"]}
    assert rest.get("/v1/models/eta").json()["ready"]
    assert rest.get("/").json() == {"status": "alive"}
    for path in ("/v1/models/x", "/v2/models/x", "/v2/models/x/ready"):
        assert problem(rest.get(path)) == (404, "unknown_model")
    assert problem(rest.get("/v2/models/eta/versions/7/ready")) == (404, "unknown_model")
    assert problem(rest.get("/v3")) == (404, "unknown_path")
    served.handler.drain()
    for path in ("/v2/health/ready", "/v1/models/eta", "/v2/models/eta/ready"):
        assert problem(rest.get(path)) == (503, "not_ready")
    assert rest.get("/v2/health/live").status_code == 200


def test_head_is_answered_wherever_get_is(rest: httpx.Client) -> None:
    description = rest.get("/openapi.json").json()
    paths = [path for path, calls in description["paths"].items() if "get" in calls]
    assert len(paths) > 10
    for path in (*paths, "/docs", "/openapi.json", "/v2/models/x", "/nothing"):
        path = path.format(model="eta", version="1")
        got, head = rest.get(path), rest.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", PREDICT, "POST"),
        ("HEAD", INFER, "POST"),
        ("POST", "/v1/models/eta", "GET, HEAD"),
        ("DELETE", "/v2/logging", "GET, HEAD, POST"),
        ("PUT", "/metrics", "GET, HEAD"),
    ],
)
def test_a_wrong_method_gets_the_right_ones(
    rest: httpx.Client, method: str, path: str, allowed: str
) -> None:
    answer = rest.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("place", ["body", "row", "input", "parameters"])
def test_a_name_that_comes_twice_is_refused(served: Any, rest: httpx.Client, place: str) -> None:
    once, twice, path = {
        "body": ('"id": "q"', '"id": "q", "\\u0069d": "r"', PREDICT),
        "row": ('"wind": 10.0', '"wind": 10.0, "wind": 900', PREDICT),
        "input": ('"name": "wind"', '"name": "wind", "name": "distance"', INFER),
        "parameters": ('"key": "a:b"', '"key": "a:b", "key": "c"', INFER),
    }[place]
    body = tensors() | {"parameters": {"key": "a:b"}}
    text = json.dumps(body if path == INFER else {"id": "q", "instances": [GOOD]})
    assert rest.post(path, content=text).status_code == 200
    answer = rest.post(path, content=text.replace(once, twice))
    assert once in text
    assert problem(answer) == (422, "invalid_input")
    assert "comes twice" in answer.json()["detail"]
    assert served.counted() == {"answered": 1, "refused": 1}


def test_pages_come_from_the_contract(rest: httpx.Client) -> None:
    description = rest.get("/openapi.json").json()
    row = description["components"]["schemas"]["eta.row"]
    assert row["properties"]["distance"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 10_000,
        "description": "in miles",
    }
    assert row["properties"]["carrier"] == {"type": "string", "enum": ["AA", "UA", "WN"]}
    assert row["properties"]["wind"]["type"] == ["number", "null"]
    assert row["required"] == ["distance", "wind", "carrier"]
    assert row["description"].endswith("distance > wind / 100")
    assert "/v1/models/eta:predict" in description["paths"]
    page = rest.get("/docs").text
    assert "//" not in page.replace("<!doctype html>", "").split("<h1>")[0]
    # All text is in a landmark, narrow screens break long words, and no icon is asked for.
    assert page.split("<style>")[1].split("</style>")[1].startswith("<main>")
    assert page.endswith("</main></html>")
    assert page.count("overflow-wrap:anywhere") == 2
    assert 'rel="icon" href="data:,"' in page
    for told in (
        "instances[].distance",
        "≤ 10000",
        "carrier",
        "WN",
        "miles",
        "predictions[].air_time",
    ):
        assert told in page


def test_unknown_callers_are_not_answered(served: Any, rest: httpx.Client) -> None:
    for host in ("evil.example", "", "127.0.0.1.evil.example"):
        answer = rest.post(PREDICT, json={"instances": [GOOD]}, headers={"host": host})
        assert problem(answer) == (403, "not_allowed")
    assert served.counted() == {}


def test_bodies_are_bounded(served: Any) -> None:
    settings = FrontendSettings(port=0, message_bytes=1_000)
    admission = make_admission(settings, served.handler)
    frontend = RestFrontend(served.handler, served.runtime, settings, 0, admission)
    frontend.open()
    try:
        for content in (b" " * 1_001, iter([b" " * 600] * 2)):
            answer = httpx.post(frontend.url + PREDICT, content=content, trust_env=False)
            assert problem(answer) == (422, "invalid_input")
            assert "at most 1000 bytes" in answer.text
    finally:
        frontend.close(1)


def test_an_unexpected_error_keeps_its_text_to_itself(
    served: Any, rest: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr(served.runtime, "predict", fail)
    with capture_logs() as lines:
        answer = rest.post(PREDICT, json={"instances": [GOOD]})
    assert {"call_failed", "request_failed"} <= {line["event"] for line in lines}
    assert problem(answer) == (500, "internal")
    assert "secret" not in answer.text


def test_the_frontend_has_every_status_of_the_table() -> None:
    assert all(400 <= status < 600 for _, status in WIRE.values())
