"""Product files that lie in a bucket: read in place, by ranges, as they are on a disk."""

import time
from pathlib import Path

import numpy as np
import pytest

import insar_dask as insar
from insar_dask.buckets import Bucket
from insar_dask.campaign_book import campaign_table
from insar_dask.config import Config, parse_config
from insar_dask.cube import CubeError
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.jobs.steps.known_sources import known_checksum, seen_as
from insar_dask.objects import open_store, put_bytes
from insar_dask.planning import plan_run
from insar_dask.readers import bucket_file
from insar_dask.readers.bucket_file import BucketFile, bucket_files
from insar_dask.readers.csv_source import file_blake3
from insar_dask.readers.recognise import reader_of
from insar_dask.sources import named_products
from insar_dask.store_errors import StoreError
from insar_dask.synthetic import scene, write_egms
from tests.s3.faulty import Proxy

BURSTS = ("0100", "0101")


def name_of(burst: str) -> str:
    return f"EGMS_L2b_022_{burst}_IW2_VV_2020_2024_1"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bursts, the second as a plain table."""
    folder = tmp_path_factory.mktemp("archive")
    for burst, ending in zip(BURSTS, ("zip", "csv"), strict=True):
        write_egms(folder / f"{name_of(burst)}.{ending}", scene("l2b", n_points=300, n_dates=40, seed=int(burst)))
    return folder


@pytest.fixture
def prefix(address: str, archive: Path) -> str:
    """Where the bursts lie in a bucket, beside what is no product, and what lies deeper."""
    prefix = address.removesuffix("site.zarr") + "egms"
    store = open_store(prefix)
    for path in archive.iterdir():
        put_bytes(store, path.name, path.read_bytes())
    put_bytes(store, "readme.txt", b"no product")
    put_bytes(store, f"old/{name_of('0100')}.zip", b"another place")
    return prefix


def test_a_file_in_a_bucket_holds_the_bytes_it_has_on_a_disk(
    prefix: str, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_file, "FIRST_BLOCK", 1000)
    monkeypatch.setattr(bucket_file, "LARGEST_BLOCK", 7000)
    there = archive / f"{name_of('0100')}.zip"
    here, data = BucketFile(f"{prefix}/{there.name}"), there.read_bytes()
    assert (here.is_file(), here.is_dir(), here.stat().st_size) == (True, False, len(data))
    assert file_blake3(here) == file_blake3(there)
    with here.open() as file:
        for first in (len(data) - 5, 0, 999, 1001, len(data), len(data) + 7, 3):
            file.seek(first)
            assert file.read(2500) == data[first : first + 2500]
        file.seek(-9, 2)
        assert file.read() == data[-9:]
    lost = BucketFile(f"{prefix}/lost.zip")
    assert not lost.is_file()
    with pytest.raises(FileNotFoundError, match=r"s3://.*/egms/lost.zip: no such object"):
        lost.stat()


def test_a_file_that_is_replaced_while_it_is_read_is_no_mixture(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_file, "FIRST_BLOCK", 1000)
    store = open_store(prefix)
    put_bytes(store, "large.csv", b"a" * 5000)
    with BucketFile(f"{prefix}/large.csv").open() as file:
        assert file.read(10) == b"a" * 10
        put_bytes(store, "large.csv", b"b" * 5000)
        with pytest.raises(StoreError, match=r"large.csv in s3://.* replaced while it was read"):
            file.read()


def test_products_are_found_by_name_prefix_and_signs(prefix: str) -> None:
    both = [f"{prefix}/{name_of('0100')}.zip", f"{prefix}/{name_of('0101')}.csv"]
    for wanted, found in {
        prefix: both, f"{prefix}/": both, f"{prefix}/*": both, f"{prefix}/*.zip": both[:1], both[1]: both[1:],
        f"{prefix}/*_010[1-9]_*": both[1:],
    }.items():  # fmt: skip
        assert list(map(str, insar.find_egms(wanted))) == found, wanted
    put_bytes(open_store(prefix), "odd %41?.txt", b"odd")
    odd, readme = bucket_files(f"{prefix}/*.txt")
    assert (odd.name, readme.name, odd.open().read()) == ("odd %41?.txt", "readme.txt", b"odd")
    assert [str(one) for one in bucket_files(str(odd))] == [str(odd)]
    with pytest.raises(FileNotFoundError, match="no EGMS product at s3://"):
        insar.find_egms(f"{prefix}/*.tif")
    with pytest.raises(ValueError, match="last part of an address only"):
        insar.find_egms(f"{prefix}/*/a.zip")


def test_a_cube_of_a_bucket_is_the_cube_of_the_file(prefix: str, archive: Path, proxy: Proxy) -> None:
    for name in (f"{name_of('0100')}.zip", f"{name_of('0101')}.csv"):
        there, here = insar.read_egms(archive / name), insar.read_egms(f"{prefix}/{name}")
        assert here.attrs == there.attrs
        np.testing.assert_array_equal(here.displacement.values, there.displacement.values)


def test_what_lies_deeper_is_not_listed(prefix: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bucket, "sizes", None)  # lists a whole subtree
    store = open_store(prefix)
    for number in range(40):
        put_bytes(store, f"old/{number % 2}/{number}.txt", b"deep")
    proxy.log.clear()
    assert [file.name for file in bucket_files(prefix)] == [
        f"{name_of('0100')}.zip",
        f"{name_of('0101')}.csv",
        "readme.txt",
    ]
    assert [kind for kind, _ in proxy.log] == ["HEAD", "LIST"]


def test_a_source_in_a_bucket_that_is_still_the_same_is_not_read_again(
    prefix: str, archive: Path, tmp_path: Path, proxy: Proxy
) -> None:
    name, engine = f"{name_of('0100')}.zip", Engine(tmp_path / "site.zarr", quiet=True)
    source = BucketFile(f"{prefix}/{name}")

    def read() -> tuple[int, int]:
        """Shards that were written, and requests for the file's bytes."""
        proxy.log.clear()
        report = ingest(engine, source, "site", {})
        return report.computed, sum(kind == "GET" and key.endswith(name) for kind, key in proxy.log)

    shards, requests = read()
    assert shards and requests > 1
    assert read() == (0, 0)
    time.sleep(1.1)  # a bucket's dates are of whole seconds
    put_bytes(open_store(prefix), name, (archive / name).read_bytes())
    computed, requests = read()
    assert computed == 0 and requests > 0  # it was written again, with the same bytes
    put_bytes(open_store(prefix), name, other_burst(tmp_path).read_bytes())
    assert read()[0] == shards
    put_bytes(open_store(engine.path), "jobs/sources/site.json", b"{}")
    assert read()[1] > 0  # whose note is lost is hashed


