"""A stored pair cube to a displacement cube: corrections are found in passes of small sums, then one job a shard.

To this process come sums, the pixels of the reference area, and where no reference is named a sample of the points and
of a first inversion what a reference is picked by, some numbers a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.inversion.blocks import flatten_block, prepare_block
from insar_dask.inversion.choosing import reject_pairs
from insar_dask.inversion.finding import pick_reference, typical_phase
from insar_dask.inversion.pairs import check_pairs, known_pairs, timeline
from insar_dask.inversion.reference import reference_offsets
from insar_dask.inversion.residuals import residual_rms
from insar_dask.inversion.surfaces import solve_surfaces, surface_of
from insar_dask.jobs.engine import Engine, StageReport
from insar_dask.jobs.lock import owned
from insar_dask.jobs.recipe import Stage, Step, state_reference
from insar_dask.store import open_group

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["invert_stored", "store_series"]

ROUGH = 5.0
"""Ground whose rough velocity [mm/yr] is below counts as stable."""


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
        Of `store_series`: ``kept``, ``closure``, ``reject``, ``reference``, ``window``, ``surface``, ``stable_below``
        and ``motion``; the others of `insar_dask.invert`.

    Returns
    -------
    str
        The group of the cube.

    Raises
    ------
    CubeError
        When there is no pair cube, or the reference area has no data.
    ValueError
        When ``kept`` is not places of pairs.
    JobError
        When ``PRODUCT/pairs`` is not whole.
    """
    with owned(path), Engine(path, client, quiet=quiet) as engine:
        return store_series(engine, product, **options).stage


def store_series(
    engine: Engine,
    product: str,
    *,
    kept: Sequence[int] | None = None,
    closure: bool = False,
    reference: tuple[int, int] | Literal["auto"] | None = None,
    window: int = 5,
    surface: Literal["plane", "quadratic", "height"] | None = None,
    stable_below: float = ROUGH,
    reject: bool = False,
    motion: dict[str, Any] | None = None,
    **options: Any,
) -> StageReport:
    """As `invert_stored`, where an engine works already.

    Parameters
    ----------
    engine : Engine
        Where tasks run.
    product : str
        Name of the product.
    kept : sequence of int, optional
        Places of the pairs that are used, such as ``choose_pairs(pairs).kept.nonzero()[0]``.
    closure : bool
        Correct whole cycles by loops.
    reference : (row, col) or "auto", optional
        Centre of the reference area; "auto" looks for one after a first inversion, `find_reference`.
    window : int
        Its pixels on a side.
    surface : {"plane", "quadratic", "height"}, optional
        Surfaces of the dates that are taken off, fitted on stable ground; needs ``reference``.
    stable_below : float
        Limit of the rough velocity of stable ground [mm/yr].
    reject : bool
        Leave out pairs whose residual after a first inversion is above three times the median, `reject_pairs`.
    motion : dict, optional
        Options of `insar_dask.inversion.joint.fit_motion`, whose results then go to ``PRODUCT/motion``.
    **options
        Of `insar_dask.invert`. With ``as_of`` later pairs have no say in corrections either.

    Returns
    -------
    StageReport
        Of the inversion; ``stage`` is the group of the cube.
    """
    group, target = f"{product}/pairs", f"{product}/raw"
    engine.require(group)
    pairs = check_pairs(open_group(engine.store, group))
    if surface is not None and reference is None:
        raise CubeError("surfaces are fitted on stable ground, and only a reference says what is: pass reference=")
    chosen = None if kept is None else _places(kept, pairs.sizes["pair"])
    if options.get("as_of") is not None:
        chosen, options = _known_then(pairs, chosen, options)
    if reject:
        chosen = _unrejected(engine, product, pairs, chosen, closure)
    if reference == "auto":
        reference = _found(engine, product, pairs, chosen, closure, window, stable_below)
    used = prepare_block(pairs, chosen)
    prepare = _prepared(engine, pairs, chosen, closure, reference, window)
    steps = [prepare]
    if surface is not None and reference is not None:
        steps.append(_flattened(engine, product, pairs, used, prepare, surface, stable_below, reference, window))
    if options.get("network") == "tree" and "tree_weights" not in options:
        options["tree_weights"] = _missing(engine, product, prepare)
    last = steps[-1].result
    steps.append(Step("invert", last, "raw", options))
    saves = {"raw": target}
    if motion is not None:
        steps.append(Step("fit_motion", last, "motion", motion))
        saves["motion"] = f"{product}/motion"
    report = engine.run(Stage(target, group, tuple(steps), saves))
    note = {"reference": reference and list(reference), "window": window, "surface": surface, "pairs": chosen}
    engine.ledger.write_note(f"inversion/{product}", note)
    return report


def _prepared(
    engine: Engine, pairs: xr.Dataset, kept: list[int] | None, closure: bool, reference: Any, window: int
) -> Step:
    """The first step: pairs chosen, cycles corrected, referred; offsets are found from the reference area alone."""
    params: dict[str, Any] = {"kept": kept, "closure": closure}
    if reference is not None:
        area = prepare_block(_around(pairs, reference, window), kept, closure)
        offsets = reference_offsets(area, *reference, window=window)
        params["state"] = state_reference(engine.ledger.write_state({"offsets": offsets}))
    return Step("prepare_pairs", "pairs", "referred", params)


