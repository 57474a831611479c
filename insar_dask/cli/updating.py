"""The verb that goes on with a store: newer dates or a newer vintage, what changed, and what departs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insar_dask.cli.shared import SOURCES, Quiet, StorePath, called, settings_of

if TYPE_CHECKING:
    from insar_dask.updates import Updated


def update(
    store: StorePath,
    new: Annotated[list[str], typer.Argument(help=f"{SOURCES}; a store, or STORE/PRODUCT", metavar="NEW")],
    product: Annotated[str | None, typer.Option(help="what NEW goes on with; default: what looks the same way")] = None,
    how: Annotated[
        str, typer.Option("--as", help="auto; append: the same series with newer dates; vintage: all made anew")
    ] = "auto",
    within: Annotated[float, typer.Option(help="metres that a point may have moved between releases")] = 10.0,
    rate: Annotated[
        float | None, typer.Option(help="share of false ones among alarmed points; unset: as configured")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Go on with a store: put newer dates behind its products, or a newer vintage beside them, and raise alarms."""
    from insar_dask.jobs.areas.places import scenes_of
    from insar_dask.jobs.progress.status import existing_store
    from insar_dask.jobs.steps.alarm_jobs import Rule
    from insar_dask.pipeline import opened
    from insar_dask.updates import update_products

    config = settings_of(existing_store(store))
    told = config.alarms.model_dump()
    rule = Rule(**(told if rate is None else {**told, "rate": rate}))
    with opened(config, quiet=quiet) as bench:
        came = False
        for made in update_products(bench, new, product, how, within, rule):  # type: ignore[arg-type]
            typer.echo(_told(made, store))
            came |= made.verdict.kind != "nothing_new"
        if came and scenes_of(bench.engine.store):
            typer.echo(f"The moving areas of this vintage, under the names that they have: {called('areas', store)}")


def _told(made: Updated, store: str | Path) -> str:
    """What came, what was found, what was done again."""
    points = made.points
    lines = [
        f"{made.product} goes on with {made.before}: {made.verdict.text()}",
        f"{points['matched']:,} points are in both, by {points['matched_by']}; {points['new']:,} are new, "
        f"{points['gone']:,} gone" + (f", {points['moved']:,} have moved too far" if points["moved"] else ""),
        _alarm_line(made.alarms),
    ]
    if made.verdict.kind != "nothing_new":
        lines.append(_table(made.stages))
        lines.append(str(made.report) if made.report else f"{store}/{made.product}/raw")
    return "\n".join(lines)


def _alarm_line(alarms: dict[str, Any]) -> str:
    if "absent" in alarms:
        return f"no alarms: {alarms['absent']}"
    rule = alarms["rule"]
    left = f"; {len(alarms['not_judged'])} later dates lie beyond the forecast" if alarms["not_judged"] else ""
    return (
        f"{alarms['n_alarmed']:,} of {alarms['n_judged']:,} points are alarms, of which {100 * rule['rate']:.3g}% may "
        f"be false: they have left their forecast on each of the last {alarms['lasting']} of {len(alarms['dates'])} "
        f"dates{left}{'; more may be false, for the errors of inverted series LEAK' if alarms.get('seen') else ''}"
    )


def _table(stages: tuple[dict[str, Any], ...]) -> str:
    """Stages, shards made now and kept."""
    lines = [f"{'stage':<60} {'made now':>9} {'kept':>6}"]
    made = ((stage["stage"], stage["computed"], stage["shards"] - stage["computed"]) for stage in stages)
    return "\n".join(lines + [f"{name:<60} {now:>9} {kept:>6}" for name, now, kept in made])
