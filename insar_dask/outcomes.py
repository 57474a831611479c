"""What a run has to tell: page and exports beside the store, and a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

import numpy as np

from insar_dask.addresses import child_address
from insar_dask.cluster.numbering import numbered_by
from insar_dask.config import to_toml
from insar_dask.config.sections import Report
from insar_dask.cube import CubeError
from insar_dask.forecast.choices import MAP_STEPS
from insar_dask.jobs.forecasting.tile_prediction import hindcast_group, predict_group, predicted_group
from insar_dask.jobs.opening import open_tiles
from insar_dask.jobs.progress.watch import alone
from insar_dask.tiling.checking import shared_ground
from insar_dask.totals import component_shares
from insar_dask.workbench import Workbench
from insar_dask.zeros import SETTINGS, begin_later

if TYPE_CHECKING:
    from insar_dask.forecast import Forecaster
    from insar_dask.report.hindcasts import Hindcasts
    from insar_dask.report.outlooks import Departures

__all__ = [
    "Outcome",
    "foresee_maps",
    "inversion_lines",
    "map_outcome",
    "publish",
    "publish_index",
    "summary",
    "title_of",
]

SERIES = {"smooth": "smoothed", "regular": "regular"}
"""Stage that is taken apart -> what its series are called."""

DRAWING = BoundedSemaphore(2)
"""Pages that a campaign's products draw at a time: each takes this process 220 MB and more, and they all wait for one
lock of the interpreter, so that more at once take memory alone."""

OPTIONAL = {"patterns": "patterns", "parts": "parts", "variances": "parts"}
"""Group of a product that may not be there -> name of the reason why."""


@dataclass(frozen=True)
class Outcome:
    """What one product came to, and where it lies."""

    product: str
    store: Path | str
    report: Path
    summary: tuple[str, ...]


def publish(bench: Workbench, product: str) -> Path:
    """Write the page, its figures and the exports into a folder beside the store."""
    from insar_dask.report import write_geoparquet, write_geotiff

    folder = bench.folder / product
    folder.mkdir(parents=True, exist_ok=True)
    with DRAWING, alone(bench.engine, f"{product}/report"):
        motion = bench.group(product, "products").compute()
        files: dict[str, str | Path] = {"cube": bench.store}
        if bench.config.report.exports:
            told = _with_labels(bench, product, motion)
            files["map for GIS"] = write_geotiff(told, folder / "motion.tif", resolution=bench.config.report.resolution)
            files["points for GIS"] = write_geoparquet(_with_outlook(bench, product, told), folder / "motion.parquet")
            del told  # the page needs none of it
        return _write_page(bench, folder, product, motion, files)


def _with_labels(bench: Workbench, product: str, motion: Any) -> Any:
    """Motion parameters beside the displacement in all, and each point's pattern where there are patterns."""
    told = {"cumulative": bench.group(product, "cumulative")["cumulative"]}
    if "patterns" not in bench.reasons(product):
        told["cluster"] = bench.group(product, "patterns")["cluster"]
    return motion.assign({name: values.variable.compute() for name, values in told.items()})


def _with_outlook(bench: Workbench, product: str, motion: Any) -> Any:
    """Motion parameters beside what the Gaussian process says, at its last lead, where it was asked."""
    if "gaussian_process" not in bench.config.forecast.methods or not bench.scores(product)[0]:
        return motion
    last = bench.group(product, "outlook")[["velocity", "velocity_std", "exceedance"]].isel(lead=-1).compute()
    return motion.assign(
        {f"{name}_outlook": (values.dims, values.values, values.attrs) for name, values in last.items()}
    )


def _write_page(bench: Workbench, folder: Path, product: str, motion: Any, files: dict[str, str | Path]) -> Path:
    from insar_dask.report import write_report

    scores, _ = bench.scores(product)
    reasons = bench.reasons(product)
    series = SERIES[bench.config.decompose.source]
    inversion = bench.engine.ledger.read_note(f"inversion/{product}")
    found = [name for name, of in OPTIONAL.items() if of not in reasons]
    departures = departures_of(bench, product)
    if departures is not None:
        files |= departures.write(folder)
    likely = scores and "gaussian_process" in bench.config.forecast.methods
    return write_report(
        folder,
        raw=bench.group(product, "raw"),
        products=motion,
        regular=bench.group(product, "regular"),
        smooth=bench.group(product, "smooth"),
        cumulative=bench.group(product, "cumulative"),
        **{name: bench.group(product, name).assign_attrs(series=series) for name in found},
        pairs=None if inversion is None else bench.group(product, "pairs"),
        inversion=inversion,
        forecast=bench.group(product, "forecast") if scores else None,
        scores=scores,
        outlook=bench.group(product, "outlook") if likely else None,
        departures=departures,
        reasons=reasons,
        min_coherence=bench.config.report.min_coherence,
        ingest={k: v for k, v in bench.ingested(product).items() if k != "key"},
        timings=[report.to_dict() for report in bench.engine.reports if report.stage.startswith(f"{product}/")],
        config_text=to_toml(bench.config),
        title=title_of(bench, product),
        files=files,
    )


