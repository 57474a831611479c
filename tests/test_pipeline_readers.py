"""A whole run over sources of other formats than EGMS, as their configuration names them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import insar_dask as insar
from insar_dask.config import ConfigError, load_config, parse_config
from insar_dask.cube import CubeError
from insar_dask.planning import plan_run
from insar_dask.sources import listed
from tests.readers.mintpy_layout import write_plane, write_series
from tests.readers.test_recognise import tif

N_DATES, ROWS, COLUMNS = 120, 30, 40


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """1,200 pixels x 120 dates of 12 days: a bowl and noise, coherence beside it."""
    days = np.datetime64("2018-01-05") + 12 * np.arange(N_DATES)
    row, column = np.mgrid[:ROWS, :COLUMNS]
    bowl = -0.02 * np.exp(-((row - 15) ** 2 + (column - 20) ** 2) / 60)
    years = (days - days[0]).astype(float)[:, None, None] / 365
    noise = np.random.default_rng(1).normal(0, 0.002, (N_DATES, ROWS, COLUMNS))
    noise[0] = 0
    dates = np.char.replace(days.astype(str), "-", "").tolist()
    path = write_series(
        tmp_path / "geo_timeseries.h5", (bowl * years + noise).astype(np.float32), dates=dates,
        attributes={"REF_DATE": dates[0], "REF_Y": "0", "REF_X": "0"}, drop=("trackNumber",),
    )  # fmt: skip
    coherence = np.linspace(0, 1, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
    write_plane(tmp_path / "geo_temporalCoherence.h5", {"UNIT": "1"}, temporalCoherence=coherence)
    return path


def test_mintpy_series_goes_through_the_whole_run(tmp_path: Path, series: Path) -> None:
    (tmp_path / "site.toml").write_text(
        f'source = {{files = ["{series}"], reader = "mintpy", options = {{track = "23"}}, min_coherence = 0.3}}\n'
        f'store.path = "{tmp_path / "site.zarr"}"\ncluster.workers = 0\n'
        'forecast.methods = ["persistence", "harmonic"]\n'
    )
    (outcome,) = insar.run(tmp_path / "site.toml", quiet=True)
    assert outcome.product == "geo_timeseries"
    assert "840 points read, 0 rows rejected" in outcome.summary[0]
    cube = insar.open_cube(tmp_path / "site.zarr")
    assert cube.attrs["track"] == "023" and float(cube["coherence"].min()) >= 0.3
    motion = insar.to_grid(insar.motion(cube))["velocity"].compute()
    assert abs(float(motion[15, 20]) + 20) < 1
    with rasterio.open(outcome.report.parent / "motion.tif") as raster:
        assert (raster.shape, raster.crs.to_epsg()) == ((ROWS, COLUMNS), 4326)
        np.testing.assert_array_equal(raster.read(1), np.nan_to_num(motion.values, nan=-9999))
    page = outcome.report.read_text()
    assert "geo_timeseries" in page and "Copernicus" not in page
    (again,) = insar.run(tmp_path / "site.toml", quiet=True)
    assert again.summary == outcome.summary


def test_plan_sizes_what_any_reader_reads(tmp_path: Path, series: Path) -> None:
    config = parse_config({"source": {"files": [str(series)]}})
    first, _, ingest, *_ = plan_run(config).splitlines()
    assert first.startswith("geo_timeseries: at most 1,200 points x 120 dates from 1 MB of rasters")
    assert ingest.split()[0] == "ingest"
    stack = tmp_path / "stack"
    stack.mkdir()
    for day in ("20200103", "20200115", "20200208"):
        tif(stack / f"{day}.tif")
    assert "stack: at most 16 points x 3 dates" in plan_run(parse_config({"source": {"files": [str(stack)]}}))
    xr.Dataset(
        {"z": (("time", "y", "x"), np.zeros((3, 4, 5)))},
        {"time": np.array(["2020-01-03", "2020-01-15", "2020-01-27"], "datetime64[ns]"), "y": np.arange(4.0),
         "x": np.arange(5.0)},
    ).to_netcdf(tmp_path / "z.nc", engine="h5netcdf")  # fmt: skip
    netcdf = {"files": [str(tmp_path / "z.nc")], "options": {"source_crs": "EPSG:32633"}}
    assert "z: at most 20 points x 3 dates" in plan_run(parse_config({"source": netcdf}))


def test_plan_sizes_a_table_by_its_first_rows(tmp_path: Path) -> None:
    rows = "".join(f"p{k:04d},13.0,38.{k:04d},{k % 10}.5,2.5\n" for k in range(700))
    (tmp_path / "points.csv").write_text("id,x,y,20200103,20200115\n" + rows)
    columns = {"point_id": "id", "longitude": "x", "latitude": "y"}
    source = {"files": [str(tmp_path / "points.csv")], "reader": "psi_csv", "options": {"columns": columns}}
    assert "points: about 700 points x 2 dates" in plan_run(parse_config({"source": source}))


def test_configuration_of_a_reader_is_checked(tmp_path: Path) -> None:
    for text, message in (
        ('options = {track = "22"}', "EGMS files say all themselves"),
        ('reader = "egms"\nfiles = ["a.zip"]\noptions = {track = "22"}', "EGMS files say all themselves"),
        ('reader = "raster"', "reader 'raster' needs files"),
        ('reader = "gamma"', "'egms', 'mintpy', 'raster', 'psi_csv', 'ifgram_stack' or 'pairs'"),
    ):
        (tmp_path / "a.toml").write_text(f"[source]\n{text}\n")
        with pytest.raises(ConfigError, match=message):
            load_config(tmp_path / "a.toml")


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "insar_dask", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_command_line_recognises_what_it_is_given(tmp_path: Path, series: Path) -> None:
    store = tmp_path / "site.zarr"
    told = cli("ingest", series, store)
    assert told.returncode == 1
    assert "has no attribute TRACK: pass track='023'" in told.stderr
    assert 'reader = "mintpy"\noptions = { track = "..." }' in told.stderr
    (tmp_path / "site-config.toml").write_text('source.options = {track = "23"}\nsource.files = ["later.h5"]\n')
    done = cli("ingest", series, store)
    assert (done.returncode, done.stdout) == (0, f"{store}/geo_timeseries/raw\n"), done.stderr
    assert insar.open_cube(store).sizes["point"] == ROWS * COLUMNS


def test_options_for_egms_files_are_refused_once_they_are_known_as_such() -> None:
    source = parse_config({"source": {"files": ["a.zip"], "options": {"track": "22"}}}).source
    assert source.known("mintpy")["track"] == "22"
    with pytest.raises(ConfigError, match="EGMS files say all themselves"):
        source.known("egms")


def test_stack_named_file_by_file_is_told_from_several_products(tmp_path: Path) -> None:
    one, other = (tif(tmp_path / f"{day}.tif") for day in ("20200103", "20200115"))
    with pytest.raises(CubeError, match=r"named one by one.* a glob in quotes"):
        listed(parse_config({"source": {"files": [str(one), str(other)]}}).source)
    assert listed(parse_config({"source": {"files": [str(tmp_path)]}}).source) == [tmp_path]
    many = [str(tif(tmp_path / f"{name}.tif", bands=3)) for name in "ab"]
    assert listed(parse_config({"source": {"files": many}}).source) == [Path(name) for name in many]
