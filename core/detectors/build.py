"""Choose and price the tilts that watch one field."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gnomon.core.detectors.alarm import ChangeKind
from gnomon.core.detectors.grouping import Group, find_groups, split_counts
from gnomon.core.detectors.tilts import (
    COARSE_STEPS,
    FEW,
    GROUP_PATIENCE,
    RATIOS,
    SHAPE_PATIENCE,
    SHIFTS,
    SPREADS,
    STEEPEST,
    STEPS,
    UNIT_DISTANCE,
    UNIT_MARGIN,
    UNIT_TWINS,
    Floats,
    Tilt,
    TiltSet,
    moved_shares,
    normal_cuts,
    normal_shares,
    posterior_shares,
    solve_step,
)
from gnomon.core.detectors.units import slips
from gnomon.core.reference import FieldReference

Price = tuple[float, float, float]  # linear, quadratic, reach: see `TiltSet`


@dataclass(slots=True)
class TiltSetBuilder:
    """Collects the tilts of one field before they are frozen to arrays."""

    tilts: list[Tilt] = field(default_factory=list)
    dense: list[Floats] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    theta: list[float] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)

    def add(
        self,
        tilt: Tilt,
        group: int,
        theta: float,
        price: Price,
        weight: float,
    ) -> None:
        """Add one tilt.

        Args:
            tilt: what it stands for.
            group: index of the group of cells that it looks at; 0 for a dense tilt.
            theta: score of a row in the group; 0 for a dense tilt.
            price: linear, quadratic and reach, see `TiltSet`.
            weight: share of the budget, before normalisation.
        """
        self.tilts.append(tilt)
        self.group.append(group)
        self.theta.append(theta)
        self.prices.append(price)
        self.weight.append(weight)


@dataclass(frozen=True, slots=True)
class PriceModel:
    """What prices have in common: effective rows of the reference, tolerance, log threshold."""

    rows: float
    tolerance: float
    threshold: float

    def tilt(self, shares: Floats, theta: Floats, patience: float) -> Price:
        """Price a tilt by the second-order rule."""
        steep = np.exp(theta)
        mean = float(shares @ steep)
        variance = max(float(shares @ steep**2) - mean**2, 0.0)
        moved = shares * steep / mean
        information = max(float(moved @ theta) - np.log(mean), 1e-12)
        return (
            float(np.log(mean + self.tolerance * np.sqrt(variance))),
            0.5 * float(np.log1p(variance / ((self.rows + 1) * mean**2))),
            patience * self.threshold / information,
        )

    def rare(self, share: float, theta: float) -> Price:
        """Price a tilt of a rare cell at the largest share that the reference leaves credible."""
        events = share * self.rows
        # A Gamma variable of this shape exceeds the bound with probability < exp(-threshold).
        credible = events + np.sqrt(2 * events * self.threshold) + self.threshold
        highest = credible / self.rows + self.tolerance * np.sqrt(share * (1 - share))
        return float(np.expm1(theta) * min(highest, 1.0)), 0.0, 0.0

    def burst(self, share: float) -> Price:
        """Describe a burst by the reference's posterior: events in rows."""
        share = share + self.tolerance * np.sqrt(share * (1 - share))
        return share * self.rows, self.rows, -1.0


def build_tilt_set(
    reference: FieldReference,
    *,
    tolerance: float,
    design_effect: float,
    threshold: float,
) -> TiltSet:
    """Build the tilts of one field.

    Args:
        reference: the field's reference.
        tolerance: χ distance below which a change does not matter, in σ.
        design_effect: effective rows of the reference are rows / design_effect.
        threshold: natural logarithm of the threshold that the evidence must reach.
    """
    choosing, counts = split_counts(reference, design_effect)
    shares = posterior_shares(counts, outside=reference.kind == "numeric")
    price_model = PriceModel(max(float(counts.sum()), 1.0), tolerance, threshold)
    builder = TiltSetBuilder()
    groups = list(find_groups(reference, choosing, shares))
    if reference.kind == "numeric" and reference.bins >= 2:
        _add_shapes(builder, reference, shares, price_model)
    for index, group in enumerate(groups):
        _add_group(builder, group, index, float(shares[list(group.cells)].sum()), price_model)
    return _freeze(builder, groups, shares)


def build_groups(
    counts: Floats, groups: Sequence[Group], *, tolerance: float, threshold: float
) -> TiltSet:
    """Build tilts of groups of cells only.

    Args:
        counts: effective counts of the reference, float64 of shape (cells,).
        groups: the cells that are watched as one.
        tolerance: χ distance below which a change does not matter, in σ.
        threshold: natural logarithm of the threshold that the evidence must reach.
    """
    shares = posterior_shares(counts, outside=False)
    price_model = PriceModel(max(float(counts.sum()), 1.0), tolerance, threshold)
    builder = TiltSetBuilder()
    for index, group in enumerate(groups):
        _add_group(builder, group, index, float(shares[list(group.cells)].sum()), price_model)
    return _freeze(builder, groups, shares)


