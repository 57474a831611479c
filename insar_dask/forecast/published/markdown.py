"""The published tables as Markdown, as published and honest side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from insar_dask.forecast.published.cells import cell_number, cell_text, markdown_table
from insar_dask.forecast.published.protocols import STAGES
from insar_dask.forecast.published.scores import METRICS

__all__ = ["markdown"]

LETTERS = "ABCDEFGH"
MAIN = ("paper-sg11", "honest")
NETWORKS = ("spacetimeformer", "lstm", "transformer")

HEADINGS = {
    "rmse": "RMSE mm",
    "mae": "MAE mm",
    "mape_as_printed": "MAPE as printed (eq. 4, squared)",
    "mape": "MAPE %",
    "smape": "SMAPE %",
}

PATTERNED = ("rmse", "mae", "mape_as_printed", "smape")
"""Scores that the publication prints by pattern."""

TITLES = {
    "paper-sg11": "as published, SG (11, 2)",
    "paper-sg21": "as published, SG (21, 2)",
    "paper-sg31": "as published, SG (31, 3)",
    "honest": "honest",
}

SCORED = {
    "paper-sg11": "Train scores are of every tenth origin; those of validation and test are of every one.",
    "honest": "Train scores are of every tenth origin, validation scores of every fourth, test scores of every one.",
}
"""Origins that `insar_dask.forecast.published.protocols.Material.scored` counts."""

NO_TRAIN = (
    "Naive and other methods that take the whole history of a point before each origin have no train score: only those "
    "have one that are trained on windows. Methods of 48 dates are scored in training at the windows that have as many "
    "before them."
)
HONEST_ALONE = (
    "gaussian_process and kriging have no score as published: they live on the real dates, and on a grid that was "
    "filled and smoothed they would be something else. Nor has nlinear_24_filtered, which smooths what it reads itself."
)


def markdown(tables: Mapping[str, Any]) -> str:
    """All tables of `insar_dask.forecast.published.table.assemble`, one after the other."""
    settings = tables["settings"]
    parts = [
        "As published, scores are against smoothed values and LEAK the future; honest ones are against raw values at "
        "real acquisitions. The two are not comparable with each other, only methods within a column. "
        "`tables.json` has every score of every block by pattern and by lead.",
        _methods_table(settings, tables["units"]),
        *(_table_3(settings, setting) for setting in MAIN if setting in settings),
        *(_table_4(settings, setting, metric) for setting in MAIN if setting in settings for metric in PATTERNED),
        *(_scores_table(settings, setting) for setting in MAIN if setting in settings),
        *(_leads_table(settings, setting) for setting in MAIN if setting in settings),
        _components_table(settings),
        _maps_table(tables["maps"]),
        _audit_table(tables["audit"]),
        _units_table(tables["units"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _methods_table(settings: Mapping[str, Any], units: Sequence[Mapping[str, Any]]) -> str:
    """Test RMSE and MAE of all methods in all settings, and how networks came to theirs."""
    names = _methods(settings)
    head = ["method", *(f"{TITLES[one]}: RMSE" for one in settings), *(f"{TITLES[one]}: MAE" for one in settings)]
    rows = []
    for name in names:
        cells = [_score(settings[one], name, "test", metric) for metric in ("rmse", "mae") for one in settings]
        rows.append([_marked(settings, name), *cells])
    falling = "Falling: networks whose validation loss was still going down when their steps were spent."
    note = "\n\n".join(text for text in (falling, _steps_note(units), _products_note(units), HONEST_ALONE) if text)
    return markdown_table("All methods, test block, mm (mean ± deviation over seeds)", head, rows, note)


def _steps_note(units: Sequence[Mapping[str, Any]]) -> str:
    """Steps that the networks of a component took together, by kind of network."""
    parts = []
    for name, mine in _by_method(units).items():
        taken = _listed({unit["steps"] for unit in mine})
        most = _listed({f"{unit['networks']} x {unit['most_steps']:,}" for unit in mine})
        parts.append(f"{name} {taken} of {most}")
    return f"Steps taken for each component, of networks x most steps: {'; '.join(parts)}." if parts else ""


def _products_note(units: Sequence[Mapping[str, Any]]) -> str:
    """Seeds that were trained in bfloat16 and in float32, by kind of network."""
    seeds: dict[str, set[int]] = {}
    for name, mine in _by_method(units).items():
        for unit in mine:
            seeds.setdefault(f"{name} {unit['products']}", set()).add(unit["seed"])
    parts = [f"{what} for seed {_listed(found)}" for what, found in seeds.items()]
    return f"Products in training: {'; '.join(parts)}." if parts else ""


def _by_method(units: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found = {name: [unit for unit in units if unit["method"] == name] for name in NETWORKS}
    return {name: mine for name, mine in found.items() if mine}


def _listed(values: set[Any]) -> str:
    """Numbers or texts in their order, ``1,200`` or ``0 and 2``."""
    return " and ".join(f"{value:,}" if isinstance(value, int) else value for value in sorted(values))


def _table_3(settings: Mapping[str, Any], setting: str) -> str:
    """Of the Spacetimeformer, or what is best without it: every score by pattern and stage."""
    name = "spacetimeformer"
    if name not in settings[setting].get("methods", {}):
        return ""
    head = ["pattern", *(f"{stage}: {HEADINGS[metric]}" for stage in STAGES for metric in METRICS)]
    rows = []
    for at, letter in enumerate([*LETTERS, "all"]):
        pattern = None if letter == "all" else at
        cells = [_score(settings[setting], name, stage, metric, pattern) for stage in STAGES for metric in METRICS]
        rows.append([letter, *cells])
    title = f"Table 3, {TITLES[setting]}: Spacetimeformer by pattern and block"
    return markdown_table(title, head, rows, SCORED[setting])


def _table_4(settings: Mapping[str, Any], setting: str, metric: str) -> str:
    """A score of the test block by pattern, of all methods."""
    head = ["method", *LETTERS, "all"]
    rows = [
        [name, *(_score(settings[setting], name, "test", metric, at) for at in range(len(LETTERS))),
         _score(settings[setting], name, "test", metric)]
        for name in _methods({setting: settings[setting]})
    ]  # fmt: skip
    best = [min(rows, key=lambda row: cell_number(row[column]))[0] for column in range(1, len(head))]
    title = f"Table 4, {TITLES[setting]}: test {HEADINGS[metric]} by pattern"
    return markdown_table(title, head, [*rows, ["**best**", *best]])


def _scores_table(settings: Mapping[str, Any], setting: str) -> str:
    """Every score of all methods by block."""
    head = ["method", *(f"{stage}: {HEADINGS[metric]}" for stage in STAGES for metric in METRICS)]
    rows = [
        [name, *(_score(settings[setting], name, stage, metric) for stage in STAGES for metric in METRICS)]
        for name in _methods({setting: settings[setting]})
    ]
    return markdown_table(f"Every score by block, {TITLES[setting]}", head, rows, f"{SCORED[setting]} {NO_TRAIN}")


def _leads_table(settings: Mapping[str, Any], setting: str) -> str:
    methods = settings[setting].get("methods", {})
    rows = [
        [name, *(cell_text(lead["rmse"]) for lead in methods[name]["scores"]["test"]["leads"])]
        for name in _methods({setting: settings[setting]})
    ]
    head = ["method", *(f"{12 * lead} d" for lead in range(1, 7))]
    return markdown_table(f"Test RMSE by lead, {TITLES[setting]}, mm", head, rows)


def _components_table(settings: Mapping[str, Any]) -> str:
    """Test RMSE of each component against the component itself."""
    rows = []
    for setting, found in settings.items():
        for name, summary in found.get("components", {}).items():
            scores = [cell_text(summary["scores"][stage]["all"]["rmse"]) for stage in STAGES]
            rows.append([TITLES[setting], name, str(summary["n_seeds"]), *scores])
    head = ["setting", "component", "seeds", *STAGES]
    return markdown_table("RMSE of each component, mm", head, rows) if rows else ""


def _maps_table(maps: Sequence[Mapping[str, Any]]) -> str:
    """RMSE of all points at one origin, by pattern."""
    rows = [
        [one["family"], one["origin"], f"{one['points']:,}", *(cell_text(p["rmse"]) for p in one["patterns"]),
         cell_text(one["all"]["rmse"])]
        for one in maps
    ]  # fmt: skip
    head = ["map", "origin", "points", *LETTERS, "all"]
    return markdown_table("The whole map at one origin: RMSE by pattern, mm", head, rows) if rows else ""


def _audit_table(audit: Mapping[str, Any]) -> str:
    rows = [
        [TITLES[setting], finding["what"], "yes" if finding["leaks"] else "no", finding["says"]]
        for setting, findings in audit.items()
        for finding in findings
    ]
    return markdown_table("What saw the future", ["setting", "what", "leaks", "found"], rows) if rows else ""


def _units_table(units: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            unit["unit"], f"{unit['networks']} x {unit['parameters']:,}", f"{unit['steps']} of "
            f"{unit['networks'] * unit['most_steps']}", f"{unit['still_falling']}", f"{unit['cpu_seconds']:,}",
            f"{unit['sgemm_gflops']:.0f}", unit["products"], f"{unit['rmse']:.3f}",
        ]
        for unit in units
    ]  # fmt: skip
    about = ["networks x parameters", "steps", "still falling", "CPU s", "core, GFLOP/s", "products in"]
    head = ["unit", *about, "test RMSE mm"]
    note = "CPU s of a unit that a kill had cut in two are those since it went on."
    return markdown_table("Units finished", head, rows, note) if rows else ""


def _methods(settings: Mapping[str, Any]) -> list[str]:
    """Names of all methods, networks first, then as the baselines come."""
    names = {name: None for found in settings.values() for name in found.get("methods", {})}
    return [name for name in NETWORKS if name in names] + [name for name in names if name not in NETWORKS]


def _marked(settings: Mapping[str, Any], name: str) -> str:
    found = [one["methods"][name] for one in settings.values() if name in one.get("methods", {})]
    networks = sum(one.get("networks", 0) for one in found)
    return (
        f"{name} ({sum(one['still_falling'] for one in found if 'networks' in one)} of {networks} falling)"
        if networks
        else name
    )


def _score(setting: Mapping[str, Any], name: str, stage: str, metric: str, pattern: int | None = None) -> str:
    scores = setting.get("methods", {}).get(name, {}).get("scores", {}).get(stage)
    if scores is None:
        return "–"
    return cell_text((scores["all"] if pattern is None else scores["patterns"][pattern])[metric])
