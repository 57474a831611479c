"""Sources of other formats become the raw cube of a group: once, and again only when something changed."""

import cloudpickle
import dask
import numpy as np
import pandas as pd
import pytest
import rasterio

import insar_dask as insar
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.progress.status import damaged
from insar_dask.jobs.receipts import Ledger
from insar_dask.jobs.steps.cube_ingest import files_read, ingest_cube
from insar_dask.objects import delete_below, put_bytes
from insar_dask.readers.grid import to_grid
from insar_dask.store import open_group
from tests.readers.ifgram_layout import write_stack
from tests.readers.mintpy_layout import metres, write_plane, write_series
from tests.readers.test_pair_cube import tif

DECLARED = {"component": "up", "reference": "a rock", "reference_date": "2020-01-03", "units": "mm"}


def mintpy(folder):
    return write_series(folder / "timeseries.h5"), {"track": "7"}


def rasters(folder):
    for number, day in enumerate(("20200103", "20200115", "20200127")):
        values = (number * np.arange(1.0, 1601.0).reshape(40, 40)).astype(np.float32) / 7
        with rasterio.open(
            folder / f"{day}.tif", "w", driver="GTiff", height=40, width=40, count=1, dtype="float32", nodata=-9999,
            crs="EPSG:32633", transform=rasterio.Affine(30, 0, 5e5, 0, -30, 4.2e6),
        ) as file:  # fmt: skip
            file.write(values, 1)
    return folder / "*.tif", DECLARED


def table(folder):
    k = np.arange(800)
    points = pd.DataFrame({"id": k.astype(str), "x": 13 + 1e-4 * k, "y": 38.5})
    for day in ("20200103", "20200115", "20200127"):
        points[day] = np.round(np.sin(k + float(day)), 3)
    points.loc[5, "x"] = 400
    points.to_csv(folder / "points.csv", index=False)
    return folder / "points.csv", {**DECLARED, "columns": {"point_id": "id", "longitude": "x", "latitude": "y"}}


def pairs_of(folder):
    for number, name in enumerate(("20200103_20200115", "20200103_20200127", "20200115_20200127")):
        tif(folder, name, (number * np.arange(1.0, 181.0).reshape(12, 15) / 50).astype(np.float32))
    return folder / "*.tif", {"track": "63", "orbit_direction": "descending", "wavelength": 0.0555, "phase_sign": 1}


def stack_of(folder):
    return write_stack(folder / "ifgramStack.h5"), {}


@pytest.mark.parametrize(("reader", "write"), [("mintpy", mintpy), ("raster", rasters), ("psi_csv", table)])
def test_source_is_read_once_and_again_when_something_changed(tmp_path, reader, write):
    source, options = write(tmp_path)
    read = {"mintpy": insar.read_mintpy, "raster": insar.read_raster, "psi_csv": insar.read_psi_csv}[reader]
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    first = ingest_cube(engine, source, "site", reader, options, 256)
    assert first.computed == first.shards > 1
    stored, cube = insar.open_cube(tmp_path / "s.zarr"), read(source, **options)
    np.testing.assert_array_equal(stored["displacement"].values, cube["displacement"].values)
    np.testing.assert_array_equal(stored["point_id"].values, cube["point_id"].values)
    assert ingest_cube(engine, source, "site", reader, options, 256).computed == 0
    note = engine.ledger.read_note("ingest/site")
    assert note["n_points"] == cube.sizes["point"] and note["n_rejected"] == (reader == "psi_csv")
    changed = ingest_cube(engine, source, "site", reader, {**options, "release": "v2"}, 256)
    assert changed.computed == changed.shards
    assert insar.open_cube(tmp_path / "s.zarr").attrs["release"] == "v2"


