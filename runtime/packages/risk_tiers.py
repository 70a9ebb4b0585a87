"""Risk tiers: which ones a package may have without a recorded build."""

__all__ = ["HARMLESS_TIERS", "is_strict"]

#: Those for which a hub asks for no approval either, unless it is told otherwise.
HARMLESS_TIERS = ("minimal", "low", "limited", "medium")


def is_strict(risk_tier: str) -> bool:
    """Return whether a tier requires a recorded build: every tier that is not called harmless."""
    return bool(risk_tier) and risk_tier not in HARMLESS_TIERS
