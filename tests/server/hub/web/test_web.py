"""The pages and routes of the monitor, over a real hub's HTTP."""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import insert

from gnomon.server.hub.monitoring import alerts, monitor
from gnomon.server.hub.monitoring.intervals import MonitorSettings
from gnomon.server.hub.process import Hub
from gnomon.server.hub.rollout import rollouts
from gnomon.server.hub.settings import HubSettings
from gnomon.server.hub.store import schema
from gnomon.server.hub.web.charts import SMALL, Chart, ChartLine
from tests.support.hub import local_key_of

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
AT_ONCE = MonitorSettings(grace_ms=0)
NODES = ("n1", "n2", "n3")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, new_world: Any) -> tuple[Path, Any]:
    """A database with a model in service, a broken node, labels, and a version to roll out."""
    folder = tmp_path_factory.mktemp("prepared")
    world = new_world(folder)
    one, two = world.publish("eta", "1"), world.publish("eta", "2")
    world.place("eta", "1")
    for node in NODES:
        world.node(node, digests=[one, two], facts={"engines": "onnx"}, spool={"records": 2})
    for day in range(4):
        for node in NODES:
            world.window(one, node=node, day=day, shift=2.0 if node == "n3" and day else 0.0)
        world.judged(one, list(np.linspace(-3, 3, 20)), day=day, tag=str(day))
    monitor.run_once(world.database, AT_ONCE)
    world.database.close()
    return folder / "hub.db", (one, two)


@pytest.fixture
def hub(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Hub]:
    settings = HubSettings(
        data_folder=tmp_path / "hub",
        rest_port=0,
        enrolment_port=0,
        sync_port=0,
        tick_seconds=3_600,
        promote_untested=True,
    )
    if "busy" in request.fixturenames:
        settings.data_folder.mkdir()
        shutil.copy(request.getfixturevalue("prepared")[0], settings.data_folder)
    hub = Hub(settings)
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture
def database(hub: Hub) -> Any:
    return hub.services.database


@pytest.fixture
def http(hub: Hub) -> Iterator[httpx.Client]:
    rest = hub.addresses.rest
    with httpx.Client(
        base_url=rest, headers=local_key_of(rest), timeout=20, trust_env=False
    ) as client:
        yield client


@pytest.fixture
def busy(prepared: Any) -> Any:
    """Let the hub start over the prepared database; the digests of eta@1 and eta@2."""
    return prepared[1]


class Outline(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def check_sound(text: str) -> None:
    """No inline script or style, nothing from elsewhere, headers and landmarks in their place."""
    outline = Outline(text)
    assert [one.get("src") for one in outline.all("script")] == ["/assets/live.js"]
    assert not outline.all("style")
    for tag, attributes in outline.tags:
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes)
        for name in ("href", "src", "action"):
            target = attributes.get(name) or "/"
            assert target.startswith(("/", "#")) and not target.startswith("//"), (tag, target)
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(outline.all(landmark)) == 1, landmark
    assert all(one.get("scope") in {"col", "row"} for one in outline.all("th"))
    ids = {one["id"] for _, one in outline.tags if "id" in one}
    assert all(one["aria-labelledby"] in ids for one in outline.all("section"))
    assert all(one.get("aria-label") for one in outline.all("svg"))


def test_an_empty_hub_says_what_to_do(http: httpx.Client) -> None:
    page = http.get("/")
    assert page.status_code == 200
    check_sound(page.text)
    for hint in ("gnomon hub place", "gnomon hub token", "gnomon hub rollout", "No alert"):
        assert hint in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_the_first_page_shows_it_all(http: httpx.Client, world: Any, busy: Any) -> None:
    started = http.post("/api/v1/rollouts", json={"model": "eta", "version": "2"})
    assert started.status_code == 201
    rollouts.run_once(world.database)
    text = http.get("/").text
    check_sound(text)
    for part in (
        "n3 alone: distance",
        "eta@1",
        "10 %",
        "What the gate says now: hold",
        "start rollout",
    ):
        assert part in text
    assert text.count("<svg") >= 4
    assert "2,400" in text  # 4 days of 3 nodes with 200 rows


def test_the_models_page(http: httpx.Client, busy: Any) -> None:
    text = http.get("/models/eta").text
    check_sound(text)
    assert busy[0][:12] in text and "Mean squared error" in text
    missing = http.get("/models/nothing")
    assert missing.status_code == 404
    check_sound(missing.text)