@pytest.mark.parametrize("gone", [True, False])
def test_what_a_bucket_lost_is_read_again(tmp_path, bucket, gone):
    source, options = table(tmp_path)
    engine = Engine(bucket, quiet=True)
    assert ingest_cube(engine, source, "site", "psi_csv", options, 256).computed == 4
    if gone:  # with its receipts, as what came and brought nothing
        engine.ledger.forget("site/raw")
        delete_below(engine.store, "site/raw")
    else:
        put_bytes(engine.store, "site/raw/zarr.json", b"{\0")
    assert ingest_cube(engine, source, "site", "psi_csv", options, 256).computed == 4
    assert damaged(bucket) == {}


@pytest.mark.parametrize(("reader", "write"), [("pairs", pairs_of), ("ifgram_stack", stack_of)])
def test_interferograms_are_kept_as_such_and_read_again_when_a_header_changed(tmp_path, reader, write):
    source, options = write(tmp_path)
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    assert ingest_cube(engine, source, "site", reader, options, 256).computed > 0
    assert ingest_cube(engine, source, "site", reader, options, 256).computed == 0
    stored = open_group(tmp_path / "s.zarr", "site/pairs")
    read = {"pairs": insar.read_pairs, "ifgram_stack": insar.read_ifgram_stack}[reader]
    np.testing.assert_array_equal(stored["phase"].values, read(source, **options)["phase"].values)
    assert engine.ledger.read_note("ingest/site")["n_points"] == stored.sizes["point"]
    if reader == "pairs":
        baselines = tmp_path / "baselines.csv"
        options["baselines"] = str(baselines)
        for metres_apart in (30, 31):
            baselines.write_text(
                f"first,second,bperp\n20200103,20200115,{metres_apart}\n20200103,20200127,1\n20200115,20200127,2\n"
            )
            ingest_cube(engine, source, "site", reader, options, 256)
            assert open_group(tmp_path / "s.zarr", "site/pairs")["bperp"].values[0] == metres_apart


def test_damaged_shard_is_made_again(tmp_path):
    source, options = mintpy(tmp_path)
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    ingest_cube(engine, source, "site", "mintpy", options, 512)
    shard = tmp_path / "s.zarr/site/raw/displacement/c/3/0"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    assert ingest_cube(engine, source, "site", "mintpy", options, 512).computed == 1
    assert shard.read_bytes() == whole


def test_changed_file_is_read_again(tmp_path):
    source, options = mintpy(tmp_path)
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    ingest_cube(engine, source, "site", "mintpy", options, 512)
    values = metres()
    values[3, 30, 30] += 0.001
    write_series(source, values)
    assert ingest_cube(engine, source, "site", "mintpy", options, 512).computed > 0
    grid = to_grid(insar.open_cube(tmp_path / "s.zarr"))["displacement"].values
    assert grid[30, 30, 3] == values[3, 30, 30] * np.float32(1000)


def test_rejected_pixels_are_listed_beside_the_store(tmp_path):
    values = metres()
    values[3, 10, 10:15] = np.inf
    engine = Engine(tmp_path / "s.zarr", quiet=True)
    ingest_cube(engine, write_series(tmp_path / "timeseries.h5", values), "site", "mintpy", {"track": "7"}, 512)
    note = engine.ledger.read_note("ingest/site")
    listed = pd.read_csv(note["rejected"])
    assert note["n_rejected"] == 5 and list(listed["pixel"]) == [810, 811, 812, 813, 814]
    assert listed["reason"][4] == "row 10, column 14: an infinite value"
    strict = {"track": "7", "max_rejected": 0}
    (tmp_path / "s-site-rejected.csv").unlink()
    with pytest.raises(CubeError, match=r"5 of \d+ pixels rejected"):
        ingest_cube(engine, tmp_path / "timeseries.h5", "site", "mintpy", strict, 512)
    assert len(pd.read_csv(tmp_path / "s-site-rejected.csv")) == 5


