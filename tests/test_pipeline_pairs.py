"""A whole run that starts from interferograms, and the verb that inverts them."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from typer.testing import CliRunner

import insar_dask as insar
from insar_dask.cli import app
from insar_dask.config import ConfigError, load_config, parse_config
from insar_dask.cube import CubeError
from insar_dask.jobs.progress.status import status_table
from insar_dask.outcomes import inversion_lines
from insar_dask.pipeline import opened
from insar_dask.planning import plan_run
from insar_dask.store import open_group
from insar_dask.synthetic import air_temperature, pair_cube
from tests.conftest import stored_bytes

ROWS, COLUMNS, DATES = 9, 11, 30
SCENE = {"velocity": 30.0, "season_size": 2.0, "height_error": 0.0, "atmosphere": 1.0, "decorrelation": 0.5}


def write_pairs(folder: Path, pairs: xr.Dataset, of: str = "phase") -> Path:
    """GeoTIFFs of a pair cube, named by their dates, and for phase the table of baselines beside the folder."""
    folder.mkdir()
    place = rasterio.Affine(40, 0, 5e5 - 20, 0, -40, 3.7e6 + 20)
    lines = ["first,second,bperp"]
    for k in range(pairs.sizes["pair"]):
        days = [str(pairs[end].values[k])[:10] for end in ("first", "second")]
        path = folder / f"{'_'.join(days).replace('-', '')}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=ROWS, width=COLUMNS, count=1, dtype="float32", nodata=-9999,
            crs="EPSG:32644", transform=place,
        ) as file:  # fmt: skip
            file.write(np.nan_to_num(pairs[of].values[:, k], nan=-9999).reshape(ROWS, COLUMNS), 1)
        lines.append(f"{days[0]},{days[1]},{float(pairs['bperp'][k]):.2f}")
    if of == "phase":
        (folder.parent / "baselines.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    pairs = pair_cube(ROWS, COLUMNS, DATES, longest=40, baseline=45.0, ramps=2.0, unwrapping=0.01, **SCENE)
    write_pairs(folder / "pairs", pairs)
    write_pairs(folder / "coherence", pairs, "coherence")
    (folder / "site.toml").write_text(
        f'[source]\nfiles = ["{folder}/pairs/*.tif"]\n[source.options]\ntrack = "63"\nwavelength = 0.05546576\n'
        f'orbit_direction = "descending"\nphase_sign = 1\nbaselines = "{folder}/baselines.csv"\n'
        f'coherence = "{folder}/coherence"\n[store]\npath = "{folder}/site.zarr"\n[pairs]\nreference = [1, 1]\n'
        "window = 3\n[cluster]\nworkers = 0\n"
    )
    return folder


def taken(site: Path) -> tuple[list[str], list[int]]:
    """Lines on the inversion, and how many shards of each stage were made."""
    with opened(load_config(site / "site.toml"), quiet=True) as bench:
        (source,) = bench.sources()
        product = bench.ingest(source)
        bench.invert(source, product)
        bench.prepare(product)
        return inversion_lines(bench, product), [report.computed for report in bench.engine.reports]


def test_interferograms_become_series_and_motion_once(site: Path) -> None:
    lines, made = taken(site)
    assert lines[0].endswith("interferograms inverted to 30 dates") and min(made) > 0
    assert lines[-1] == "zero: the median of 3 x 3 pixels around row 1, column 1"
    store = site / "site.zarr"
    cube = insar.open_cube(store)
    assert cube.attrs["sees_future"] == -1 and cube.attrs["product"] == "interferograms"
    velocity = insar.to_grid(open_group(store, "pairs/products"))["velocity"].values
    truth = pair_cube(ROWS, COLUMNS, DATES, longest=40, **SCENE)["true_velocity"].values.reshape(ROWS, COLUMNS)
    error = velocity - truth
    assert np.median(abs(error - np.median(error))) < 2
    before = stored_bytes(store)
    again, none = taken(site)
    assert again == lines and set(none) == {0} and stored_bytes(store) == before
    assert "pairs/raw" in status_table(store)


def test_points_that_begin_later_are_told_of(tmp_path: Path) -> None:
    pairs = pair_cube(ROWS, COLUMNS, DATES, longest=40, baseline=45.0, unwrapping=0.0, **SCENE)
    pairs["phase"].values[:20, pairs["first"].values < np.sort(np.unique(pairs["first"]))[8]] = np.nan
    write_pairs(tmp_path / "pairs", pairs)
    options = ("track=063", "wavelength=0.05546576", "orbit_direction=descending", "phase_sign=1")
    asked = "--reference", "none", "--surface", "none", "--max-bperp", "inf", "--min-pairs", "5"
    said = [word for option in options for word in ("--option", option)]
    shown = told("invert", tmp_path / "pairs" / "*.tif", tmp_path / "cube.zarr", *said, *asked)
    assert "20 of them have no value at the first date and count from a later one: east and up" in shown


def test_delays_and_a_season_of_frost_come_from_files(site: Path, tmp_path: Path) -> None:
    pairs = pair_cube(ROWS, COLUMNS, DATES)
    days = np.union1d(pairs["first"].values, pairs["second"].values)
    axes = {"time": days, "latitude": [33.3, 33.5], "longitude": [80.9, 81.1]}
    delays = xr.Dataset({"delay": (tuple(axes), np.full((30, 2, 2), 3.0), {"units": "mm", "direction": "los"})}, axes)
    delays["longitude"].attrs["units"] = "degrees_east"
    delays.to_netcdf(tmp_path / "era5.nc", engine="h5netcdf")
    weather = air_temperature("2016-01-01", 365 * 5)
    rows = [f"{str(day)[:10]},{value:.2f}" for day, value in zip(weather["day"].values, weather.values, strict=True)]
    (tmp_path / "air.csv").write_text("\n".join(["date,temperature", *rows]) + "\n")
    config = load_config(site / "site.toml").model_dump(exclude_unset=True)
    config["store"]["path"] = str(tmp_path / "own.zarr")
    config["pairs"] |= {"delays": str(tmp_path / "era5.nc"), "surface": "none", "reject": False}
    config["inversion"] = {"temperature": str(tmp_path / "air.csv"), "joint": True}
    with opened(parse_config(config), quiet=True) as bench:
        (source,) = bench.sources()
        bench.invert(source, bench.ingest(source))
        motion = bench.group("pairs", "motion")
        assert np.isfinite(motion["season"].values).mean() > 0.9 and motion["season"].attrs["units"] == "mm"
        note = bench.engine.ledger.read_note("inversion/pairs")
    # the same delay on all dates takes nothing off
    assert note["delays"] and note["scatter"] == 1 and 0 < note["alpha"] < 2


def test_plan_says_what_the_interferograms_take(site: Path) -> None:
    text = plan_run(load_config(site / "site.toml"))
    assert text.startswith("pairs: at most 99 points x 30 dates from ")
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith("  ")}
    assert rows["invert"][1] == "4"  # a median, rejection, surfaces, and what is stored
    assert float(rows["invert"][4]) > 0 and {"ingest", "prepare", "report"} <= set(rows)


def told(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["--cluster", "workers=0", *map(str, words), "--quiet"])
    assert done.exit_code == code, (done.output, done.exception)
    return done.output if code == 0 else f"{done.output}{done.exception}"


def test_verb_inverts_and_says_what_became_of_the_pairs(site: Path, tmp_path: Path) -> None:
    store = tmp_path / "cube.zarr"
    options = ("--option", "track=063", "--option", "wavelength=0.05546576", "--option", "orbit_direction=descending")
    source = site / "pairs" / "*.tif", store, *options, "--option", "phase_sign=1"
    asked = "--reference", "2,2", "--max-bperp", "inf", "--surface", "none", "--min-pairs", "5"
    assert "invert`: --option phase_sign=..." in told("invert", *source[:-2], *asked, code=1)
    lacking = " ".join(f"--option {name}=..." for name in ("track", "orbit_direction", "wavelength", "phase_sign"))
    assert f"invert`: {lacking}" in told("invert", *source[:2], code=1)  # all at once
    shown = told("invert", *source, *asked).splitlines()
    assert shown[0] == f"{store}/pairs/raw" and "99 of 99 points have a series" in shown[2]
    assert told("invert", *source, *asked).splitlines() == shown
    known = told("invert", *source, *asked, "--as-of", "2018-09-01")
    assert insar.open_cube(store)["time"].values[-1] <= np.datetime64("2018-09-01") and "series" in known
    told("products", store)
    assert told("invert", *source, *asked).splitlines() == shown  # a look back does not last
    chain = told("invert", *source, "--reference", "2,2", "--max-bperp", "inf", "--max-days", "12").splitlines()
    assert chain[1] == "  29 of 81 interferograms inverted to 30 dates" and "99 of 99 points" in chain[2]
    kept = store.with_name("cube-config.toml")
    weighed = "--weights", "coherence", "--looks", "9"
    assert "no coherence to weigh with" in told("invert", *source, *asked, *weighed, code=1)
    weighing = "--coherence", site / "coherence", "--baselines", site / "baselines.csv"
    assert told("invert", *source, *asked, *weighed, *weighing).splitlines()[0] == shown[0]
    before = kept.read_text()
    assert "no pair is left" in told("invert", *source[:2], "--max-days", "5", code=1)  # what sources are goes on
    assert kept.read_text() == before  # nor does what fails


@pytest.mark.parametrize("verb", ["invert", "ingest"])
def test_what_is_not_there_leaves_no_store_behind(verb: str, tmp_path: Path) -> None:
    assert "nothing is" in told(verb, tmp_path / "pairs", tmp_path / "cube.zarr", code=1)
    assert not list(tmp_path.iterdir())


def test_what_is_wrong_with_interferograms_is_said_with_its_cure(site: Path, tmp_path: Path) -> None:
    config = load_config(site / "site.toml").model_dump(exclude_unset=True)
    config["store"]["path"] = str(tmp_path / "bad.zarr")

    def run(**tables: dict[str, object]) -> None:
        wanted = parse_config({**config, **{name: config.get(name, {}) | own for name, own in tables.items()}})
        with opened(wanted, quiet=True) as bench:
            (source,) = bench.sources()
            bench.invert(source, bench.ingest(source))

    with pytest.raises(CubeError, match="named one by one, each a product: for one stack"):
        run(source={"files": sorted(map(str, (site / "pairs").glob("*.tif")))[:3]})
    for tables, message in (
        ({"pairs": {"max_days": 5.0}}, r"no pair is left of \d+.*widen the limits"),
        ({"pairs": {"reference": [400, 2]}}, r"row 400, column 2, lies outside the raster of 9 x 11"),
        ({"pairs": {"reference": "auto", "place": [13.0, 38.0]}}, "13 E, 38 N lies .* from the nearest pixel"),
        ({"inversion": {"min_pairs": 500}}, "min_pairs is 500"),
        ({"inversion": {"as_of": "2017-01-01"}}, "no pair ends by 2017-01-01"),
        ({"source": {"min_coherence": 0.4}}, r"set it under \[pairs\]"),
        ({"source": {"options": {"track": "63"}}}, r"(?s)pass orbit_direction=.*a line under \[source\]"),
    ):
        with pytest.raises((CubeError, ConfigError), match=message):
            run(**tables)
