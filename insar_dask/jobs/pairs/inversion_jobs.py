"""A stored pair cube to a displacement cube: corrections are found in passes of small sums, then one job a shard.

To this process come sums, the pixels of the reference area, a sample of the points and, where no reference is named,
some numbers a point of a first inversion by which one is picked.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from insar_dask.cube import CubeError
from insar_dask.inversion.blocks import flatten_block
from insar_dask.inversion.delays import scatter_ratio
from insar_dask.inversion.frost_weight import fit_weight_to
from insar_dask.inversion.pairs import check_pairs, timeline
from insar_dask.inversion.point_solvers import SOLVED
from insar_dask.inversion.reference import reference_offsets
from insar_dask.inversion.season import composite_index, until
from insar_dask.inversion.surfaces import surface_of
from insar_dask.jobs.engine import Engine, StageReport
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.pairs.choice import choose_stored, places_of, without_contradictions
from insar_dask.jobs.pairs.corrections import Corrections, delays_of
from insar_dask.jobs.pairs.passes import PairStack, plain
from insar_dask.jobs.recipe import Stage, Step
from insar_dask.store import open_group
from insar_kernels.network_closure import triplets

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["invert_stored", "store_series"]

NO_SERIES = SOLVED.index("too_few_pairs")
"""From this place of `SOLVED` on, a point has no series."""

Float64 = npt.NDArray[np.float64]


def invert_stored(
    path: str | Path, product: str, *, client: Client | None = None, quiet: bool = False, **options: Any
) -> str:
    """Invert the stored pair cube ``PRODUCT/pairs`` to the cube ``PRODUCT/raw``; what a killed call finished is kept.

    Parameters
    ----------
    path : str or Path
        The store; ``insar_dask.save(pairs, path, "PRODUCT/pairs")`` makes it.
    product : str
        Name of the product.
    client : distributed.Client, optional
        Where jobs run; default: in this process.
    quiet : bool
        No progress bars.
    **options
        Fields of `Corrections`; the others of `insar_dask.invert`. With ``as_of`` later pairs have no say in
        corrections either.

    Returns
    -------
    str
        The group of the cube.

    Raises
    ------
    CubeError
        When there is no pair cube, no pair is left, or the reference area has no data.
    ValueError
        When ``kept`` is not places of pairs.
    JobError
        When ``PRODUCT/pairs`` is not whole.
    """
    with owned(path), Engine(path, client, quiet=quiet) as engine:
        return store_series(engine, product, **options).stage


def store_series(engine: Engine, product: str, **options: Any) -> StageReport:
    """As `invert_stored`, where an engine works already; the report is that of the inversion."""
    names = {field.name for field in fields(Corrections)}
    wanted = Corrections(**{name: value for name, value in options.items() if name in names})
    solving = {name: value for name, value in options.items() if name not in names}
    group = f"{product}/pairs"
    engine.require(group)
    pairs = check_pairs(open_group(engine.store, group))
    delays = None if wanted.delays is None else delays_of(wanted.delays, pairs)
    given = None if wanted.kept is None else places_of(wanted.kept, pairs.sizes["pair"])
    note: dict[str, Any] = {"pairs_read": pairs.sizes["pair"], "as_of": solving.get("as_of")}
    whole = PairStack(engine, product, pairs, given, wanted.closure, delays, wanted.allow_missing)
    stack, solving = choose_stored(whole, wanted, solving, note)
    if delays is not None:
        note["scatter"] = _scatter(stack)
    typical = stack.typical() if wanted.reject or wanted.reference == "auto" else np.zeros(len(stack.places))
    if wanted.reject:
        before, stack = stack, without_contradictions(stack, typical, note)
        typical = typical[np.isin(before.places, stack.places)]
    steps, reference = _corrected(stack, wanted, typical, int(solving.get("min_pairs", 10)))
    if solving.get("network") == "tree" and "tree_weights" not in solving:
        solving["tree_weights"] = stack.missing(steps[0])
    motion = None if wanted.motion is None else dict(wanted.motion)
    if wanted.temperature is not None:
        index = _season(stack, steps, wanted, solving, note)
        if solving.get("method") == "nsbas":
            solving["index"] = index
        motion = None if motion is None else {**motion, "index": index}
    report = _run(stack, steps, solving, motion)
    _check_solved(engine, product)
    note |= {
        "pairs": stack.kept, "reference": reference and list(reference), "window": wanted.window,
        "surface": wanted.surface, "closure": wanted.closure, "method": solving.get("method", "sbas"),
        "delays": delays is not None, **_loops(stack),
    }  # fmt: skip
    engine.ledger.write_note(f"inversion/{product}", note)
    return report


def _run(
    stack: PairStack, steps: tuple[Step, ...], solving: Mapping[str, Any], motion: Mapping[str, Any] | None
) -> StageReport:
    """The stage that makes the cube, and the motion of the joint model where it is asked for."""
    last, target = steps[-1].result, f"{stack.product}/raw"
    made, saves = [Step("invert", last, "raw", solving)], {"raw": target}
    if motion is not None:
        made.append(Step("fit_motion", last, "motion", motion))
        saves["motion"] = f"{stack.product}/motion"
    return stack.engine.run(Stage(target, f"{stack.product}/pairs", (*steps, *made), saves))


def _corrected(
    stack: PairStack, wanted: Corrections, typical: Float64, min_pairs: int
) -> tuple[tuple[Step, ...], tuple[int, int] | None]:
    """Steps up to the inversion, and the reference; surfaces go off before a reference is looked for."""
    reference, window = wanted.reference, wanted.window
    if reference is None:
        return (stack.step(),), None
    before = typical if reference == "auto" else stack.offsets(reference, window)
    prepare, nothing = stack.step(before), np.zeros(len(before))
    if wanted.surface is None:
        if reference != "auto":
            return (prepare,), reference
        found = stack.reference((prepare,), window, wanted.stable_below, min_pairs)
        return (stack.step(stack.offsets(found, window)),), found
    surface = surface_of(stack.pairs, wanted.surface)
    slopes = stack.slopes(prepare, surface, wanted.stable_below)
    if reference == "auto":
        steps = prepare, stack.flat(prepare, surface, slopes, nothing)
        reference = stack.reference(steps, window, wanted.stable_below, min_pairs)
    area = flatten_block(stack.around(*reference, window), plain(surface), {"slopes": slopes, "offsets": nothing})
    offsets = reference_offsets(area, *reference, window=window) - before
    return (prepare, stack.flat(prepare, surface, slopes, offsets)), reference


def _scatter(stack: PairStack) -> float:
    """How much interferograms scatter with delays off, by that before; a warning where it is more."""
    after, before = stack.sampled(), replace(stack, delays=None).sampled("sample-before")
    ratio = scatter_ratio(*(np.concatenate([part["phase"] for part in parts]) for parts in (before, after)))
    if ratio > 1:
        warnings.warn(
            f"{stack.product}: with these delays interferograms scatter {ratio:.2f} times as much (median): is their "
            "sign, direction or place right?",
            stacklevel=2,
        )
    return ratio


def _season(
    stack: PairStack, steps: tuple[Step, ...], wanted: Corrections, solving: Mapping[str, Any], note: dict[str, Any]
) -> list[float]:
    """The index of frost and thaw at the dates; its weight by a first inversion where it is to be fitted."""
    dates, alpha = timeline(stack.used).dates, wanted.alpha
    if wanted.temperature is None:
        raise CubeError("an index of frost and thaw needs daily temperatures: pass temperature=")
    temperature = until(wanted.temperature, note["as_of"])
    if alpha == "fit":
        names = ("min_pairs", "min_coherence")
        rough = Step("invert", steps[-1].result, "rough", {name: solving[name] for name in names if name in solving})
        moments = stack.sums((*steps, rough, Step("sum_series", "rough", "moments")), "moments", coherence=True)
        alpha = fit_weight_to(temperature, dates, moments)
    index = composite_index(temperature, dates, alpha)
    note["alpha"] = index.attrs["alpha"]
    return [float(value) for value in index.values]


def _check_solved(engine: Engine, product: str) -> None:
    """Refuse a cube without a single series, and say why there is none."""
    solved = open_group(engine.store, f"{product}/raw")["solved"].values
    if (solved < NO_SERIES).any():
        return
    counts = {SOLVED[code]: int((solved == code).sum()) for code in np.unique(solved).tolist()}
    told = ", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in counts.items())
    raise CubeError(
        f"{product}: none of {solved.size:,} points has a series ({told}): lower min_pairs or min_coherence, or give "
        "interferograms that cover the same ground"
    )


def _loops(stack: PairStack) -> dict[str, int]:
    """Loops of three among the pairs, and pairs that are in none, whose cycles nobody can check."""
    line = timeline(stack.used)
    loops = triplets(line.first, line.second)
    return {"loops": len(loops), "unchecked": len(line.first) - np.unique(loops).size}
