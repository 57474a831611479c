"""The verb that makes displacement of interferograms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from insar_dask.cli.shared import Quiet, StorePath, called, settings_of

INTERFEROGRAMS = "MintPy's ifgramStack.h5, or a folder or glob (in quotes) of GeoTIFF, GAMMA or ROI_PAC interferograms"


def invert(
    source: Annotated[list[str], typer.Argument(help=INTERFEROGRAMS, metavar="SOURCE")],
    store: StorePath,
    coherence: Annotated[str | None, typer.Option(help="folder or glob of their coherence, in the same order")] = None,
    baselines: Annotated[str | None, typer.Option(help="CSV table first,second,bperp [m]")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="what else the files do not say, such as track=063, phase_sign=1"),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="ROW,COLUMN", help="pixel that stands still; or auto, none; default: auto")
    ] = None,
    place: Annotated[
        str | None, typer.Option(metavar="LON,LAT", help="what stands still, in degrees, instead of row and column")
    ] = None,
    max_days: Annotated[float | None, typer.Option(help="longest pair; default: 50")] = None,
    max_bperp: Annotated[float | None, typer.Option(help="largest baseline [m], inf: any; default: 100")] = None,
    min_coherence: Annotated[float | None, typer.Option(help="least mean coherence of an interferogram")] = None,
    surface: Annotated[str | None, typer.Option(help="plane, quadratic, height or none; default: plane")] = None,
    closure: Annotated[bool | None, typer.Option(help="correct whole cycles by loops; default: yes")] = None,
    reject: Annotated[bool | None, typer.Option(help="leave out what contradicts the others; default: yes")] = None,
    delays: Annotated[str | None, typer.Option(help="NetCDF of delays of the atmosphere [mm]")] = None,
    method: Annotated[str | None, typer.Option(help="sbas, nsbas, svd or laplacian; default: sbas")] = None,
    weights: Annotated[str | None, typer.Option(help="of sbas and nsbas: equal or coherence; default: equal")] = None,
    looks: Annotated[
        float | None, typer.Option(help="independent looks of the coherence that weighs; default: 1")
    ] = None,
    min_pairs: Annotated[int | None, typer.Option(help="least interferograms of a point; default: 10")] = None,
    bridge: Annotated[bool | None, typer.Option("--bridge", help="bridge the gaps of a network in parts")] = None,
    as_of: Annotated[str | None, typer.Option(metavar="DAY", help="the series as it was known on a day")] = None,
    quiet: Quiet = False,
) -> None:
    """Turn interferograms into displacement: read, choose, correct, refer, invert; what is done is not done again.

    Settings of the store for sources go on; all others are those said here, else their defaults.
    """
    from insar_dask.config import parse_config, parse_settings
    from insar_dask.outcomes import inversion_lines
    from insar_dask.pipeline import opened
    from insar_dask.sources import listed

    settings = settings_of(store)
    kept = settings.model_dump(exclude_unset=True)
    options = settings.source.options | _said({"coherence": coherence, "baselines": baselines})
    options |= parse_settings(option or [], "--option", "track=063")
    pairs = {
        "reference": None if reference is None else _pixel(reference), "place": _place(place),
        "max_days": max_days, "max_bperp": max_bperp,
        "min_coherence": min_coherence, "surface": surface, "closure": closure, "reject": reject, "delays": delays,
    }  # fmt: skip
    solving = {
        "method": method, "weights": weights, "looks": looks, "min_pairs": min_pairs, "as_of": as_of,
        "disconnected": "bridge" if bridge else None,
    }  # fmt: skip
    tables: dict[str, dict[str, Any]] = {
        "source": {"files": source, "options": options}, "pairs": _said(pairs), "inversion": _said(solving),
    }  # fmt: skip
    tables["source"] = kept.get("source", {}) | tables["source"]
    checked = parse_config({**kept, **tables}, "invert")
    wanted = settings.model_copy(update={name: getattr(checked, name) for name in tables})
    listed(wanted.source)  # before anything is made
    lasting = wanted.inversion.model_copy(update={"as_of": None})  # a look back is no setting of the store
    with _kept_if_done(store), opened(wanted.model_copy(update={"inversion": lasting}), quiet=quiet) as bench:
        for path in bench.sources():
            product = bench.ingest(path)
            bench.invert(path, product, as_of)
            typer.echo(
                "\n".join([f"{store}/{product}/raw", *(f"  {line}" for line in inversion_lines(bench, product))])
            )
    typer.echo(f"Their motion: {called('products', store)}; then areas, evaluate, report or explore")


@contextmanager
def _kept_if_done(store: str) -> Iterator[None]:
    """The settings of a store stay what they were where a call fails."""
    from insar_dask.objects import keep_text
    from insar_dask.pipeline import kept_config

    path = kept_config(store)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    try:
        yield
    except BaseException:
        if before is not None:
            keep_text(path, before)
        else:
            path.unlink(missing_ok=True)
        raise


def _said(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _place(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        longitude, latitude = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--place {text} is no LON,LAT") from None
    return [longitude, latitude]


def _pixel(text: str) -> str | list[int]:
    """``auto``, ``none`` or a row and a column."""
    if text in ("auto", "none"):
        return text
    try:
        row, column = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--reference {text} is no ROW,COLUMN, nor auto or none") from None
    return [row, column]