def test_shard_goes_to_its_worker_with_its_own_points_alone(tmp_path):
    source, options = mintpy(tmp_path)
    cube = insar.read_mintpy(source, **options)
    (part,) = dask.optimize(cube.isel(point=slice(512, 768)))
    whole = sum(column.nbytes for column in cube.coords.values() if column.dims == ("point",))
    coordinates = whole * 256 / cube.sizes["point"]
    chunk = 8 * max(cube.chunks["point"])  # which pixels its chunk of displacement has
    assert len(cloudpickle.dumps(part)) < coordinates + chunk + 20_000 < whole


def test_what_the_reader_says_of_a_bad_file_is_passed_on(tmp_path):
    source, _ = mintpy(tmp_path)
    source.write_bytes(b"")
    with pytest.raises(CubeError, match=r"timeseries\.h5 is empty"):
        ingest_cube(Engine(tmp_path / "s.zarr", quiet=True), source, "s", "mintpy", {}, 512)


def test_option_that_a_reader_does_not_know_is_named(tmp_path):
    source, options = pairs_of(tmp_path)
    with pytest.raises(CubeError, match=r"reader, trak is no option of the reader 'pairs'; it knows area, .* track, "):
        ingest_cube(Engine(tmp_path / "a.zarr"), source, "a", "pairs", {**options, "trak": "63", "reader": "x"}, 512)
    assert not (tmp_path / "a.zarr").exists()


def test_a_file_beside_the_series_is_part_of_what_a_cube_follows_from(tmp_path):
    source, options = mintpy(tmp_path)
    engine, coherence = Engine(tmp_path / "s.zarr", quiet=True), tmp_path / "temporalCoherence.h5"
    for value in (0.9, 0.2):
        write_plane(coherence, temporalCoherence=np.full(metres().shape[1:], value, np.float32))
        assert ingest_cube(engine, source, "site", "mintpy", options, 4096).computed > 0
        np.testing.assert_array_equal(insar.open_cube(tmp_path / "s.zarr")["coherence"].values, np.float32(value))
        assert ingest_cube(engine, source, "site", "mintpy", options, 4096).computed == 0


@pytest.mark.parametrize("reader", ["mintpy", "ifgram_stack", "raster"])
def test_files_that_are_named_are_part_of_what_a_cube_follows_from(tmp_path, reader):
    source, options = {"mintpy": mintpy, "ifgram_stack": stack_of, "raster": rasters}[reader](tmp_path)
    named = [tmp_path / f"{name}.h5" for name in ("mask", "lookup")]
    extra = {"mask": str(named[0]), "lookup": str(named[1])}
    if reader == "raster":
        named = [tif(tmp_path, "height", np.zeros((40, 40), np.float32))]
        source, extra = tmp_path / "2020*.tif", {"columns": {"height": str(named[0])}}
    found = files_read(source, reader, {**options, **extra})
    assert set(named) <= set(found) and len(found) == len(set(found))


@pytest.mark.parametrize("other", ["killed before its note", "saved by hand"])
def test_a_cube_of_other_settings_is_not_taken_for_what_is_wanted(tmp_path, monkeypatch, other):
    source, options = mintpy(tmp_path)
    engine, in_cm = Engine(tmp_path / "s.zarr", quiet=True), {**options, "units": "cm"}
    wanted = {**options, "units": "m"}
    ingest_cube(engine, source, "site", "mintpy", wanted, 4096)
    before = insar.open_cube(tmp_path / "s.zarr")["displacement"].values
    if other == "saved by hand":
        cube = insar.read_mintpy(source, **wanted)
        zeros = cube.assign(displacement=cube["displacement"] * 0)
        insar.save(zeros, tmp_path / "s.zarr", "site/raw", shard_points=4096, quiet=True)
    else:
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Ledger, "write_note", interrupted)
            ingest_cube(engine, source, "site", "mintpy", in_cm, 4096)
    assert ingest_cube(engine, source, "site", "mintpy", wanted, 4096).computed > 0
    np.testing.assert_array_equal(insar.open_cube(tmp_path / "s.zarr")["displacement"].values, before)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
