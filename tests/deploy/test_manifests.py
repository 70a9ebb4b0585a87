"""What is in deploy/ is valid by its own schemas, and says what the server's settings say."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from gnomon.server.serving.settings import ServeSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
#: The oldest and the newest release that the manifests are held against.
RELEASES = ("1.27", "1.34")


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")) if one]


def of_kind(kind: str) -> dict[str, Any]:
    (one,) = [one for one in documents("kubernetes/server.yaml") if one["kind"] == kind]
    return one


def pods() -> list[dict[str, Any]]:
    """Return the pods' specifications of Kubernetes and of KServe."""
    (runtime,) = documents("kserve/serving-runtime.yaml")
    return [of_kind("Deployment")["spec"]["template"]["spec"], runtime["spec"]]


def settings(container: dict[str, Any]) -> dict[str, str]:
    """Return the settings of a container, each of which must be one of the server's."""
    found = {
        one["name"].removeprefix("GNOMON_SERVE_").lower(): one["value"] for one in container["env"]
    }
    assert set(found) <= {field.name for field in dataclasses.fields(ServeSettings)}
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_takes_the_manifests(release: str) -> None:
    linter = pytest.importorskip("kubernetes_validate")
    for one in documents("kubernetes/server.yaml"):
        linter.validate(one, release, strict=True)


def test_the_linter_finds_what_is_wrong() -> None:
    linter = pytest.importorskip("kubernetes_validate")
    one = of_kind("Deployment")
    one["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["grpc"] = {"port": "many"}
    with pytest.raises(linter.ValidationError):
        linter.validate(one, RELEASES[-1], strict=True)


def test_the_parts_of_the_manifest_belong_together() -> None:
    deployment = of_kind("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("Service")["spec"]["selector"] == labels
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {one["name"] for one in container["ports"]}
    assert {one["targetPort"] for one in of_kind("Service")["spec"]["ports"]} == ports
    (rule,) = of_kind("NetworkPolicy")["spec"]["ingress"]
    assert {one["port"] for one in rule["ports"]} == ports


@pytest.mark.parametrize("pod", pods(), ids=["kubernetes", "kserve"])
def test_a_drain_is_not_cut_off(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    found = settings(container)
    notice, grace = float(found["notice_seconds"]), float(found["grace_seconds"])
    # Kubernetes' own default where none is said.
    assert pod.get("terminationGracePeriodSeconds", 30) >= notice + grace + 5
    readiness = container["readinessProbe"]
    assert notice >= 2 * readiness["periodSeconds"] * readiness["failureThreshold"]
    assert "grpc" in readiness
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


@pytest.mark.parametrize("pod", pods(), ids=["kubernetes", "kserve"])
def test_pods_have_no_rights_and_no_frontend_without_keys(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    own = {**pod.get("securityContext", {}), **container["securityContext"]}
    assert own["runAsNonRoot"]
    assert own["runAsUser"] > 0
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "memory" in container["resources"]["limits"]
    found = settings(container)
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    if found["host"] == "0.0.0.0":
        assert str(Path(found["keys_file"]).parent) in mounts
    assert set(mounts.values()) <= {one["name"] for one in pod["volumes"]} | {"packages"}
    assert (
        ServeSettings(
            host=found["host"], keys_file=Path(found["keys_file"]), certificate_file=None
        ).check_reach()
        is None
    )


def test_kserve_knows_the_runtime() -> None:
    (runtime,) = documents("kserve/serving-runtime.yaml")
    assert runtime["apiVersion"] == "serving.kserve.io/v1alpha1"
    assert runtime["kind"] == "ServingRuntime"
    spec = runtime["spec"]
    assert spec["protocolVersions"] == ["v2", "grpc-v2"]
    assert [one["name"] for one in spec["supportedModelFormats"]] == ["gnomon", "onnx", "tflite"]
    (container,) = spec["containers"]
    # The name under which KServe's controller looks for it, and where it puts the model.
    assert container["name"] == "kserve-container"
    assert container["args"] == ["serve", "/mnt/models"]
