"""Model files are known by their ending or their content, and nothing else is taken for one."""

from pathlib import Path

import pytest

from gnomon.runtime.errors import ConfigurationError, PackageError
from gnomon.runtime.raw_models.finding import find
from gnomon.runtime.raw_models.model_file import is_model_file, read_model_file

LIGHTGBM = (
    b"tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\n"
    b"objective=regression\nfeature_names=a b\n\nTree=0\nnum_leaves=2\nnum_cat=0\n"
    b"split_feature=1\nthreshold=0.5\ndecision_type=2\nleft_child=-1\nright_child=-2\n"
    b"leaf_value=1 2\nis_linear=0\n\nend of trees\n"
)
XGBOOST = (
    b'{"learner":{"feature_names":[],"gradient_booster":{"name":"gbtree","model":{"trees":[{'
    b'"tree_param":{"num_nodes":"1"},"left_children":[-1],"right_children":[-1],'
    b'"split_indices":[0],"split_conditions":[0.25],"default_left":[0],"split_type":[0]}],'
    b'"tree_info":[0]}},"learner_model_param":{"base_score":"[5E-1]","num_class":"0",'
    b'"num_feature":"2"},"objective":{"name":"reg:squarederror"}},"version":[3,2,0]}'
)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("price.txt", LIGHTGBM, True),
        ("price.txt", LIGHTGBM.replace(b"\n", b"\r\n"), True),
        ("price.json", XGBOOST, True),
        ("price.model", XGBOOST, True),
        ("price.ubj", b"{L" + bytes(7) + b"\7learner{", True),
        ("price.onnx", b"", True),
        ("price.trees", b"", True),
        ("notes.txt", b"the tree\nversion=v4\n", False),
        ("manifest.json", b'{"gnomon": 1}', False),
        ("empty.txt", b"", False),
        ("price.csv", LIGHTGBM, False),
    ],
)
def test_a_file_is_known(tmp_path: Path, name: str, content: bytes, expected: bool) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_model_file(tmp_path / name) is expected


@pytest.mark.parametrize(("name", "content"), [("a.txt", LIGHTGBM), ("a.json", XGBOOST)])
def test_trees_of_a_trainer_become_a_file_of_trees(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    format, made = read_model_file(tmp_path / name)
    assert format == "trees"
    assert made.startswith(b"gnmtrees")
    assert [one.reference for one in find(tmp_path)] == ["a@1"]


def test_what_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    with pytest.raises(ConfigurationError, match=r"a\.txt is no model"):
        read_model_file(tmp_path / "a.txt")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_model_file(tmp_path / "b.txt")
    (tmp_path / "c.txt").write_bytes(LIGHTGBM.replace(b"leaf_value=1 2", b"leaf_value=1"))
    with pytest.raises(PackageError, match="leaf values"):
        read_model_file(tmp_path / "c.txt")
