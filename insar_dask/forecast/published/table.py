"""The published tables put together again from the scores of finished units and of the baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from insar_dask.forecast.published.scores import METRICS, by_lead, by_pattern, overall

__all__ = ["SETTINGS", "assemble"]

Result = Mapping[str, Any]

SETTINGS = ("paper-sg11", "paper-sg21", "paper-sg31", "honest")
"""Protocol and Savitzky-Golay window; the first is what the publication is taken to mean."""


def assemble(results: Iterable[Result]) -> dict[str, Any]:
    """Put the JSON of units, families and baselines together.

    Parameters
    ----------
    results : iterable of dict
        What `tests/benchmarks/published_units.py` writes, in any order: a unit has ``unit``, the sum of its three
        components ``scores`` alone, and baselines ``methods``; an audit ``findings``, a whole map its ``origin``.

    Returns
    -------
    dict
        ``settings``: by setting ``data``, ``methods`` and ``components``, each with mean and spread (standard deviation
        over seeds, None of one) of every score; ``units``: what each unit saw; ``maps``: scores of whole maps;
        ``audit``: findings by protocol.

    Raises
    ------
    ValueError
        When two results of one setting were made of different data, or two seeds of a network of other steps.
    """
    settings: dict[str, dict[str, Any]] = {}
    runs: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    units, maps, audit = [], [], {}
    for result in sorted(results, key=lambda one: str(one.get("unit", one["family"]))):
        setting, method = _names(str(result["family"]))
        if "findings" in result:
            audit[setting] = result["findings"]
            continue
        if "origin" in result:
            maps.append(_map(result))
            continue
        _same_data(settings.setdefault(setting, {"data": result["data"]}), result)
        if "methods" in result:
            for name, scores in result["methods"].items():
                runs[setting, "methods", name].append({"scores": scores})
        elif "unit" in result:
            part = str(result["configuration"]["component"])
            runs[setting, "components", f"{method} {part}"].append(result)
            units.append(_unit(result))
        else:
            runs[setting, "methods", method].append(result)
    for (setting, kind, name), found in runs.items():
        settings[setting].setdefault(kind, {})[name] = _summary(found)
    order = {name: settings[name] for name in SETTINGS if name in settings}
    _same_steps(units)
    _mark(order, units)
    return {"settings": order, "units": units, "maps": maps, "audit": audit}


def _names(family: str) -> tuple[str, str]:
    """Setting and method of ``paper-sg11-lstm-seed0`` or ``honest-baselines``."""
    setting = next(name for name in SETTINGS if family.startswith(name))
    return setting, family.removeprefix(f"{setting}-").split("-")[0]


def _same_data(setting: Mapping[str, Any], result: Result) -> None:
    if setting["data"] != result["data"]:
        raise ValueError(
            f"{result.get('unit', result['family'])} was scored on data {result['data']}, others of its setting on "
            f"{setting['data']}: remove the results of one of them and run its units again"
        )


def _same_steps(units: Sequence[Mapping[str, Any]]) -> None:
    """Seeds are averaged, and components added, of trainings of one length alone."""
    lengths: dict[str, Mapping[str, Any]] = {}
    for unit in units:
        first = lengths.setdefault(str(unit["family"]).rpartition("-seed")[0], unit)
        if first["most_steps"] != unit["most_steps"]:
            raise ValueError(
                f"{unit['unit']} had at most {unit['most_steps']} steps, {first['unit']} {first['most_steps']}: "
                "remove the results of one of them and run its units again with the steps of the other"
            )


def _summary(runs: Sequence[Result]) -> dict[str, Any]:
    """Mean and spread over seeds, by stage: of all points, by pattern and by lead."""
    stages: dict[str, Any] = {}
    for stage in runs[0]["scores"]:
        counted = [run["scores"][stage] for run in runs]
        patterns = zip(*(by_pattern(one) for one in counted), strict=True)
        leads = zip(*(by_lead(one) for one in counted), strict=True)
        stages[stage] = {
            "all": _spread([overall(one) for one in counted]),
            "patterns": [_spread(seeds) for seeds in patterns],
            "leads": [_spread(seeds) for seeds in leads],
        }
    return {"n_seeds": len(runs), "scores": stages}


def _spread(seeds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    out: dict[str, Any] = {"n": int(seeds[0]["n"])}
    for metric in METRICS:
        values = np.array([seed[metric] for seed in seeds])
        spread = _digits(values.std(ddof=1)) if len(values) > 1 else None
        out[metric] = {"mean": _digits(values.mean()), "spread": spread}
    return out


def _digits(value: Any) -> float | None:
    """Four digits; None for a score of no pair, which JSON has no number for."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _unit(result: Result) -> dict[str, Any]:
    """What a unit saw, in one row."""
    networks = result["networks"]
    before, after = result["machine"]["sgemm_gflops"]
    wanted = result["configuration"]["training"]["bf16"]
    quick = result["machine"].get("bfloat16", True)  # the first units were made where it is, and do not say so
    return {
        "unit": result["unit"],
        "family": result["family"],
        "method": _names(str(result["family"]))[1],
        "seed": int(str(result["family"]).rpartition("-seed")[2]),
        "networks": len(networks),
        "parameters": networks[0]["parameters"],
        "steps": sum(one["steps"] for one in networks),
        "most_steps": int(result["configuration"]["steps"]),
        "still_falling": sum(one["still_falling"] for one in networks),
        "cpu_seconds": round(sum(one["cpu_seconds"] for one in networks)),
        "seconds": round(sum(one["seconds"] for one in networks)),
        "sgemm_gflops": (before + after) / 2,
        "products": "bfloat16" if wanted and quick else "float32",
        "rmse": overall(result["scores"]["test"])["rmse"],
    }


def _map(result: Result) -> dict[str, Any]:
    """Scores of all points at one origin."""
    counted = result["scores"]["map"]
    found = {name: result[name] for name in ("family", "origin", "points")}
    return found | {"all": _spread([overall(counted)]), "patterns": [_spread([one]) for one in by_pattern(counted)]}


def _mark(settings: Mapping[str, dict[str, Any]], units: Sequence[Mapping[str, Any]]) -> None:
    """Tell of each method with networks how many of their curves were still falling."""
    for setting, found in settings.items():
        for method, summary in found.get("methods", {}).items():
            mine = [unit for unit in units if str(unit["family"]).startswith(f"{setting}-{method}-")]
            if mine:
                summary["still_falling"] = sum(unit["still_falling"] for unit in mine)
                summary["networks"] = sum(unit["networks"] for unit in mine)
