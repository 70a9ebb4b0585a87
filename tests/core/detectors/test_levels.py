"""Categories with many levels keep the promise of false alarms, and a change is still found."""

import numpy as np
import pytest

from gnomon.core.detectors import ChangeKind, FieldDetector
from gnomon.core.detectors.grouping import find_groups, split_counts
from gnomon.core.reference import FieldReference

WINDOWS_PER_FALSE_ALARM = 2_000

LAWS = {
    "equal": lambda levels: np.full(levels, 1.0),
    "zipf": lambda levels: 1.0 / np.arange(1, levels + 1),
    "geometric": lambda levels: np.exp(-np.arange(levels) / (levels / 10)),
}


def reference_of(counts):
    """Return the reference of a profile: the levels that its rows had."""
    known = np.flatnonzero(counts)
    names = tuple(f"level {index:04d}" for index in known)
    reference = FieldReference(
        "code", "category", categories=names, counts=(*counts[known].tolist(), 0, 0, 0)
    )
    return reference, known


def windows_of(drawn, known):
    """Return cell counts: known levels, unseen, missing, invalid."""
    unseen = drawn.sum(axis=1) - drawn[:, known].sum(axis=1)
    nothing = np.zeros((len(drawn), 2), dtype=np.int64)
    return np.column_stack([drawn[:, known], unseen, nothing]).astype(np.int64)


@pytest.mark.parametrize("law", sorted(LAWS))
@pytest.mark.parametrize("levels", [33, 200, 1_500])
@pytest.mark.parametrize(("known_rows", "rows"), [(1_000, 100), (10_000, 300)])
def test_no_change_of_many_levels_is_seldom_an_alarm(law, levels, known_rows, rows):
    shares = LAWS[law](levels)
    shares /= shares.sum()
    alarms, references, windows = 0, 8, 60
    for seed in range(references):
        generator = np.random.default_rng([seed, levels, rows])
        reference, known = reference_of(generator.multinomial(known_rows, shares))
        detector = FieldDetector(reference, windows_per_false_alarm=WINDOWS_PER_FALSE_ALARM)
        for counts in windows_of(generator.multinomial(rows, shares, size=windows), known):
            alarms += detector.update(counts) is not None
    # 0.24 are expected at most; a reference that lies far off alarms more than once.
    assert alarms <= 3


@pytest.mark.parametrize(("level", "share"), [(0, 0.30), (20, 0.04), (150, 0.04)])
def test_a_level_that_grows_is_found_and_named(level, share):
    shares = LAWS["zipf"](200)
    shares /= shares.sum()
    generator = np.random.default_rng(1)
    reference, known = reference_of(generator.multinomial(10_000, shares))
    moved = shares * (1 - share) / (1 - shares[level])
    moved[level] = share
    detector = FieldDetector(reference, windows_per_false_alarm=10_000)
    alarms = map(detector.update, windows_of(generator.multinomial(300, moved, size=8), known))
    alarm = next(alarm for alarm in alarms if alarm is not None)
    assert alarm.kind is ChangeKind.CELL
    assert alarm.distance > 0
    counts = split_counts(reference, 1.0)[1]
    (group,) = [one for one in find_groups(reference, counts, counts) if level in one.cells]
    assert f"level {level:04d}" in alarm.description or len(group.cells) > 1


def test_levels_that_training_never_saw_are_found():
    shares = LAWS["zipf"](200)
    shares /= shares.sum()
    generator = np.random.default_rng(2)
    reference, known = reference_of(generator.multinomial(10_000, shares))
    detector = FieldDetector(reference, windows_per_false_alarm=10_000)
    counts = windows_of(generator.multinomial(285, shares, size=3), known)
    counts[:, -3] += 15  # 5 % of the rows
    kinds = [alarm.kind for alarm in map(detector.update, counts) if alarm is not None]
    assert kinds and set(kinds) == {ChangeKind.UNSEEN}


def test_the_rows_that_choose_the_groups_are_not_those_that_are_compared():
    shares = LAWS["equal"](200) / 200
    counts = np.random.default_rng(3).multinomial(20_000, shares)
    reference, _ = reference_of(counts)
    choosing, compared = split_counts(reference, 1.0)
    assert np.array_equal(choosing + compared, np.array(reference.counts, dtype=float))
    groups = list(find_groups(reference, choosing, compared / compared.sum()))
    alone = [group.cells[0] for group in groups if len(group.cells) == 1][3:]
    # Those chosen have the most of the choosing rows, and an ordinary number of the others.
    assert choosing[alone].mean() > choosing[:200].mean() + 3
    assert compared[alone].mean() == pytest.approx(compared[:200].mean(), rel=0.06)


def test_a_field_of_few_levels_is_compared_whole():
    reference, _ = reference_of(np.array([500, 300, 7]))
    choosing, compared = split_counts(reference, 2.0)
    assert choosing.tolist() == compared.tolist() == [250.0, 150.0, 3.5, 0.0, 0.0, 0.0]


def test_the_only_row_of_a_level_counts_as_unseen():
    reference, _ = reference_of(np.array([500, 300, 1, 1]))
    assert split_counts(reference, 1.0)[1].tolist() == [500.0, 300.0, 0.0, 0.0, 2.0, 0.0, 0.0]