def _add_shapes(
    builder: TiltSetBuilder, reference: FieldReference, shares: Floats, price_model: PriceModel
) -> None:
    last = reference.bins + 2
    present = shares[:last] / shares[:last].sum()
    cuts = normal_cuts(present)
    changes = [
        (Tilt(ChangeKind.LOCATION, sign * size), normal_shares(cuts, sign * size, 1.0), 0.3)
        for size in SHIFTS
        for sign in (1, -1)
    ]
    changes += [
        (Tilt(ChangeKind.SCALE, size), normal_shares(cuts, 0.0, size), 0.15)
        for ratio in SPREADS
        for size in (ratio, 1 / ratio)
    ]
    changes += _units(reference, present)
    number = {kind: sum(tilt.kind is kind for tilt, _, _ in changes) for kind in ChangeKind}
    for tilt, moved, budget in changes:
        theta = np.zeros(len(shares))
        ratio = np.log(np.maximum(moved, 1e-300) / present)
        theta[:last] = np.clip(ratio, -STEEPEST, STEEPEST)
        builder.dense.append(theta)
        builder.add(
            tilt,
            0,
            0.0,
            price_model.tilt(shares, theta, SHAPE_PATIENCE),
            budget / number[tilt.kind],
        )


def _units(reference: FieldReference, present: Floats) -> list[tuple[Tilt, Floats, float]]:
    """Return the plausible changes of unit that differ from none; those alike share one tilt."""
    found: list[tuple[list[str], float, Floats]] = []
    edges, candidates = np.asarray(reference.edges), slips(reference.unit)
    factors = np.array([slip.factor for slip in candidates])
    offsets = np.array([slip.offset for slip in candidates])
    shares = moved_shares(edges, present, factors, offsets)
    for slip, moved in zip(candidates, shares, strict=True):
        if _variation(moved, present) < UNIT_DISTANCE:
            continue
        twin = next((one for one in found if _variation(moved, one[2]) < UNIT_TWINS), None)
        if twin is None:
            found.append(([slip.label], slip.factor, moved))
        else:
            twin[0].append(slip.label)
    # A tenth stays unchanged: the edges know the reference only roughly.
    return [
        (Tilt(ChangeKind.UNIT, factor, " or ".join(labels)), 0.9 * moved + 0.1 * present, 0.05)
        for labels, factor, moved in found
    ]


def _variation(one: Floats, other: Floats) -> float:
    return 0.5 * float(np.abs(one - other).sum())


def _add_group(
    builder: TiltSetBuilder, group: Group, index: int, share: float, price_model: PriceModel
) -> None:
    entries: list[tuple[float, float, Price]] = []
    price_model = replace(price_model, rows=max(price_model.rows / group.effect, 1.0))
    if share * price_model.rows < FEW:
        entries.append((0.0, 3.0, price_model.burst(share)))
        entries += [(np.log(r), 1.0, price_model.rare(share, np.log(r))) for r in RATIOS]
    else:
        for step in STEPS if group.fine else COARSE_STEPS:
            theta = solve_step(share, step)
            if theta is not None:
                cells = np.array([share, 1 - share])
                entries.append(
                    (theta, 1.0, price_model.tilt(cells, np.array([theta, 0.0]), GROUP_PATIENCE))
                )
    total = sum(weight for _, weight, _ in entries)
    for theta, weight, price in entries:
        tilt = Tilt(group.kind, theta, group.label)
        builder.add(tilt, index, theta, price, group.budget * weight / total)


def _freeze(builder: TiltSetBuilder, groups: Sequence[Group], shares: Floats) -> TiltSet:
    cell_group: NDArray[np.int32] = np.full(len(shares), len(groups), dtype=np.int32)
    for index, group in enumerate(groups):
        cell_group[list(group.cells)] = index
    prices = np.ascontiguousarray(np.array(builder.prices).T)
    weight = np.array(builder.weight) / sum(builder.weight)
    margin = [UNIT_MARGIN * (tilt.kind is ChangeKind.UNIT) for tilt in builder.tilts]
    return TiltSet(
        tilts=tuple(builder.tilts),
        dense=np.array(builder.dense).reshape(len(builder.dense), len(shares)),
        cell_group=cell_group,
        group=np.array(builder.group, dtype=np.int32),
        theta=np.array(builder.theta),
        linear=prices[0],
        quadratic=prices[1],
        reach=prices[2],
        weight=weight,
        preference=np.log(weight) - np.array(margin),
        groups=len(groups),
        shares=shares,
    )