def title_of(bench: Workbench, product: str) -> str:
    """Title of a page: that of a scene that was made says so."""
    named = bench.config.source.files or bench.config.east_up.tracks or not bench.ingested(product)
    updated = bench.engine.ledger.read_note(f"updates/{product}") is not None
    made_up = not (named or updated or bench.group(product, "raw").attrs.get("product") == "east_up")
    title = bench.config.report.title
    if made_up and title == Report().title:
        title = "Synthetic scene"
    elif made_up and "synthetic" not in title.lower():
        title += " (synthetic)"
    return f"{title}: {product}"


def departures_of(bench: Workbench, product: str) -> Departures | None:
    """What new dates of a product came to, where it goes on with another one."""
    from insar_dask.report.outlooks import Departures

    ledger = bench.engine.ledger
    if (note := ledger.read_note(f"alarms/{product}")) is None:
        return None
    update = ledger.read_note(f"updates/{product}") or {}
    alarms = None if "absent" in note else bench.group(product, "alarms")
    return Departures(note, update, alarms)


def publish_index(folder: Path, outcomes: list[Outcome], title: str) -> None:
    """Write a page that leads to the reports, where there are several."""
    from insar_dask.report import write_index

    if len(outcomes) > 1:
        entries = [{"title": o.product, "path": o.report, "results": list(o.summary)} for o in outcomes]
        write_index(folder, entries, title=title)


def map_outcome(bench: Workbench) -> Outcome:
    """Tiles mapped, the forecaster of maps trained, all of them forecast; what of that was done is not done again."""
    from insar_dask.forecast import Forecaster

    maps, (context, horizon) = bench.config.maps, MAP_STEPS
    group, folder = bench.map_tiles(), bench.folder / f"tiles-{maps.method}"
    training = None if maps.steps is None else {"max_steps": maps.steps}
    wanted = Forecaster(maps.method, context=context, horizon=horizon, training=training)
    return foresee_maps(bench, group, bench.learn_maps(group, wanted, folder, maps.learn), folder)


def foresee_maps(bench: Workbench, group: str, model: Forecaster, folder: Path) -> Outcome:
    """Forecasts of all tiles by a forecaster of maps that a folder holds, and their page."""
    from insar_dask.report import write_map_report

    made = predict_group(bench.engine, model, group)
    tiles = open_tiles(bench.store, group)
    past, reason = _hindcasts(bench, group, model, list(map(str, tiles["tile"].values)))
    files = {
        "cube of maps": child_address(bench.store, group),
        "forecast": child_address(bench.store, predicted_group(group)),
        "forecaster": folder,
    }
    with alone(bench.engine, f"{group}/report"):
        page = write_map_report(
            bench.folder / group.replace("/", "-"),
            tiles=tiles,
            forecast=made,
            hindcasts=past,
            learned=model.data_["tiles"],
            reason=reason,
            timings=[one.to_dict() for one in bench.engine.reports if group.rpartition("/")[2] in one.stage],
            config_text=to_toml(bench.config),
            title=f"{bench.config.report.title}: maps",
            files=files,
        )
    return Outcome(group, bench.store, page, _map_lines(made, model, past, shared_ground(tiles, model.data_["tiles"])))


def _hindcasts(bench: Workbench, group: str, model: Forecaster, names: list[str]) -> tuple[Hindcasts | None, str]:
    """What had been said of the tiles, or why that is not known."""
    try:
        plan, found = hindcast_group(bench.engine, model, group)
    except CubeError as error:
        return None, str(error)
    from insar_dask.report.hindcasts import Hindcasts

    origins = np.array([plan.date(origin) for origin in plan.test]).astype("datetime64[D]")
    dates = plan.target_days(plan.test[-1]).astype("datetime64[D]")
    return Hindcasts(plan.methods, origins, dates, plan.every, dict(zip(names, found, strict=True))), ""


