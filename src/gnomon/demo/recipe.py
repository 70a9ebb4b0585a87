"""Builds `eta`: a model of a flight's time in the air, in two formats.

Gradient boosted trees as ONNX for servers, and a small network as LiteRT for devices, over the same
fields and profile. It is an example of a build in Python.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnomon.core.contract import Contract
from gnomon.core.fields import Field, Kind, Policy, Rule
from gnomon.demo.replay import Replay
from gnomon.demo.schema import INPUTS, LABEL
from gnomon.demo.training import predict, train_network, train_trees
from gnomon.pipeline.build import ModelFile, PackageMetadata, build_package, record
from gnomon.pipeline.datasets.dataset import Dataset, Split
from gnomon.pipeline.metrics import regression_metrics
from gnomon.pipeline.profiles.profile import build_profile, derive_fields, with_outputs
from gnomon.runtime.errors import InvalidOutput
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.profile import Profile
from gnomon.runtime.packages.signing import Signer

NAME = "eta"
FORMATS = ("onnx", "tflite")

#: Ranges that January does not show: those of a summer, a storm or a schedule.
KNOWN: Mapping[str, Mapping[str, Any]] = {
    "distance": {"minimum": 0, "minimum_open": True, "maximum": 6000, "unit": "miles"},
    "hour": {
        "minimum": 0,
        "maximum": 23,
        "description": "scheduled hour of departure",
        "monitored": False,
    },
    # The month always advances; that is not drift.
    "month": {"minimum": 1, "maximum": 12, "monitored": False},
    "temp": {"minimum": -60, "maximum": 130, "nullable": True, "unit": "°F"},
    "wind_speed": {"minimum": 0, "maximum": 150, "nullable": True, "unit": "mph"},
    "visib": {"minimum": 0, "maximum": 10, "nullable": True, "unit": "miles"},
    "pressure": {"minimum": 870, "maximum": 1085, "nullable": True, "unit": "hPa"},
    "precip": {"minimum": 0, "maximum": 12, "nullable": True, "unit": "inches an hour"},
}
RULES = (
    Rule(
        name="perimeter",
        expression="origin != 'LGA' or distance <= 1620",
        policy=Policy.FLAG,
        message="LaGuardia's perimeter rule: no flight goes further than Denver, 1620 miles",
    ),
)
OUTPUTS = (Field(name=LABEL, kind=Kind.FLOAT32, minimum=0, maximum=1000, unit="minutes"),)
_GOLDEN_ROWS = 20
_CARD = """Minutes that a flight out of New York spends in the air, from what is known before it
departs. Trained on flights of 2013. Winds aloft change with the season: expect errors to grow when
the months of service differ from those of training."""


@dataclass(frozen=True, kw_only=True)
class DemoRecipe:
    """The days that train and test a version, and whether its labels are off by one row.

    Training takes days from `start`, testing from `test`, both end before the next date; in UTC.
    """

    version: str
    start: date
    test: date
    end: date
    shifted_labels: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """The manifest's record of it, in plain types."""
        return {
            "start": self.start.isoformat(),
            "test": self.test.isoformat(),
            "end": self.end.isoformat(),
            "shifted_labels": self.shifted_labels,
        }


RECIPES: Mapping[str, DemoRecipe] = {
    recipe.version: recipe
    for recipe in (
        DemoRecipe(
            version="1", start=date(2013, 1, 1), test=date(2013, 2, 21), end=date(2013, 3, 1)
        ),
        DemoRecipe(
            version="2", start=date(2013, 1, 1), test=date(2013, 5, 21), end=date(2013, 6, 1)
        ),
        # A mistake that no check of the package can detect: it reproduces its golden
        # samples and keeps its contract, but was trained on the labels of neighbouring rows.
        DemoRecipe(
            version="3",
            start=date(2013, 1, 1),
            test=date(2013, 6, 21),
            end=date(2013, 7, 1),
            shifted_labels=True,
        ),
    )
}


