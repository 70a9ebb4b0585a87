"""Sequential tests on cell counts, with a stated rate of false alarms."""

from gnomon.core.detectors.alarm import Alarm, ChangeKind
from gnomon.core.detectors.discovery import discover
from gnomon.core.detectors.field import FieldDetector
from gnomon.core.detectors.fleet import FleetDetector
from gnomon.core.detectors.fleet_verdict import FleetVerdict
from gnomon.core.detectors.loss import LossDetector
from gnomon.core.detectors.model import ModelDetector
from gnomon.core.detectors.pair import PairDetector
from gnomon.core.detectors.performance import ConfidenceCalibration, EstimatedAccuracy
from gnomon.core.detectors.season import SeasonDetector
from gnomon.core.detectors.tilt_detector import StateMismatch

__all__ = [
    "Alarm",
    "ChangeKind",
    "ConfidenceCalibration",
    "EstimatedAccuracy",
    "FieldDetector",
    "FleetDetector",
    "FleetVerdict",
    "LossDetector",
    "ModelDetector",
    "PairDetector",
    "SeasonDetector",
    "StateMismatch",
    "discover",
]
