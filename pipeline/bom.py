"""A package as a CycloneDX bill of materials: the model, its card, its data, its libraries."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from msgspec import UNSET

from gnomon.core.fields import Field
from gnomon.runtime.errors import ConfigurationError
from gnomon.runtime.extras import missing_extra
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.package import Package

__all__ = ["export_bom"]

_DATA = "data"


def export_bom(package: Package) -> bytes:
    """Return the package's ML-BOM as CycloneDX 1.6 JSON; the same package gives the same bytes.

    Raises:
        ConfigurationError: cyclonedx-python-lib is not installed.
    """
    try:
        from cyclonedx.model import HashAlgorithm, HashType
        from cyclonedx.model.bom import Bom
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output import make_outputter
        from cyclonedx.schema import OutputFormat, SchemaVersion
        from packageurl import PackageURL
    except ImportError as error:
        raise ConfigurationError(
            missing_extra("an ML-BOM", "cyclonedx-python-lib", "bom")
        ) from error
    manifest = package.manifest
    model = Component(
        name=manifest.name,
        version=manifest.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=manifest.reference,
        description=manifest.card or None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.digest)],
    )
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"gnomon:{package.digest}"))
    bom.metadata.component = model
    libraries = [
        Component(
            name=entry.name,
            version=entry.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"pypi:{entry.name}@{entry.version}",
            purl=PackageURL("pypi", None, entry.name, entry.version),
        )
        for entry in manifest.dependencies
    ]
    for library in libraries:
        bom.components.add(library)
    bom.register_dependency(model, libraries)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    return _complete(json.loads(text), package)


def _complete(document: dict[str, Any], package: Package) -> bytes:
    """Add what the library has no classes for: the model card, the data, licence and owner."""
    manifest = package.manifest
    # The time of the export is not part of the package.
    document["metadata"].pop("timestamp", None)
    component = document["metadata"]["component"]
    component["modelCard"] = _model_card(package)
    if manifest.owner:
        component["manufacturer"] = {"name": manifest.owner}
    if manifest.licence:
        component["licenses"] = [{"license": {"name": manifest.licence}}]
    component["properties"] = [
        {"name": f"gnomon:{name}", "value": value}
        for name, value in (
            ("format", manifest.format),
            ("risk_tier", manifest.risk_tier),
            ("code_version", manifest.reproducibility.code_version),
            ("code_clean", str(manifest.reproducibility.code_clean).lower()),
        )
    ]
    if manifest.reproducibility.dataset_fingerprint:
        document.setdefault("components", []).append(_data(manifest))
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _data(manifest: Manifest) -> dict[str, Any]:
    made_from = manifest.reproducibility
    return {
        "type": "data",
        "bom-ref": _DATA,
        "name": made_from.dataset_uri or "training data",
        "data": [{"type": "dataset", "name": made_from.dataset_uri or "training data"}],
        "properties": [{"name": "gnomon:fingerprint", "value": made_from.dataset_fingerprint}],
    }


def _model_card(package: Package) -> dict[str, Any]:
    manifest, profile = package.manifest, package.profile
    parameters: dict[str, Any] = {
        "inputs": [{"format": _format(field)} for field in profile.inputs],
        "outputs": [{"format": _format(field)} for field in profile.outputs],
    }
    if manifest.reproducibility.dataset_fingerprint:
        parameters["datasets"] = [{"ref": _DATA}]
    card: dict[str, Any] = {"modelParameters": parameters}
    metrics = list(_metrics(manifest))
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    if considerations := _considerations(manifest):
        card["considerations"] = considerations
    return card


def _format(field: Field) -> str:
    return f"{field.name}: {field.kind.value}{f' in {field.unit}' if field.unit else ''}"


def _metrics(manifest: Manifest) -> Iterator[dict[str, Any]]:
    made_from = manifest.reproducibility
    yield from _of_rows(made_from.test_metrics, "")
    if made_from.test_metrics_by_segment is not UNSET:
        for name, metrics in made_from.test_metrics_by_segment.items():
            yield from _of_rows(metrics, name)


def _of_rows(metrics: Mapping[str, float], segment: str) -> Iterator[dict[str, Any]]:
    for name, value in metrics.items():
        if name.endswith(("_low", "_high")):
            continue
        found: dict[str, Any] = {"type": name, "value": f"{value:.12g}"}
        if segment:
            found["slice"] = segment
        if f"{name}_low" in metrics and f"{name}_high" in metrics:
            found["confidenceInterval"] = {
                "lowerBound": f"{metrics[f'{name}_low']:.12g}",
                "upperBound": f"{metrics[f'{name}_high']:.12g}",
            }
        yield found


def _considerations(manifest: Manifest) -> dict[str, Any]:
    sections = manifest.card_sections
    if sections is UNSET:
        return {}
    found: dict[str, Any] = {
        "users": [sections.users],
        "useCases": [sections.uses],
        "technicalLimitations": [sections.limits],
        "performanceTradeoffs": [sections.tradeoffs],
    }
    found = {name: texts for name, texts in found.items() if texts[0]}
    if sections.ethics:
        found["ethicalConsiderations"] = [{"name": sections.ethics}]
    return found