@dataclass(frozen=True)
class TrainedFlights:
    """A trained version of `eta`: its models by format, its data and its metrics."""

    recipe: DemoRecipe
    seed: int
    thin: int
    fingerprint: str
    split: Split
    models: Mapping[str, ModelFile]
    metrics: Mapping[str, Mapping[str, float]]

    def predict(self, format: str, dataset: Dataset) -> NDArray[np.float32]:
        """Return the predictions of a format in minutes, valid or not, one a row."""
        return predict(self.models[format], dataset)

    def build(self, folder: Path, signer: Signer) -> dict[str, Package]:
        """Write the packages as `folder/eta-<version>-<format>` and return them by format."""
        days = _days(self.split.train)
        predictions = {name: self.predict(name, self.split.train) for name in self.models}
        first, *others = self.models
        fields = self.models[first].packing.contract.fields
        profile = build_profile(
            self.split.train,
            fields,
            OUTPUTS,
            {LABEL: predictions[first]},
            rules=RULES,
            blocks=days,
        )
        profiles = {first: profile} | {
            name: with_outputs(profile, {LABEL: predictions[name]}, blocks=days) for name in others
        }
        return {name: self._build(name, profiles[name], folder, signer) for name in self.models}

    def _build(self, format: str, profile: Profile, folder: Path, signer: Signer) -> Package:
        return build_package(
            folder / f"{NAME}-{self.recipe.version}-{format}",
            NAME,
            self.recipe.version,
            model=self.models[format],
            profile=profile,
            golden_rows=self._golden_rows(),
            reproducibility=record(
                Path(__file__),
                self.split,
                dataset_fingerprint=self.fingerprint,
                parameters={"thin": self.thin, **self.recipe.parameters},
                seed=self.seed,
                test_metrics=self.metrics[format],
            ),
            signer=signer,
            about=PackageMetadata(owner="gnomon demo", licence="CC0-1.0", card=_CARD),
        )

    def _golden_rows(self) -> list[dict[str, Any]]:
        """Return flights spread over the test days, missing values among them."""
        flights = Replay.prepare(self.split.test, self.recipe.test, self.recipe.end, sources=1)
        step = max(1, len(flights.flights) // _GOLDEN_ROWS)
        return [row for _, _, row in flights.flights.take(slice(None, None, step)).rows()]


def train(flights: Dataset, version: str, *, seed: int = 0, size: str = "full") -> TrainedFlights:
    """Train version "1", "2" or "3" in both formats.

    `size="small"` takes one flight in eight, for tests.

    Args:
        flights: the data.
        version: "1", "2" or "3".
        seed: of the split and the training.
        size: "full", or "small" for one flight in eight.
    """
    recipe, thin = RECIPES[version], 8 if size == "small" else 1
    chosen = _between(flights, recipe.start, recipe.end, thin)
    split = chosen.split_by_time("at", _midnight(recipe.test))
    contract = Contract(
        derive_fields(split.train, INPUTS, overrides={**KNOWN, **_schedule(flights)}), RULES
    )
    labels = _labels(split.train, recipe)
    models = {
        "onnx": train_trees(contract, split.train, labels, seed),
        "tflite": train_network(contract, split.train, labels, seed),
    }
    metrics = {
        name: regression_metrics(
            _labels(split.test, recipe),
            predict(model, split.test),
            blocks=_days(split.test),
            seed=seed,
        )
        for name, model in models.items()
    }
    return TrainedFlights(recipe, seed, thin, chosen.fingerprint, split, models, metrics)


def find_negative_row(package: Package) -> dict[str, Any] | None:
    """Return a row that keeps the inputs' contract, but whose prediction is below zero.

    It starts from a golden row and moves as few fields as will do to an end of their range. None
    if there is no such row, as with trees: they cannot leave the range of their labels by far.
    """
    model = Model(package)
    try:
        rows = list(_stretched(package))
        for row in rows:
            try:
                model.predict_row(row)
            except InvalidOutput as error:
                if error.details[0]["value"] < 0:
                    return row
        return None
    finally:
        model.close()


def _stretched(package: Package) -> Iterator[dict[str, Any]]:
    """Yield golden rows with one field, then two, and so on, at an end of their range."""
    ends = {
        field.name: (field.minimum, field.maximum)
        for field in package.profile.inputs
        if field.kind.is_float and field.minimum is not None and not field.minimum_open
    }
    for count in range(1, len(ends) + 1):
        for names in combinations(ends, count):
            for values in product(*(ends[name] for name in names)):
                for row in package.golden.rows:
                    yield {**row, **dict(zip(names, values, strict=True))}


def _schedule(flights: Dataset) -> dict[str, dict[str, Any]]:
    """Return the carriers and airports of the year's schedule, known before it is flown."""
    return {
        name: {"allowed": tuple(sorted(pc.unique(flights.table[name]).to_pylist()))}
        for name in ("carrier", "origin", "dest")
    }


def _labels(dataset: Dataset, recipe: DemoRecipe) -> NDArray[np.float64]:
    labels = dataset.columns([LABEL])[LABEL].astype(np.float64)
    return np.roll(labels, 1) if recipe.shifted_labels else labels


def _days(dataset: Dataset) -> NDArray[np.int64]:
    return dataset.columns(["at"])["at"].astype("datetime64[D]").astype(np.int64)


def _between(flights: Dataset, start: date, end: date, thin: int) -> Dataset:
    days = _days(flights).astype("datetime64[D]")
    chosen = (days >= np.datetime64(start)) & (days < np.datetime64(end))
    return flights.where(chosen & (np.arange(len(flights)) % thin == 0))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