def test_what_others_wrote_stays_text(http: httpx.Client, world: Any, busy: Any) -> None:
    world.node(EVIL[:60], reason=EVIL, refused_generation=1, generation=1, facts={"engines": EVIL})
    with world.database.write() as connection:
        evil = alerts.Condition("eta", "source_moved", EVIL[:60], EVIL, "1", EVIL)
        alerts.raise_alert(connection, evil)
        connection.execute(
            insert(schema.refusal).values(
                node=EVIL[:60],
                digest=busy[0],
                model="eta",
                request_id=EVIL,
                at=1,
                field=EVIL,
                rule=EVIL,
                value=EVIL,
                expected=EVIL,
            )
        )
        connection.execute(
            schema.drift.update().where(schema.drift.c.field == "hour").values(field=EVIL)
        )
    for path in ("/", "/models/eta"):
        text = http.get(path).text
        check_sound(text)
        assert "&lt;script&gt;alert(1)" in text


def test_an_alert_is_acknowledged_and_closed_on_the_page(http: httpx.Client, busy: Any) -> None:
    (alert,) = http.get("/api/v1/alerts", params={"model": "eta", "open_only": True}).json()
    assert "Acknowledge" in http.get("/").text
    answer = http.post(f"/alerts/{alert['id']}/acknowledge?model=eta")
    assert (answer.status_code, answer.headers["location"]) == (303, "/models/eta")
    assert "taken care of by <b>local</b>" in http.get("/").text
    answer = http.post(f"/alerts/{alert['id']}/close?model=//evil.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "No alert" in http.get("/").text
    (alert,) = http.get("/api/v1/alerts", params={"model": "eta"}).json()
    assert (alert["acknowledged_by"], alert["closed_at"] is None) == ("local", False)


def test_a_page_of_another_origin_can_do_nothing(http: httpx.Client, busy: Any) -> None:
    (alert,) = http.get("/api/v1/alerts").json()
    answer = http.post(
        f"/alerts/{alert['id']}/acknowledge", headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert http.get("/api/v1/alerts").json()[0]["acknowledged_by"] is None


def test_rollouts_by_rest(http: httpx.Client, world: Any, busy: Any) -> None:
    body = {"model": "eta", "version": "2", "steps": [200, 1000], "gates": {"minimum_labels": 5}}
    begun = http.post("/api/v1/rollouts", json=body).json()
    assert (begun["state"], begun["weight"], begun["steps"]) == ("pending", 0, [])
    assert begun["gate"]["decision"] == "advance"
    again = http.post("/api/v1/rollouts", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    rollouts.run_once(world.database)
    now = http.get(f"/api/v1/rollouts/{begun['id']}").json()
    assert (now["state"], now["weight"], now["steps"][0]["verdict"]) == ("running", 200, "open")
    assert {check["name"] for check in now["gate"]["checks"]} == {
        "predictions",
        "failed",
        "refused",
        "sources",
        "latency",
        "error",
    }
    ended = http.post(f"/api/v1/rollouts/{begun['id']}/abort", json={"reason": "wrong"}).json()
    assert (ended["state"], ended["reason"], ended["gate"]) == ("aborted", "wrong", None)
    assert http.get("/api/v1/rollouts", params={"model": "eta"}).json() == [ended]


def test_rollouts_steered_by_rest_and_page(http: httpx.Client, world: Any, busy: Any) -> None:
    body = {"model": "eta", "version": "2", "steps": [200, 500, 1000]}
    begun = http.post("/api/v1/rollouts", json=body).json()
    path = f"/api/v1/rollouts/{begun['id']}"
    rollouts.run_once(world.database)
    paused = http.post(f"{path}/pause", json={"reason": "<night>"}).json()
    assert paused["pause_reason"] == "by local: <night>"
    page = http.get("/").text
    assert "by local: &lt;night&gt;" in page
    assert "The gate still needs 100 more requests" in page
    for action in ("resume", "promote", "abort"):
        assert f'action="/rollouts/{begun["id"]}/{action}?model="' in page
    assert http.post(f"{path}/resume").json()["paused_at"] is None
    assert http.post(f"{path}/resume").status_code == 409
    moved = http.post(f"{path}/promote", json={"reason": "known"}).json()
    assert (moved["step"], moved["weight"]) == (1, 500)
    assert moved["needs"][0]["missing"] == 100
    evil = {"origin": "https://evil.example"}
    for action in ("pause", "promote"):
        url = f"/rollouts/{begun['id']}/{action}"
        assert http.post(url, headers=evil).status_code == 403
    assert http.post(f"/rollouts/{begun['id']}/explode").status_code == 422
    assert http.post(f"/rollouts/{begun['id']}/pause").status_code == 303
    assert http.get(path).json()["paused_at"] is not None
    http.post(f"{path}/abort")
    again = http.post(f"{path}/retry", json={"reason": "once more"})
    assert (again.status_code, again.json()["state"]) == (201, "pending")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "eta", "version": "9"}, 404, "eta@9"),
        ({"model": "eta", "version": "1"}, 409, "in service already"),
        ({"model": "eta", "version": "2", "steps": [500]}, 422, "steps"),
        ({"model": "eta", "version": "2", "gates": {"minimum_label": 3}}, 422, "minimum_label"),
        ({"model": "eta", "version": "2", "gates": {"confidence": 2}}, 422, "confidence"),
    ],
)
def test_a_wrong_rollout_is_refused_by_name(
    http: httpx.Client, busy: Any, body: dict[str, Any], status: int, said: str
) -> None:
    answer = http.post("/api/v1/rollouts", json=body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_drift_and_losses_by_rest(http: httpx.Client, busy: Any) -> None:
    drift = http.get(
        "/api/v1/models/eta/drift", params={"field": "distance", "source": "n3"}
    ).json()
    assert [one["rows"] for one in drift["intervals"]] == [200] * 4
    assert drift["intervals"][-1]["psi"] > 1.0 > drift["intervals"][0]["psi"]
    assert drift["status"]["judged_to"] == 4 * 86_400_000
    losses = http.get("/api/v1/models/eta/losses").json()
    assert [(one["version"], one["count"]) for one in losses] == [("1", 20)] * 4
    assert losses[0]["mean_error"] == pytest.approx(0.0, abs=1e-9)


def test_text_can_be_read_in_light_and_dark() -> None:
    """WCAG 2 AA: 4.5 to 1, for each text colour on each ground that it stands on."""
    sheet = files("gnomon.server.hub.web").joinpath("assets", "page.css").read_text()
    themes = [
        dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    ]
    assert len(themes) == 2
    pairs = [(ink, "card") for ink in ("ink", "faint", "accent", "bad", "warn", "good")]
    pairs += [("ink", "paper"), ("faint", "paper"), ("accent-ink", "accent"), ("card", "bad")]
    pairs += [(one, f"{one}-soft") for one in ("bad", "warn", "good")]
    pairs += [("ink", "bad-soft"), ("ink", "warn-soft")]
    for theme in themes:
        for ink, ground in pairs:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground, theme[ink])


