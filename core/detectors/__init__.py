"""Sequential tests on cell counts, with a stated rate of false alarms."""

from gnomon.core.detectors.alarm import Alarm, Change
from gnomon.core.detectors.field import FieldDetector
from gnomon.core.detectors.fleet import FleetDetector, FleetVerdict
from gnomon.core.detectors.model import ModelDetector
from gnomon.core.detectors.pair import PairDetector
from gnomon.core.detectors.season import SeasonDetector
from gnomon.core.detectors.watch import StateMismatch, Watch

__all__ = [
    "Alarm",
    "Change",
    "FieldDetector",
    "FleetDetector",
    "FleetVerdict",
    "ModelDetector",
    "PairDetector",
    "SeasonDetector",
    "StateMismatch",
    "Watch",
]