def test_a_tag_that_proves_nothing_is_not_relied_upon(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = BucketFile(f"{prefix}/{name_of('0100')}.zip")
    size, modified, tag = source.look()
    assert seen_as(source)["tag"] == tag
    for weak in (None, "", f"W/{tag}"):
        monkeypatch.setattr(BucketFile, "look", lambda _, weak=weak: (size, modified, weak))
        assert seen_as(source) == {}
        assert known_checksum(source, {"blake3": "00"}) is None


def other_burst(folder: Path) -> Path:
    """Other values under the same name."""
    return write_egms(folder / f"{name_of('0100')}.zip", scene("l2b", n_points=300, n_dates=40, seed=7))


def configured(files: str, root: str) -> Config:
    return parse_config(
        {
            "source": {"files": [files]},
            "store": {"path": f"{root}/{{product}}.zarr"},
            "forecast": {"methods": ["persistence"], "as_published": False},
            "patterns": {"n_clusters": 0},
            "decompose": {"method": "none"},
            "report": {"exports": False},
            "cluster": {"workers": 0},
        }
    )


def test_a_campaign_reads_its_products_from_a_bucket(prefix: str, archive: Path, tmp_path: Path) -> None:
    config = configured(f"{prefix}/*", str(tmp_path))
    assert list(named_products(config.source)) == [name_of(burst) for burst in BURSTS]
    assert plan_run(config).count("about 300 points") == 2  # by the length of the first rows
    outcomes = insar.run(config, quiet=True)
    assert [outcome.product for outcome in outcomes] == [name_of(burst) for burst in BURSTS]
    assert campaign_table(tmp_path).splitlines()[-1] == "2 of 2 products are done"
    stored, read = insar.open_cube(outcomes[0].store), insar.read_egms(archive / f"{name_of('0100')}.zip")
    np.testing.assert_array_equal(stored.displacement.values, read.displacement.values)
    with owned(outcomes[0].store):  # whoever would run it again were refused
        assert insar.run(config, quiet=True) == outcomes


def test_other_readers_do_not_go_to_a_bucket(prefix: str) -> None:
    assert reader_of(f"{prefix}/timeseries.h5") == "egms"
    source = configured(prefix, "out").source.model_copy(update={"reader": "mintpy"})
    with pytest.raises(CubeError, match="lies in a bucket, where EGMS files alone are read: copy it here for 'mintpy'"):
        named_products(source)
