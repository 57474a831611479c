"""Where foreign bytes come in: what stands behind each door, what is made of it wrongly, and how it may refuse.

An input is some files by name. A door takes them, and either works with them to the end or raises an error that it
promises; whatever else comes out is a fault.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import strategies as st
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore, MemoryStore

import insar_dask as insar
from insar_dask.campaign_book import BOOK, campaign_table
from insar_dask.config import Config, ConfigError, load_config, parse_config, to_toml, with_cluster
from insar_dask.cube import CubeError, check_cube
from insar_dask.dashboard.kept import kept_page
from insar_dask.jobs.engine import Engine, JobError
from insar_dask.jobs.holding.holder import Holder
from insar_dask.jobs.holding.lock import owned
from insar_dask.jobs.progress.events import Event
from insar_dask.jobs.progress.history import Book, Reader, runs
from insar_dask.jobs.progress.live_view import run_view
from insar_dask.jobs.progress.status import damaged, damaged_documents, status_table, targets
from insar_dask.jobs.receipts import HISTORY, Ledger, Receipt
from insar_dask.jobs.seals import SEAL, sealed, unpack
from insar_dask.jobs.steps.ingest import ingest
from insar_dask.readers.egms import peek, read_table
from insar_dask.readers.recognise import reader_of
from insar_dask.readers.temperature import read_temperature
from insar_dask.shard_store import checksum_block, read_block
from insar_dask.store import products
from insar_dask.synthetic import scene, write_egms
from tests.fuzz import mutations

__all__ = ["DOORS", "Door", "Files"]

Files = dict[str, bytes]

BURST = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
PRODUCT = "EGMS_L3_E45N17_100km_U_2020_2024_1"
SITE = "site.zarr"
MODEL = "clusters.npz"
N_POINTS, N_DATES = 200, 30


@dataclass(frozen=True)
class Door:
    """One way in."""

    right: Callable[[], Files]
    """Inputs that are taken."""
    wrong: Callable[[], st.SearchStrategy[Files]]
    enter: Callable[[Files], None]
    refusals: tuple[type[Exception], ...]


# --- what is right ----------------------------------------------------------------------------------------------------


@cache
def home() -> Path:
    """A store of one product in two shards, of which a run has its history, and a campaign's book; goes in the end."""
    import atexit

    folder = Path(mkdtemp(prefix="fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, kind in ((BURST, "l2b"), (PRODUCT, "l3u")):
        write_egms(folder / f"{name}.csv", scene(kind, n_points=N_POINTS, n_dates=N_DATES, seed=2))
    with Engine(folder / SITE, quiet=True) as engine, owned(folder / SITE):
        ingest(engine, folder / f"{PRODUCT}.csv", PRODUCT, {}, shard_points=128)
        engine.ledger.write_note("scores/x", {"persistence": [0.5, 1.5]})
    (run,) = runs(LocalStore(folder / SITE))
    (folder / SITE / HISTORY / run).rename(folder / SITE / HISTORY / "0001")
    begun = Event(
        "stage", "x/raw", at=1.0, extra={"n_shards": 3, "points": [128, 8], "targets": ["x/raw"], "skipped": [[0, 1]]}
    )
    told = [
        begun,
        Event("running", "x/raw", 1, at=2.0, worker="tcp://a:1"),
        Event("loss", "training", at=3.0, extra={"loss": 0.5}),
    ]
    Book(LocalStore(folder / SITE), "ffff").write(told, 4.0)
    cube = insar.regularise(insar.open_cube(folder / SITE), every="12D").compute()
    insar.Clusters(n_clusters=2, random_state=0).fit(cube).save(folder / MODEL)
    book = Ledger(LocalStore(folder / BOOK))
    book.write_note("catalogue", {"products": ["a", "b"]})
    book.write_note("failures", {"b": "CubeError: no"})
    book.write("products", Receipt(0, "ab" * 32, "cd" * 32, 4000, 200, 1.5, "host"))
    book.compact("products")
    book.write("products", Receipt(1, "ab" * 32, "cd" * 32, 4000, 200, 1.5, "host"))
    return folder


def kept(*folders: str) -> Files:
    """What lies in some folders of the home."""
    found = (path for folder in folders for path in sorted((home() / folder).rglob("*")) if path.is_file())
    return {path.relative_to(home()).as_posix(): path.read_bytes() for path in found}


@cache
def table() -> bytes:
    """An EGMS table of a dozen rows."""
    return b"\n".join((home() / f"{BURST}.csv").read_bytes().splitlines()[:12]) + b"\n"


@cache
def archive() -> bytes:
    """The table as EGMS has it: in a zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(f"{BURST}.csv", table())
    return packed.getvalue()


PAIRS = ("20200103-20200115", "20200103-20200127")
ROWS, COLUMNS = 4, 5


def pairs() -> Files:
    """What a user writes beside interferograms, or a processor has printed: headers, baselines, weather."""
    shape = f"FILE_LENGTH {ROWS}\nWIDTH {COLUMNS}\n"
    corner = "X_FIRST 78.5\nX_STEP 8e-4\nY_FIRST 34.0\nY_STEP -8e-4\n"
    radar = "WAVELENGTH 0.0555\nP_BASELINE_TOP_HDR 70\nP_BASELINE_BOTTOM_HDR 74\nORBIT_DIRECTION descending\n"
    gamma = (
        f"DEM_projection: EQA\nwidth: {COLUMNS}\nnlines: {ROWS}\ncorner_lat: 34.0 decimal degrees\n"
        "corner_lon: 78.5 decimal degrees\npost_lat: -8e-4 decimal degrees\npost_lon: 8e-4 decimal degrees\n"
    )
    image = (
        "radar_frequency: 5.405e+09 Hz\nheading: -167.8 degrees\nincidence_angle: 39.2 degrees\n"
        "earth_radius_below_sensor: 6371286.7 m\nsar_to_earth_center: 7071123.1 m\n"
    )
    printed = "line  range  bpara  bperp  blen\n  (m)  (m)  (m)  (m)\n 0 850e3 -3.5 70 80\n 9 850e3 -3.5 74 80\n"
    files = {
        **{f"{name}.unw.rsc": shape + corner + radar for name in PAIRS},
        "dem.par": gamma,
        "slc.par": image,
        f"{PAIRS[0]}_bperp.par": printed,
        f"{PAIRS[1]}_base.par": "initial_baseline(TCN): 0.0 20.5 -40.25 m m m\n",
        "baselines.csv": "first,second,bperp\n20200103,20200115,30.5\n2020-01-27,20200103,-12\n",
        "temperature.csv": "date,temperature\n20200103,-12.5\n20200104,-11\n",
    }
    return {name: text.encode() for name, text in files.items()}


# --- what is wrong ----------------------------------------------------------------------------------------------------


def one_of(files: Files, change: Callable[[str, bytes], st.SearchStrategy[bytes]]) -> st.SearchStrategy[Files]:
    """One or two of some files changed."""
    one = st.sampled_from(sorted(files)).flatmap(lambda name: st.tuples(st.just(name), change(name, files[name])))
    return st.lists(one, min_size=1, max_size=2).map(dict)


def resealed(data: bytes) -> st.SearchStrategy[bytes]:
    """A sealed document, or several, with other content: mostly under a seal that fits."""
    document = json.loads(data)

    def seal(changed: Any) -> bytes:
        entries = changed if isinstance(changed, list) else [changed]
        bare = [{k: v for k, v in e.items() if k != SEAL} if isinstance(e, dict) else e for e in entries]
        done = [sealed(e) if isinstance(e, dict) else e for e in bare]
        return json.dumps(done if isinstance(changed, list) else done[0]).encode()

    return st.one_of(mutations.documents(document).map(seal), mutations.retold(document))


def of_store(name: str, data: bytes) -> st.SearchStrategy[bytes]:
    return mutations.retold(json.loads(data)) if name.endswith(".json") else mutations.scrambled(data)


def of_pairs(name: str, data: bytes) -> st.SearchStrategy[bytes]:
    if name.endswith(".csv"):
        return mutations.tabled(data)
    return st.one_of(mutations.worded(data), mutations.scrambled(data))


def documents_of(files: Files) -> st.SearchStrategy[Files]:
    return one_of(files, lambda _, data: resealed(data))


# --- doors ------------------------------------------------------------------------------------------------------------


@contextmanager
def laid_out(files: Files) -> Iterator[Path]:
    """The home with some files in place of its own, for a while."""
    before = {name: (home() / name).read_bytes() if (home() / name).exists() else None for name in files}
    for name, data in files.items():
        (home() / name).write_bytes(data)
    try:
        yield home()
    finally:
        for name, data in before.items():
            (home() / name).unlink(missing_ok=True) if data is None else (home() / name).write_bytes(data)


def read_product(files: Files) -> None:
    with laid_out(files) as folder:
        for name in files:
            path = folder / name
            with suppress(CubeError):
                reader_of(path)
            with suppress(CubeError):
                peek(path, name=BURST)
            cube = read_table(path, name=BURST, threads=1, max_rejected=1).cube()
            check_cube(cube)
            cube.compute()


def read_interferograms(files: Files) -> None:
    given, phase = pairs() | files, bytes(8 * ROWS * COLUMNS)
    with laid_out(given | {f"{name}.unw": phase for name in PAIRS}) as folder:
        said = {"track": "63", "orbit_direction": "descending", "nodata": -1.0, "max_rejected": 1.0}
        paths, attempts = [folder / f"{name}.unw" for name in PAIRS], []
        headers = [path.with_name(path.name + ".rsc") for path in paths]
        attempts.append(lambda: read_temperature(folder / "temperature.csv"))
        attempts.append(lambda: insar.read_pairs(paths, **said).compute())
        attempts.append(lambda: insar.read_pairs(paths, baselines=folder / "baselines.csv", **said).compute())

        def of_gamma() -> None:
            for path, header in zip(paths, headers, strict=True):
                header.unlink()
                path.write_bytes(phase[::2])
            maps = {"gamma_dem": folder / "dem.par", "gamma_image": folder / "slc.par"}
            insar.read_pairs(paths, **maps, **said).compute()

        tried(*attempts, of_gamma)


def tried(*attempts: Callable[[], Any]) -> None:
    """Make all attempts; the first refusal is raised in the end."""
    refused: list[Exception] = []
    for attempt in attempts:
        try:
            attempt()
        except REFUSALS as error:
            refused.append(error)
    if refused:
        raise refused[0]


def read_config(files: Files) -> None:
    with laid_out(files) as folder:
        for name in files:
            config = load_config(folder / name)
            text = to_toml(config)
            (folder / name).write_text(text, encoding="utf-8")
            again = load_config(folder / name)
            if to_toml(again) != text:
                raise AssertionError(f"written, the configuration is another: {text}")


def parse_settings(files: Files) -> None:
    for data in files.values():
        content = json.loads(data)
        given = content.get("cluster") if isinstance(content, dict) else None
        for key, value in given.items() if isinstance(given, dict) else ():
            with suppress(ConfigError):
                with_cluster(Config(), [f"{key}={value}", str(value)])
        parse_config(content)


def read_books(files: Files) -> None:
    with laid_out(files) as folder:
        for show in (status_table, damaged_documents, damaged):
            with suppress(CubeError):
                show(folder / SITE)
        campaign_table(folder)
        for root in (folder / SITE, folder / BOOK):
            objects = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.json")}
            run_over(MemoryStore({k: default_buffer_prototype().buffer.from_bytes(v) for k, v in objects.items()}))


def run_over(store: MemoryStore) -> None:
    """All that a run does with the books of a store."""
    ledger = Ledger(store)
    for target in targets(ledger):
        ledger.done(target)
        for index in range(3):
            ledger.find(target, index)
            with suppress(RuntimeError):
                ledger.write(target, Receipt(index, "k", "c", 1, 1), ledger.check_free(target, index, "k"))
        ledger.supersede(target, {0: "k"})
        ledger.compact(target)
    for key in ledger.notes():
        ledger.read_note(key.removeprefix("jobs/").removesuffix(".json"))


def read_holder(files: Files) -> None:
    for data in files.values():
        holder = Holder.read(data)
        str(holder)
        holder.lives()
        holder.to_json(1)


def read_history(files: Files) -> None:
    from rich.console import Console

    with laid_out(files) as folder:
        store = LocalStore(folder / SITE)
        for run in runs(store):
            board = Reader(store, run).read()
            with Console(quiet=True).capture():
                Console(quiet=True).print(run_view(board, 0.0))
            kept_page(board, store)


def read_model(files: Files) -> None:
    with laid_out(files) as folder:
        for name in files:
            with suppress(ValueError):
                unpack((folder / name).read_bytes())
            insar.Clusters.load(folder / name)


def read_store(files: Files) -> None:
    with laid_out(files) as folder:
        store = LocalStore(folder / SITE)
        tried(
            lambda: insar.open_cube(folder / SITE, partial=True).compute(),
            lambda: insar.open_cube(folder / SITE, f"{PRODUCT}/raw").compute(),
            lambda: [read_block(store, f"{PRODUCT}/raw", index) for index in range(2)],
            lambda: checksum_block(store, f"{PRODUCT}/raw", 0),
            lambda: products(store),
            lambda: status_table(folder / SITE),
            lambda: damaged(folder / SITE),
        )


REFUSALS = (CubeError, FileNotFoundError)

DOORS: dict[str, Door] = {
    "table": Door(
        lambda: {f"{BURST}.csv": table()},
        lambda: mutations.tabled(table()).map(lambda data: {f"{BURST}.csv": data}),
        read_product,
        (CubeError,),
    ),
    "archive": Door(
        lambda: {f"{BURST}.zip": archive()},
        lambda: mutations.zipped(table()).map(lambda data: {f"{BURST}.zip": data}),
        read_product,
        (CubeError,),
    ),
    "pairs": Door(
        pairs,
        lambda: one_of(pairs(), of_pairs),
        read_interferograms,
        REFUSALS,
    ),
    "configuration": Door(
        lambda: {"site.toml": to_toml(Config()).encode()},
        lambda: mutations.relined(to_toml(Config()).encode()).map(lambda data: {"site.toml": data}),
        read_config,
        (ConfigError,),
    ),
    "settings": Door(
        lambda: {"site.json": Config().model_dump_json().encode()},
        lambda: mutations.documents(Config().model_dump(mode="json")).map(
            lambda content: {"site.json": json.dumps(content).encode()}
        ),
        parse_settings,
        (ConfigError,),
    ),
    "books": Door(
        dict,
        lambda: documents_of({k: v for k, v in kept(f"{SITE}/jobs", BOOK).items() if is_book(k)}),
        read_books,
        (JobError, *REFUSALS),
    ),
    "lease": Door(
        lambda: {"lease": Holder.here(30.0).to_json(1)},
        lambda: mutations.retold(json.loads(Holder.here(30.0).to_json(1))).map(lambda data: {"lease": data}),
        read_holder,
        (),
    ),
    "history": Door(
        dict,
        lambda: documents_of({k: v for k, v in kept(f"{SITE}/jobs/history").items() if k.endswith(".json")}),
        read_history,
        (),
    ),
    "model": Door(
        lambda: {MODEL: (home() / MODEL).read_bytes()},
        lambda: mutations.packed(members()).map(lambda data: {MODEL: data}),
        read_model,
        (ValueError,),
    ),
    "store": Door(
        dict,
        lambda: one_of({k: v for k, v in kept(SITE).items() if not k.startswith(f"{SITE}/jobs")}, of_store),
        read_store,
        REFUSALS,
    ),
}


@cache
def members() -> Files:
    """What the file of a model has in it."""
    with zipfile.ZipFile(home() / MODEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def is_book(name: str) -> bool:
    return name.endswith(".json") and "/history/" not in name and not name.endswith("zarr.json")
