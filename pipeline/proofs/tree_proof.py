"""Compares a file of trees with the library that trained it, before a package is made of it.

The library runs in a child process over hostile rows: at every split and beside it, with missing
and infinite values and zeros of both signs, as far as the library itself takes them. Raw scores
must be equal bit for bit. Answers after a link function may differ by a few units in the last
place, since libraries compute exponentials in several ways. CatBoost rounds some numbers of its own
JSON as it reads them, so that its raw scores may differ in the last place too.
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnomon.core.trees import TreeModel
from gnomon.core.trees.splits import hostile_rows, read_splits
from gnomon.pipeline.proofs import tree_oracle
from gnomon.runtime.errors import PackageError
from gnomon.runtime.packages.attesting import attest
from gnomon.runtime.packages.package import Package
from gnomon.runtime.packages.signing import PARITY_PREDICATE_TYPE, Signer
from gnomon.runtime.raw_models.trees.recognise import HEAD_BYTES, find_trainer

__all__ = ["TreeProof", "attest_proof", "compare_estimator", "compare_with_trainer", "prove_file"]

ROWS = 20_000
#: Libraries that take infinite numbers, and those that float32 cannot hold.
_TAKE_ANYTHING = ("CatBoost", "LightGBM", "ONNX Runtime")
#: For the library to start, and to answer so many rows in a second.
_SECONDS, _ROWS_A_SECOND = 300, 500
#: Of answers after a link function, relative to the answer.
TOLERANCE = 2e-15
_FLOAT_TOLERANCE = 2.5e-7
#: Of raw scores, of a model that CatBoost reads from JSON; zero for all others.
_JSON_TOLERANCE = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeProof:
    """What a comparison found; differences are absolute, of the rows where they are largest."""

    trainer: str
    version: str
    rows: int
    different_scores: int
    largest_score_difference: float
    largest_answer_difference: float
    worst_row: int
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return the proof in plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"compared with {self.trainer} {self.version} on {self.rows} rows: "
            f"{self.different_scores} raw scores differ, answers by at most "
            f"{self.largest_answer_difference:.3g} (row {self.worst_row}; {self.why})"
        )


def prove_file(
    model: Path, file: bytes, sample: NDArray[np.float64] | None = None
) -> TreeProof | None:
    """Compare a trainer's file, if it is one, with the file of trees that was made of it.

    None if it is no such file, or the trainer's library is not installed here. `sample` has rows
    of the training data, (rows, features), which are compared beside the hostile ones.

    Raises:
        PackageError: as `compare_with_trainer`.
    """
    with model.open("rb") as opened:
        trainer = find_trainer(opened.read(HEAD_BYTES))
    return None if trainer is None else compare_with_trainer(trainer, model, file, sample)


def compare_estimator(estimator: Any, file: bytes) -> TreeProof | None:
    """Compare an estimator of scikit-learn with the file of trees that was made of it.

    Raises:
        PackageError: as `compare_with_trainer`.
    """
    import joblib  # type: ignore[import-untyped]

    with TemporaryDirectory(prefix="gnomon-proof-") as folder:
        path = Path(folder) / "estimator.pkl"
        joblib.dump(estimator, path)
        return compare_with_trainer("scikit-learn", path, file)


def attest_proof(proof: TreeProof, package: Package, signer: Signer) -> Path:
    """Sign the proof and lay it among the package's attestations; return the file."""
    return attest(
        package.path,
        package.reference,
        package.digest,
        signer,
        kind="parity",
        predicate=proof.to_dict(),
        predicate_type=PARITY_PREDICATE_TYPE,
    )


def compare_with_trainer(
    trainer: str,
    model: Path,
    file: bytes,
    sample: NDArray[np.float64] | None = None,
    count: int = ROWS,
) -> TreeProof | None:
    """Run both over hostile rows and a sample; None if the library is not installed here.

    Args:
        trainer: a key of the oracles, such as "LightGBM".
        model: the trainer's own file.
        file: the file of trees that was made of it.
        sample: rows of the training data, of shape (rows, features).
        count: how many hostile rows to compare.

    Raises:
        PackageError: raw scores differ, answers differ by more than the tolerance, or the library
            fails.
    """
    library, _ = tree_oracle.ORACLES[trainer]
    if importlib.util.find_spec(library) is None:
        return None
    trees = TreeModel(file)
    is_exact = trainer in _TAKE_ANYTHING
    rows = hostile_rows(
        read_splits(file),
        trees.features,
        count,
        missing=trees.takes_missing,
        infinite=is_exact,
        beyond_float32=is_exact,
    )
    if sample is not None:
        rows = np.concatenate([rows, sample])
    version, scores, answers = _ask(trainer, model.resolve(), rows)
    ours = trees.scores(rows), trees.predict(rows)
    if trainer == "CatBoost":
        # Its own exponential is an approximation, so that raw scores alone are compared.
        ours = ours[0], ours[0]
    proof = _compare(trainer, version, ours, (scores, answers))
    allowed = _JSON_TOLERANCE if trainer == "CatBoost" and model.suffix == ".json" else 0.0
    _check(proof, ours[1], answers, scores=allowed, is_linked=trees.has_link)
    return proof