def contrast(one: str, other: str) -> float:
    lights = sorted(luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [3.0, 1e9, 0.0], [1e-12, 2e-12]])
def test_a_chart_stays_on_its_paper(values: list[float]) -> None:
    line = ChartLine("a", [(index * 1_000, value) for index, value in enumerate(values)], "main")
    text = str(Chart("t", [line], "s").svg())
    numbers = [float(one) for one in re.findall(r'(?:points="| )(-?[\d.]+),', text)]
    heights = [float(one) for one in re.findall(r",(-?[\d.]+)", text)]
    assert all(0 <= x <= SMALL[0] for x in numbers)
    assert all(0 <= y <= SMALL[1] for y in heights)
    assert Chart("t", [ChartLine("a", [], "main")], "s").svg() == ""


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.browser
@pytest.mark.skipif(
    importlib.util.find_spec("playwright") is None or CHROMIUM is None,
    reason="needs playwright and a Chromium: pip install playwright, apt-get install chromium",
)
def test_in_a_browser_the_page_stays_current_and_keeps_the_place(
    hub: Hub, http: httpx.Client, world: Any, busy: Any
) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 500})
        page.set_default_timeout(20_000)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.clock.install()
        link = http.post("/api/v1/sign-in-links").json()["path"]
        page.goto(f"{hub.addresses.rest}{link}")
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#alerts")).to_be_visible()
        page.goto(f"{hub.addresses.rest}/models/eta")
        expect(page.locator("#alerts .alert.open")).to_have_count(1)
        page.locator("summary", has_text="What was in service when").click()
        page.locator("#alerts button", has_text="Close").focus()
        page.evaluate("window.scrollTo(0, 700)")
        place = page.evaluate("window.scrollY")
        with world.database.write() as connection:
            one = alerts.Condition("eta", "all_moved", "", "hour", "1", "all sources: hour moved")
            alerts.raise_alert(connection, one)
        page.clock.run_for(5_000)
        expect(page.locator("#alerts .alert.open")).to_have_count(2)
        expect(page.locator("#live")).to_have_text("live")
        assert page.locator("details[data-key=placements]").get_attribute("open") is not None
        assert page.evaluate("window.scrollY") >= place > 0
        # The same button has the focus, though another alert now stands above it.
        focus = "document.activeElement.closest('.alert').textContent"
        assert "n3 alone" in page.evaluate(focus)
        page.locator(".alert", has_text="hour moved").get_by_role(
            "button", name="Acknowledge"
        ).click()
        expect(page.locator(".alert.seen")).to_contain_text("taken care of by local")
        assert page.url.endswith("/models/eta")
        assert faults == []
        browser.close()
