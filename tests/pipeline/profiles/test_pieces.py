"""One pass over pieces gives what reading everything gives, wherever the pieces are counted."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from gnomon.core.fields import Field, Kind
from gnomon.pipeline.datasets.column_facts import CATEGORIES
from gnomon.pipeline.datasets.dataset import Dataset
from gnomon.pipeline.datasets.fingerprint import DatasetError
from gnomon.pipeline.datasets.pieces import table_pieces
from gnomon.pipeline.profiles.notes import profile_notes
from gnomon.pipeline.profiles.pieces import profile_pieces
from gnomon.pipeline.profiles.profile import build_profile, derive_fields
from gnomon.pipeline.profiles.spread import in_processes, on_cluster
from gnomon.runtime.errors import ConfigurationError
from tests.support.recipes import deliveries

ROWS = 5000


@pytest.fixture(scope="module")
def data():
    table = deliveries(ROWS, 0, days=60)
    codes = [f"{'x' * (number % 7)}{number}" for number in range(ROWS)]
    heavy = pa.array(np.asarray(table.column("distance")) > 50)
    return Dataset(table.append_column("code", [codes]).append_column("heavy", heavy), "memory:")


@pytest.fixture(scope="module")
def pieces(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces")
    files = [folder / "a.parquet", folder / "b.parquet"]
    pa.parquet.write_table(data.table.slice(0, 2000), files[0], row_group_size=700)
    pa.parquet.write_table(data.table.slice(2000), files[1], row_group_size=900)
    return table_pieces(files)


def test_one_pass_gives_what_reading_everything_gives(data, pieces):
    fields, reference = profile_pieces(pieces, block="day")
    names = [field.name for field in fields]
    assert names == ["distance", "weight", "vehicle", "hour", "took", "code", "heavy"]
    assert fields == derive_fields(data, names)
    days = np.asarray(data.table.column("day").cast(pa.int32()))
    output = (Field(name="y", kind=Kind.FLOAT64),)
    whole = build_profile(data, fields, output, {"y": days}, blocks=days).input_reference
    assert reference.rows == ROWS
    assert reference.block_rows == whole.block_rows
    for one, other in zip(reference.fields, whole.fields, strict=True):
        assert (one.kind, one.edges, one.categories) == (other.kind, other.edges, other.categories)
        assert one.counts == other.counts
        assert (one.minimum, one.maximum) == (other.minimum, other.maximum)
        assert one.mean == pytest.approx(other.mean, rel=1e-4, abs=1e-6)
        assert one.design_effect == pytest.approx(other.design_effect, rel=1e-6)
    found = {(one.first, one.second): one for one in reference.pairs}
    for other in whole.pairs:
        one = found[other.first, other.second]
        assert one.counts == other.counts
        # Values equal to the median count in part for both sides, which few counts cannot tell.
        if not {one.first, one.second} & {"hour", "heavy", "code", "vehicle"}:
            assert one.design_effect == pytest.approx(other.design_effect, rel=0.2)
        # Where a value is missing, a window leaves the row out; the other takes the mean for it.
        if not one.counts[2]:
            assert one.correlation == pytest.approx(other.correlation, abs=1e-3)


def test_a_sample_says_only_where_the_bins_lie(pieces, data, monkeypatch):
    monkeypatch.setattr("gnomon.pipeline.profiles.pieces._SAMPLE_ROWS", 200)
    fields, reference = profile_pieces(pieces, ["distance", "vehicle"])
    assert fields == derive_fields(data, ["distance", "vehicle"])
    distance, vehicle = reference.fields
    values = np.asarray(data.table.column("distance"))
    assert (distance.edges[0], distance.edges[-1]) == (values.min(), values.max())
    bins = np.histogram(values, distance.edges)[0]
    assert distance.counts == (0, *bins.tolist(), 0, 0, 0)
    assert sum(vehicle.counts) == ROWS


@pytest.mark.slow
def test_processes_and_a_cluster_give_the_same(pieces):
    distributed = pytest.importorskip("distributed")
    alone = profile_pieces(pieces, block="day")
    assert profile_pieces(pieces, block="day", run=in_processes(2)) == alone
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_port=0,
        dashboard_address=None,
        processes=False,
        protocol="tcp",
    ) as cluster:
        assert (
            profile_pieces(pieces, block="day", run=on_cluster(cluster.scheduler_address)) == alone
        )
    with pytest.raises(ConfigurationError, match="no Dask scheduler at 'nowhere'"):
        list(on_cluster("nowhere")(len, pieces))


@pytest.mark.parametrize(
    ("names", "block", "message"),
    [
        (["towns"], "", "no column 'towns'"),
        (["day"], "", "'day' is of type"),
        ([], "vehicle", "blocks are days or whole numbers"),
        ([], "week", "no column 'week'"),
    ],
)
def test_what_makes_no_field_is_refused(pieces, names, block, message):
    with pytest.raises(DatasetError, match=message):
        profile_pieces(pieces, names, block=block)


def test_texts_are_a_category_up_to_a_limit_whatever_the_pieces(tmp_path):
    for count, kind in ((CATEGORIES, "category"), (CATEGORIES + 1, "string")):
        texts = pa.table({"t": [f"t{number}" for number in range(count)] * 2})
        pa.parquet.write_table(texts, tmp_path / "t.parquet", row_group_size=300)
        ((field,), _) = profile_pieces(table_pieces([tmp_path / "t.parquet"]))
        assert field.kind.value == kind
        (tmp_path / "t.parquet").unlink()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (2**53 - 1, Kind.INT64),
        (2**53, Kind.FLOAT64),
        (-(2**53) - 1, Kind.FLOAT64),
        (2**63 - 2, Kind.FLOAT64),
    ],
)
def test_a_column_of_whole_numbers_that_may_be_rounded_makes_a_float_field(tmp_path, number, kind):
    table = pa.table({"id": [0, number], "count": [None, number]})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    fields, _ = profile_pieces(table_pieces([tmp_path / "a.parquet"]))
    assert [one.kind for one in fields] == [kind, kind]
    derived = derive_fields(Dataset(table, "memory:"), ["id", "count"])
    assert [one.kind for one in derived] == [kind, kind]


def test_columns_of_any_name_become_fields(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("mean radius,mean/radius,mean_radius,2nd\n1,2,3,4\n5,6,7,8\n")
    pieces = table_pieces([path])
    fields, reference = profile_pieces(pieces)
    assert [one.name for one in fields] == ["mean_radius_2", "mean_radius_3", "mean_radius", "_2nd"]
    assert [one.minimum for one in fields] == [0.0, 0.0, 1.0, 2.0]
    assert [one.name for one in reference.fields] == [one.name for one in fields]
    assert fields[0].description == "column 'mean radius'"
    (only,), _ = profile_pieces(pieces, ["mean/radius"])
    assert (only.name, only.maximum) == ("mean_radius_3", 8.0)
    assert "column 'mean radius' is the field mean_radius_2" in profile_notes(pieces, fields)


def test_what_is_left_out_or_mixed_is_said(tmp_path):
    table = pa.table(
        {
            "day": [date(2026, 1, 1)] * 4,
            "nothing": pa.nulls(4),
            "absent": pa.array([None] * 4, pa.float64()),
            "nan": [float("nan")] * 4,
            "mixed": ["1", "2.5", "3", "unknown"],
            "digits": ["001", "002", "003", "004"],
            "word": list("abcd"),
            "x": [1, 2, 3, 4],
        }
    )
    pa.parquet.write_table(table, tmp_path / "t.parquet")
    pieces = table_pieces([tmp_path / "t.parquet"])
    fields, reference = profile_pieces(pieces)
    kept = ["mixed", "digits", "word", "x"]
    assert [one.name for one in fields] == [one.name for one in reference.fields] == kept
    assert profile_notes(pieces, fields) == [
        "column 'day' is left out: it is of type date32[day]; a field holds numbers, texts or "
        "bools",
        "column 'nothing' is left out: it holds no value",
        "column 'absent' is left out: it holds no value",
        "column 'nan' is left out: it holds no value",
        "column 'mixed' is read as texts, but 75 % of its values look like numbers; others are "
        "'unknown'",
        "column 'digits' is read as texts, but 100 % of its values look like numbers",
    ]
    for name in ("nothing", "absent", "nan"):
        with pytest.raises(DatasetError, match=f"'{name}' holds no value .* say its kind"):
            profile_pieces(pieces, [name])
        given = {name: {"kind": "float64", "minimum": 0}}
        (field,) = derive_fields(Dataset(table, ""), [name], overrides=given)
        assert (field.nullable, field.missing_allowance, field.minimum) == (True, 1.0, 0)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), 1e308])
def test_a_column_without_a_range_is_named(value):
    with pytest.raises(DatasetError, match=r"column 'big' has .* below 1e300"):
        derive_fields(Dataset(pa.table({"big": [1.0, value]}), ""), ["big"])


def test_a_margin_does_not_widen_a_range_beyond_all_numbers():
    (field,) = derive_fields(Dataset(pa.table({"x": [-9e299, 9e299]}), ""), ["x"])
    assert (field.minimum, field.maximum) == (-9.9e299, 9.9e299)
