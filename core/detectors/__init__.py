"""Sequential tests on cell counts, with a stated rate of false alarms."""

from gnomon.core.detectors.alarm import Alarm, Change
from gnomon.core.detectors.design import design_effect
from gnomon.core.detectors.field import FieldDetector, StateMismatch
from gnomon.core.detectors.fleet import FleetDetector, FleetVerdict

__all__ = [
    "Alarm",
    "Change",
    "FieldDetector",
    "FleetDetector",
    "FleetVerdict",
    "StateMismatch",
    "design_effect",
]