def _map_lines(made: Any, model: Forecaster, past: Hindcasts | None, seen: dict[str, str]) -> tuple[str, ...]:
    """What was forecast, and what the forecaster was worth where it learned and where it did not."""
    days = made["time"].values[0].astype("datetime64[D]")
    tiles = f"{made.sizes['tile']} {'tile' if made.sizes['tile'] == 1 else 'tiles'}"
    table = model.scores_.tables["honest"]
    errors = ", ".join(f"{name} {scores['rmse_all']:.2f}" for name, scores in table.items())
    lines = [
        f"{tiles} forecast by {model.method_} from {days[0]} to {days[-1]}",
        f"RMSE mm where it learned, at later dates: {errors}",
    ]
    others = {tile: past.scores(tile) for tile in past.tiles if seen[tile] != "learned from"} if past else {}
    for tile, by_method in others.items():
        found = ", ".join(f"{name} {scores.overall:.2f}" for name, scores in by_method.items())
        lines.append(f"RMSE mm on {tile}, {seen[tile]}: {found}")
    return tuple(lines)


def summary(bench: Workbench, product: str) -> tuple[str, ...]:
    """A few lines of result, after what a user has to know first."""
    from insar_dask.report.alarms import alarms

    ingested, velocity = bench.ingested(product), bench.group(product, "products")["velocity"].values
    read = f"{ingested['n_points']:,} points read, {ingested['n_rejected']:,} rows rejected"
    if bench.group(product, "raw").attrs.get("product") == "east_up":
        read = f"{ingested['n_points']:,} cells that both ways see"
    lines = [read + (f", see {ingested['rejected']}" if ingested["n_rejected"] else "")]
    if np.isfinite(velocity).any():
        low, middle, high = np.nanquantile(velocity, [0.05, 0.5, 0.95])
        lines.append(f"velocity {middle:+.1f} mm/yr in the middle, {low:+.1f} to {high:+.1f} for 90 % of the points")
    lines += [*inversion_lines(bench, product), *_pattern_lines(bench, product), _forecast_line(bench, product)]
    return (*(f"LOOK HERE: {alarm}" for alarm in alarms(velocity, ingested)), *lines)


def inversion_lines(bench: Workbench, product: str) -> list[str]:
    """What became of interferograms; nothing of a product that came as displacement."""
    note = bench.engine.ledger.read_note(f"inversion/{product}")
    if note is None:
        return []
    raw = bench.group(product, "raw")
    quality = raw["coherence"].values
    n_used = note["pairs_read"] if note["pairs"] is None else len(note["pairs"])
    lines = [f"{n_used} of {note['pairs_read']} interferograms inverted to {raw.sizes['time']} dates"]
    if note["parts"] > 1:
        lines.append(f"LOOK HERE: the network falls into {note['parts']} parts, and what is between them is bridged")
    if note.get("scatter", 0) > 1:
        lines.append(f"LOOK HERE: with their delays off interferograms scatter {note['scatter']:.2f} times as much")
    solved = np.isfinite(quality)
    lines.append(
        f"{solved.sum():,} of {solved.size:,} points have a series, median temporal coherence "
        f"{np.median(quality[solved]):.2f}"
    )
    if n_later := int(begin_later(raw).sum()):
        lines.append(
            f"{n_later:,} of them have no value at the first date and count from a later one: east and up, maps and "
            f"patterns leave them out ({SETTINGS})"
        )
    if note["reference"] is not None:
        (row, column), window = note["reference"], note["window"]
        lines.append(f"zero: the median of {window} x {window} pixels around row {row}, column {column}")
    return lines


def _pattern_lines(bench: Workbench, product: str) -> list[str]:
    """Patterns and shares of the components, or why there are none."""
    reasons, lines = bench.reasons(product), []
    if "patterns" in reasons:
        lines.append(reasons["patterns"])
    else:
        patterns = bench.group(product, "patterns")
        (name, unit, values), sizes = numbered_by(patterns), patterns["cluster_size"].values
        by = "" if name == "velocity" else f"{name} "
        lines.append(
            f"{len(sizes)} patterns from {by}{values[0]:+.1f} {unit} ({sizes[0]:,} points) "
            f"to {values[-1]:+.1f} ({sizes[-1]:,})"
        )
    if "parts" in reasons:
        lines.append(reasons["parts"])
    else:
        shares = component_shares(bench.group(product, "variances"))["share"].sel(group="all").values
        trend, season, residual = (f"{share:.0%}" for share in shares)
        series = SERIES[bench.config.decompose.source]
        lines.append(f"{trend} trend, {season} season, {residual} residual in the variance of the {series} series")
    return lines


def _forecast_line(bench: Workbench, product: str) -> str:
    scores, absent = bench.scores(product)
    if not scores:
        return f"no forecast: {absent}"
    best, table = scores["default"], scores["tables"]["honest"]
    return (
        f"forecast by {best}: RMSE {table[best]['rmse_all']:.2f} mm over {scores['horizon']} steps of "
        f"{scores['every_days']} days (persistence {table['persistence']['rmse_all']:.2f}); "
        f"{table[best]['coverage_all']:.0%} of what came lay in the {scores['level']:.0%} interval"
    )
