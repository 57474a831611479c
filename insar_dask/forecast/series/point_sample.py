"""A sample of points that keeps neighbours together and shows rare kinds of motion: groups, drawn by their kind."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.forecast.groups import ABSENT
from insar_dask.forecast.series.framing import Framing
from insar_dask.forecast.series.point_source import Source
from insar_dask.forecast.series.resident import Blocks
from insar_dask.forecast.series.sampling import kinds_of_groups

__all__ = ["sample_points"]

Index = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

SURVEYED = 1024
"""Blocks that are looked at, spread over the source: a million points, about 10 s from a store."""


def sample_points(
    source: Source,
    framing: Framing,
    n_points: int,
    *,
    pattern: int | None = None,
    evenness: float = 0.5,
    seed: int = 0,
    surveyed: int = SURVEYED,
) -> Index:
    """Numbers of about ``n_points`` points of a source: whole groups of neighbours, drawn by their kinds of motion.

    A kind (pattern, |velocity| and seasonal amplitude over the training block, as `insar_dask.forecast.series.sampling`
    has them) that makes up a share p of the groups gets a share of the sample in proportion to p ** evenness, or all
    that there are of it, and the others the rest. Of a group only full ones are taken. The same numbers serve every
    component of a decomposition: `ArrayPoints.taken` reads them.

    Parameters
    ----------
    source : Source
        The series that motion is judged by, such as the displacement.
    framing : Framing
        Gives training block, length and reach of groups.
    n_points : int
        Size of the sample, rounded to whole groups.
    pattern : int, optional
        Take points of this pattern only.
    evenness : float
        1 as they occur, 0 all kinds alike.
    seed : int
    surveyed : int
        Blocks to look at, at most; memory does not grow with the source.

    Returns
    -------
    (m,) array of int64
        Increasing; fewer than ``n_points`` where there are no more.

    Raises
    ------
    CubeError
        When there is no full group.
    """
    wanted = max(round(n_points / framing.length), 1)
    blocks = Blocks.of(source, pattern)
    rng = np.random.default_rng(seed)
    pools: dict[int, tuple[Float64, Index]] = {}
    counts: dict[int, int] = {}
    for number in blocks.walk(0, min(surveyed, len(blocks.numbers))):
        block = blocks.load(framing, [int(number)])
        members = block.groups(framing).members
        full = members[np.not_equal(members[:, -1], ABSENT) & np.greater_equal(block.numbers[members[:, 0]], 0)]
        kinds = kinds_of_groups(block.kinds, full)
        for kind in np.unique(kinds).tolist():
            mine = block.numbers[full[kinds == kind]]
            counts[kind] = counts.get(kind, 0) + len(mine)
            pools[kind] = _kept(pools.get(kind), rng.random(len(mine)), mine, wanted)
    if not counts:
        raise CubeError(
            f"no {framing.length} neighbours within {framing.reach:g} m of each other have values in the training "
            "block: take shorter groups or a longer reach"
        )
    sizes = np.array([counts[kind] for kind in sorted(counts)])
    shares = _allotted(sizes, wanted, evenness)
    taken = [pools[kind][1][:share] for kind, share in zip(sorted(counts), shares.tolist(), strict=True)]
    return np.sort(np.concatenate(taken).ravel())


def _kept(pool: tuple[Float64, Index] | None, keys: Float64, members: Index, most: int) -> tuple[Float64, Index]:
    """The groups of lowest key, in its order: a random sample of all that came, whenever it is asked for."""
    if pool is not None:
        keys, members = np.concatenate([pool[0], keys]), np.concatenate([pool[1], members])
    order = np.argsort(keys, kind="stable")[:most]
    return keys[order], members[order]


def _allotted(sizes: Index, wanted: int, evenness: float) -> Index:
    """Groups of each kind: proportional to size ** evenness, none more than there are, in all as many as wanted."""
    wanted, exact = min(wanted, int(sizes.sum())), sizes.astype(np.float64)
    shares = exact**evenness
    full = np.zeros(len(sizes), bool)
    while not full.all():
        weights = np.where(full, 0.0, shares)
        exact = np.where(full, sizes, (wanted - int(sizes[full].sum())) * weights / weights.sum())
        if not (exact[~full] > sizes[~full]).any():
            break
        full |= exact > sizes
    # rounded once, at the end: what rounding leaves goes to those that lost most by it
    given = np.floor(exact).astype(np.int64)
    most = np.argsort(given - exact, kind="stable")
    given[most[: wanted - int(given.sum())]] += 1
    return given