def _rough(engine: Engine, pairs: xr.Dataset, kept: list[int] | None, closure: bool) -> Step:
    """The first step before there is a reference: the scene's median stands for one."""
    offsets = typical_phase(prepare_block(pairs, kept))
    state = state_reference(engine.ledger.write_state({"offsets": offsets}))
    return Step("prepare_pairs", "pairs", "referred", {"kept": kept, "closure": closure, "state": state})


def _unrejected(engine: Engine, product: str, pairs: xr.Dataset, kept: list[int] | None, closure: bool) -> list[int]:
    """Places of the pairs that one round of rejection leaves."""
    prepare, found = _rough(engine, pairs, kept, closure), f"jobs/partials/{product}/residuals"
    steps = prepare, Step("sum_residuals", prepare.result, "residuals")
    engine.run(Stage(f"{product}/residuals", f"{product}/pairs", steps, {"residuals": found}))
    choice = reject_pairs(prepare_block(pairs, kept), residual_rms(engine.partials(found)))
    places = range(pairs.sizes["pair"]) if kept is None else kept
    return [place for place, good in zip(places, choice.kept.tolist(), strict=True) if good]


def _found(
    engine: Engine, product: str, pairs: xr.Dataset, kept: list[int] | None, closure: bool, window: int, limit: float
) -> tuple[int, int]:
    """A reference area, from a first inversion of all points that is kept as ``PRODUCT/rough``."""
    prepare = _rough(engine, pairs, kept, closure)
    steps = (
        prepare,
        Step("invert", prepare.result, "rough", {"min_coherence": 0.0}),
        Step("fit_motion", prepare.result, "rough_motion", {"height_error": False}),
    )
    saves = {name: f"{product}/{name}" for name in ("rough", "rough_motion")}
    engine.run(Stage(f"{product}/rough", f"{product}/pairs", steps, saves))
    cube, motion = (open_group(engine.store, group) for group in saves.values())
    area = pick_reference(cube, motion["velocity"].values, window=window, stable_below=limit)
    return area.row, area.col


def _flattened(
    engine: Engine, product: str, pairs: xr.Dataset, used: xr.Dataset, prepare: Step, kind: Any, limit: float,
    reference: tuple[int, int], window: int,
) -> Step:  # fmt: skip
    """A pass that sums the surface on stable ground, and the step that takes it off and refers anew."""
    surface = surface_of(pairs, kind)
    found = f"jobs/partials/{product}/surface-sums"
    step = Step("sum_surfaces", prepare.result, "sums", {"surface": _plain(surface), "limit": limit})
    engine.run(Stage(f"{product}/surface-sums", f"{product}/pairs", (prepare, step), {"sums": found}))
    slopes = solve_surfaces(engine.partials(found), timeline(used))
    params = {name: value for name, value in prepare.params.items() if name != "state"}
    area = prepare_block(_around(pairs, reference, window), **params)
    before = engine.ledger.read_state(prepare.params["state"]["state"])["offsets"]
    nothing = {"slopes": slopes, "offsets": np.zeros(len(slopes))}
    offsets = reference_offsets(flatten_block(area, _plain(surface), nothing), *reference, window=window) - before
    state = state_reference(engine.ledger.write_state({"slopes": slopes, "offsets": offsets}))
    return Step("flatten_pairs", prepare.result, "flat", {"surface": _plain(surface), "state": state})


def _places(kept: Sequence[int], n_pairs: int) -> list[int]:
    """Places of pairs, each once; a mask of all pairs would be taken for the places 0 and 1."""
    places = np.asarray(kept)
    if places.dtype.kind not in "iu" or not places.size or np.unique(places).size < places.size:
        raise ValueError("kept takes places of pairs, each once, such as choose_pairs(pairs).kept.nonzero()[0]")
    if places.min() < 0 or places.max() >= n_pairs:
        raise ValueError(f"kept goes from {places.min()} to {places.max()}, wanted 0 to {n_pairs - 1}")
    return [int(place) for place in places]


def _known_then(
    pairs: xr.Dataset, chosen: list[int] | None, options: dict[str, Any]
) -> tuple[list[int] | None, dict[str, Any]]:
    """Pairs that were complete on the day ``as_of``, and options of those alone."""
    places = np.arange(pairs.sizes["pair"]) if chosen is None else np.array(chosen)
    known_pairs(pairs.isel(pair=places), options["as_of"])
    early = pairs["second"].values[places] <= np.datetime64(options["as_of"])
    if early.all():
        return chosen, options
    own = dict(options)
    if own.get("tree_weights") is not None:
        own["tree_weights"] = np.asarray(own["tree_weights"])[early].tolist()
    if own.get("covariance") is not None:
        own["covariance"] = np.asarray(own["covariance"])[early][:, early].tolist()
    return places[early].tolist(), own


def _missing(engine: Engine, product: str, prepare: Step) -> list[float]:
    """Share of the points that each pair lacks."""
    found = f"jobs/partials/{product}/missing"
    stage = f"{product}/missing", f"{product}/pairs", (prepare, Step("count_missing", prepare.result, "missing"))
    engine.run(Stage(*stage, {"missing": found}))
    parts = list(engine.partials(found))
    valid, points = (sum(part[name] for part in parts) for name in ("valid", "points"))
    return [float(share) for share in 1 - np.asarray(valid) / np.asarray(points)]


def _around(pairs: xr.Dataset, reference: tuple[int, int], window: int) -> xr.Dataset:
    """The pixels of the reference area."""
    near = (abs(pairs["row"].values - reference[0]) <= window) & (abs(pairs["col"].values - reference[1]) <= window)
    return pairs.isel(point=np.flatnonzero(near)).compute()


def _plain(surface: Any) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(surface).items()}
