"""The tables of maps put together from the scores of finished units and of the baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from insar_dask.forecast.catalogue import MAPPED
from insar_dask.forecast.scores import difference_bounds
from insar_dask.map_metrics import MapScores

__all__ = ["LEADS", "SCORES", "assemble_maps", "network_of"]

Result = Mapping[str, Any]

LEADS = (1, 5, 10)
"""Leads that the publication shows, in steps."""

SCORES = ("rmse", "mae", "r2", "ssim", "correlation")

EVENT = ("before", "across", "known")
"""Of origins about an event."""

FOOTING = "harmonic_ridge"
"""What honest networks add to."""

GATED = " gated"
"""After the name of a network that is believed as far as a tile's validation origins bear it out."""


def assemble_maps(results: Iterable[Result]) -> dict[str, Any]:
    """Put the JSON of units, baselines and audits together.

    Parameters
    ----------
    results : iterable of dict
        What `tests/benchmarks/map_units.py` writes, in any order.

    Returns
    -------
    dict
        ``protocols``: by protocol ``data``, ``trained``, ``held``, ``buffer``, ``overlap``, and ``methods``: of each
        its number of seeds and by tile every score with mean and spread (standard deviation over seeds, None of one) at
        the `LEADS`, the RMSE [mm] at each lead (``rmse_by_lead``), of all (``all``) and about an event, there with the
        number ``n`` of cells scored; beside networks also ``skill`` by lead, the share of the mean square error of the
        best method without one that it takes off, and ``above_footing``, its RMSE less that of `FOOTING` [mm] with the
        bounds of 90 %; ``units``: what each network saw; ``audit``: findings by protocol.

    Raises
    ------
    ValueError
        When two results of one protocol were made of different data, or one is of no kind that there is.
    """
    protocols: dict[str, dict[str, Any]] = {}
    runs: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    units, audit = [], {}
    for result in sorted(results, key=_name):
        if "findings" in result:
            audit[str(result["audit"])] = result["findings"]
            continue
        wanted = result["configuration"]
        protocol = str(wanted["protocol"])
        kept = {name: wanted[name] for name in ("trained", "held", "buffer", "overlap")}
        found = protocols.setdefault(protocol, {"data": result["data"]} | kept)
        if found["data"] != result["data"]:
            raise ValueError(
                f"{_name(result)} was scored on data {result['data']}, others of its protocol on {found['data']}: "
                "remove the results of one of them and run its units again"
            )
        if "baselines" in result:
            for name, scores in result["methods"].items():
                runs[protocol, name].append(scores)
        else:
            runs[protocol, wanted["network"]].append(result["scores"])
            if "gated" in result:
                runs[protocol, wanted["network"] + GATED].append(result["gated"])
            units.append(_unit(result))
    for (protocol, name), seeds in runs.items():
        protocols[protocol].setdefault("methods", {})[name] = _summary(seeds)
    for protocol, found in protocols.items():
        _compare(found, {name: seeds for (of, name), seeds in runs.items() if of == protocol})
    return {"protocols": dict(sorted(protocols.items())), "units": units, "audit": audit}


def network_of(method: str) -> str:
    """The network that a row of a table is of, gated or not; empty where it is of none."""
    name = method.removesuffix(GATED)
    return name if name in MAPPED else ""


def _name(result: Result) -> str:
    for kind in ("unit", "baselines", "audit"):
        if kind in result:
            return f"{kind} {result[kind]}"
    raise ValueError(f"a result has none of unit, baselines and audit: its names are {', '.join(result)}")


def _summary(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every score of one method by tile, over its seeds."""
    tiles: dict[str, Any] = {}
    for tile in seeds[0]:
        scored = [MapScores.from_json(seed[tile]["test"]) for seed in seeds]
        found: dict[str, Any] = {
            score: [_spread([getattr(one, score)[lead - 1] for one in scored]) for lead in LEADS] for score in SCORES
        }
        found["rmse_by_lead"] = [_spread(list(lead)) for lead in zip(*(one.rmse for one in scored), strict=True)]
        found["all"] = _spread([one.overall for one in scored])
        about = {
            phase: [MapScores.from_json(seed[tile][phase]) for seed in seeds]
            for phase in EVENT
            if all(phase in seed[tile] for seed in seeds)
        }
        found["event"] = {
            phase: _spread([one.overall for one in scored]) | {"n": int(scored[0].n.sum())}
            for phase, scored in about.items()
        }
        tiles[tile] = found
    return {"n_seeds": len(seeds), "tiles": tiles}


def _compare(found: Mapping[str, Any], runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Add to the methods of one protocol what they are worth beside those without a network."""
    methods = found["methods"]
    naive = [of for name, of in methods.items() if not network_of(name)]
    for name in methods if 0 < len(naive) < len(methods) else ():
        for tile, of in methods[name]["tiles"].items():
            best = np.min([_leads(one["tiles"][tile]) for one in naive], axis=0)
            of["skill"] = [_digits(skill) for skill in 1 - (_leads(of) / best) ** 2]
            if FOOTING in runs and name != FOOTING:
                ours, footing = (
                    np.mean([seed[tile]["parts"] for seed in runs[one]], axis=0) for one in (name, FOOTING)
                )
                low, high = difference_bounds(ours, footing, found["overlap"])
                above = _rmse(ours) - _rmse(footing)
                of["above_footing"] = {"mean": _digits(above), "low": _digits(low), "high": _digits(high)}


def _leads(of: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    return np.array([lead["mean"] for lead in of["rmse_by_lead"]], np.float64)


def _rmse(sums: npt.NDArray[np.float64]) -> float:
    n, squares = sums.reshape(-1, 2).sum(axis=0)
    return float(np.sqrt(squares / n))


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    given = np.array(values, np.float64)
    deviation = given.std(ddof=1) if len(given) > 1 else np.nan
    return {"mean": _digits(given.mean()), "spread": _digits(deviation)}


def _digits(value: Any) -> float | None:
    """Four digits; None for what is no number, which JSON has none for."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _unit(result: Result) -> dict[str, Any]:
    """What a unit saw, in one row."""
    network = result["network"]
    names = (
        "parameters",
        "windows",
        "steps",
        "epochs",
        "best_epoch",
        "still_falling",
        "stopped_by",
        "cpu_seconds",
    )
    bf16 = result["configuration"]["training"]["bf16"] and result["machine"].get("bfloat16", True)
    products = "bfloat16" if bf16 else "float32"
    return {"unit": result["unit"], "products": products} | {name: network[name] for name in names}
