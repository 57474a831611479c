"""The tables of maps put together from the scores of finished units and of the baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from insar_dask.map_metrics import MapScores

__all__ = ["LEADS", "SCORES", "assemble_maps"]

Result = Mapping[str, Any]

LEADS = (1, 5, 10)
"""Leads that the publication shows, in steps."""

SCORES = ("rmse", "mae", "r2", "ssim", "correlation")

EVENT = ("before", "across", "known")
"""Of origins about an event. Older units have others, whose last held one origin that had not known it: not shown."""


def assemble_maps(results: Iterable[Result]) -> dict[str, Any]:
    """Put the JSON of units, baselines and audits together.

    Parameters
    ----------
    results : iterable of dict
        What `tests/benchmarks/map_units.py` writes, in any order.

    Returns
    -------
    dict
        ``protocols``: by protocol ``data``, ``trained``, ``held``, ``buffer``, and ``methods``: of each its number of
        seeds and by tile every score with mean and spread (standard deviation over seeds, None of one) at the `LEADS`,
        the RMSE [mm] at each lead (``rmse_by_lead``), of all (``all``) and about an event; ``units``: what each network
        saw; ``audit``: findings by protocol.

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
        kept = {name: wanted[name] for name in ("trained", "held", "buffer")}
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
            units.append(_unit(result))
    for (protocol, name), seeds in runs.items():
        protocols[protocol].setdefault("methods", {})[name] = _summary(seeds)
    return {"protocols": dict(sorted(protocols.items())), "units": units, "audit": audit}


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
        found["event"] = {
            phase: _spread([MapScores.from_json(seed[tile][phase]).overall for seed in seeds])
            for phase in EVENT
            if all(phase in seed[tile] for seed in seeds)
        }
        tiles[tile] = found
    return {"n_seeds": len(seeds), "tiles": tiles}


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
    names = ("parameters", "windows", "steps", "epochs", "best_epoch", "still_falling", "cpu_seconds")
    bf16 = result["configuration"]["training"]["bf16"] and result["machine"].get("bfloat16", True)
    products = "bfloat16" if bf16 else "float32"
    return {"unit": result["unit"], "products": products} | {name: network[name] for name in names}
