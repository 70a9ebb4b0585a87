"""How a package draws itself in a notebook."""

from collections.abc import Sequence
from typing import Any

from gnomon.core.fields import Field
from gnomon.runtime.notebook import draw_facts, draw_table
from gnomon.runtime.packages.manifest import Manifest
from gnomon.runtime.packages.profile import Profile

__all__ = ["draw_package"]


def draw_package(manifest: Manifest, profile: Profile, digest: str, signers: Sequence[str]) -> str:
    """Return tables of what a package is, of its test metrics, and of its fields.

    Args:
        manifest: the package's.
        profile: the package's.
        digest: of the manifest.
        signers: the names of the trusted keys that signed it.
    """
    record = manifest.reproducibility
    facts = draw_facts(
        f"Package {manifest.reference}",
        [
            ("digest", digest),
            ("format", manifest.format),
            ("owner", manifest.owner),
            ("risk tier", manifest.risk_tier),
            ("signed by", ", ".join(signers) or "no key that was asked for"),
            ("data", record.dataset_uri),
            ("code", record.code_version + ("" if record.code_clean else " (changed)")),
        ],
    )
    metrics = sorted(record.test_metrics.items())
    if metrics:
        facts += draw_table("Test metrics", ("metric", "value"), metrics, len(metrics))
    fields = [*(("input", one) for one in profile.inputs)]
    fields += [("output", one) for one in profile.outputs]
    return facts + draw_table(
        "Fields",
        ("", "name", "kind", "allowed", "missing", "unit"),
        [_described(side, field) for side, field in fields],
        len(fields),
    )


def _described(side: str, field: Field) -> tuple[Any, ...]:
    allowed: Any = field.allowed or ""
    if field.minimum is not None or field.maximum is not None:
        low, high = ("" if end is None else f"{end:g}" for end in (field.minimum, field.maximum))
        allowed = f"{low} to {high}"
    missing = "yes" if field.nullable else "no"
    return side, field.name, field.kind.value, allowed, missing, field.unit or ""