def _ask(
    trainer: str, model: Path, rows: NDArray[np.float64]
) -> tuple[str, NDArray[Any] | None, NDArray[Any]]:
    """Return the library's version, its raw scores or None, and its answers, of (rows, …)."""
    with TemporaryDirectory(prefix="gnomon-proof-") as name:
        folder = Path(name)
        places = {one: str(folder / f"{one}.npy") for one in ("rows", "scores", "answers")}
        np.save(places["rows"], rows)
        request = json.dumps({"trainer": trainer, "model": str(model), **places})
        try:
            done = subprocess.run(
                [sys.executable, str(Path(tree_oracle.__file__).resolve())],
                input=request,
                capture_output=True,
                text=True,
                cwd=folder,
                env=_environment(),
                timeout=_SECONDS + len(rows) / _ROWS_A_SECOND,
                check=False,
            )
            version = json.loads(done.stdout.strip().rpartition("\n")[2])["version"]
        except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
            last = "" if isinstance(error, subprocess.TimeoutExpired) else done.stderr.strip()
            raise PackageError(
                f"{model.name} could not be compared with {trainer}: "
                f"{last.rpartition(chr(10))[2][:300] or error}"
            ) from error
        scores = folder / "scores.npy"
        kept = np.load(scores) if scores.exists() else None
        return version, kept, np.load(folder / "answers.npy")


def _environment() -> dict[str, str]:
    """Return what the library may see of this process's variables: no secret, and one thread."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1"}


def _compare(
    trainer: str,
    version: str,
    ours: tuple[NDArray[np.float64], NDArray[np.float64]],
    theirs: tuple[NDArray[Any] | None, NDArray[Any]],
) -> TreeProof:
    """Return what differs; all arrays have the rows as their first axis, (rows, …)."""
    scores = ours[0] if theirs[0] is None else theirs[0].reshape(ours[0].shape)
    score_gap = _gap(ours[0], scores)
    answer_gap = _gap(ours[1], theirs[1].reshape(ours[1].shape))
    differ = int((score_gap > 0).sum())
    worst = int((score_gap if differ else answer_gap).max(axis=1).argmax())
    why = "equal" if not answer_gap.any() else "another exponential"
    if differ:
        why = "another walk, order of sums or reading of numbers"
    return TreeProof(
        trainer=trainer,
        version=version,
        rows=len(scores),
        different_scores=differ,
        largest_score_difference=float(score_gap.max(initial=0.0)),
        largest_answer_difference=float(answer_gap.max(initial=0.0)),
        worst_row=worst,
        why=why,
    )


def _gap(ours: NDArray[np.float64], theirs: NDArray[Any]) -> NDArray[np.float64]:
    """Return absolute differences, of shape (rows, …); one NaN alone is infinitely far."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(ours - theirs.astype(np.float64))
    gap[ours == theirs] = 0.0
    gap[np.isnan(ours) & np.isnan(theirs)] = 0.0
    return np.nan_to_num(gap, nan=np.inf)


def _check(
    proof: TreeProof,
    ours: NDArray[np.float64],
    theirs: NDArray[Any],
    *,
    scores: float,
    is_linked: bool,
) -> None:
    """Raise `PackageError` if a difference is above what is allowed.

    Args:
        proof: what was found.
        ours: answers of the trees, (rows, …).
        theirs: answers of the library, (rows, …).
        scores: how far raw scores may be apart.
        is_linked: whether answers are what a link function makes of raw scores.
    """
    relative = _FLOAT_TOLERANCE if theirs.dtype == np.float32 else TOLERANCE
    relative = max(relative if is_linked else 0.0, scores)
    far = _gap(ours, theirs.reshape(ours.shape)) > relative * np.maximum(np.abs(ours), 1.0)
    if proof.largest_score_difference > scores or far.any():
        raise PackageError(
            f"the trees answer otherwise than {proof.trainer}, so no package is made: {proof}; "
            f"largest difference of raw scores {proof.largest_score_difference:.3g}"
        )
