import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from insar_dask import open_cube, save
from insar_dask.cli import app, main
from insar_dask.config import Config, load_config
from insar_dask.forecast import Forecaster
from insar_dask.synthetic import scene, write_egms

SETTINGS = """
[source]
files = ["{source}"]
[store]
path = "{folder}/site.zarr"
shard_points = 256
[forecast]
methods = ["persistence", "harmonic", "harmonic_ridge"]
[cluster]
workers = 0
"""


def insar(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "insar_dask", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def here(*arguments: str | Path) -> Result:
    """The same in this process: what a program takes to begin is a half of all that most verbs take."""
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small product, a configuration, and a finished run of it."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip"
    write_egms(source, scene("l2b", n_points=900, n_dates=200, seed=2))
    (folder / "run.toml").write_text(SETTINGS.format(source=source, folder=folder))
    done = insar("run", folder / "run.toml")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "not quiet where nobody looks"
    assert "900 points read, 0 rows rejected" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Every point in the browser: ") and last.endswith(f" explore {folder}/site.zarr")
    return folder


def test_a_run_leaves_page_maps_and_exports(folder: Path) -> None:
    product = folder / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
    assert {path.name for path in product.iterdir()} >= {"index.html", "figures", "motion.tif", "motion.parquet"}
    assert (folder / "site-config.toml").exists()


def test_status_and_verify_read_the_store_alone(folder: Path) -> None:
    status = insar("status", folder / "site.zarr")
    assert status.returncode == 0
    assert status.stdout.count("4 of 4") == 15, status.stdout
    assert here("verify", folder / "site.zarr").stdout == "every shard holds the bytes of its receipt\n"


def test_verify_names_what_is_damaged_and_run_rebuilds_it(folder: Path) -> None:
    path = folder / "site.zarr/EGMS_L2b_022_0845_IW2_VV_2020_2024_1/raw/displacement/c/2/0"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    found = insar("verify", folder / "site.zarr")
    assert (found.returncode, found.stdout) == (1, "EGMS_L2b_022_0845_IW2_VV_2020_2024_1/raw: damaged shards 2\n")
    assert here("run", folder / "run.toml", "--quiet").exit_code == 0
    assert path.read_bytes() == whole


def test_each_step_has_a_verb(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "cube.zarr"
    source = folder / "EGMS_L2b_022_0845_IW2_VV_2020_2024_1.zip"
    (tmp_path / "cube-config.toml").write_text(SETTINGS.format(source=source, folder=tmp_path))
    assert insar("ingest", source, store).stdout == f"{store}/{source.stem}/raw\n"
    assert (
        here("tiles", store, store, "--pixels", "32", "--cells", "16", "--quiet").stdout
        == f"{store}/tiles/los: 1 tiles, 1 made now\n"
    )
    for verb in ("products", "cluster", "evaluate", "forecast", "report"):
        if verb == "report":  # such as a track, where steps run on east and up alone
            save(open_cube(store, f"{source.stem}/raw").isel(time=slice(0, 30)), store, "other/raw", quiet=True)
        if verb in ("products", "cluster", "forecast"):
            assert here(verb, store, "--quiet").exit_code == 0
            continue
        done = insar(verb, store)
        assert done.returncode == 0, done.stderr
        if verb == "evaluate":
            assert "LEAKS" in done.stdout and "harmonic_ridge" in done.stdout
    assert done.stdout == f"{tmp_path / source.stem / 'index.html'}\n"
    assert "left out, for the motion of other is not known: " in done.stderr and f"products {store}" in done.stderr
    for verb, why in (
        ("cluster", f"there is no other/smooth yet: `insar-dask products {store}`"),
        ("evaluate", "dates"),
    ):
        left = CliRunner().invoke(app, [verb, str(store), "--quiet"])  # the others go on
        assert left.exit_code == 0 and left.stdout.startswith((f"{store}/{source.stem}/patterns", "honest"))
        assert "insar-dask: other is left: " in left.stderr and why in left.stderr


def test_where_every_product_is_left_the_call_fails(small_scene: xr.Dataset, tmp_path: Path) -> None:
    save(small_scene.isel(point=slice(0, 128)), tmp_path / "site.zarr", "site/raw", quiet=True)
    left = CliRunner().invoke(app, ["--cluster", "workers=0", "cluster", str(tmp_path / "site.zarr"), "--quiet"])
    assert left.exit_code == 1 and "site is left: there is no site/smooth yet" in left.stderr
    assert load_config(tmp_path / "site-config.toml").cluster == Config().cluster  # that was said for once


def test_plan_says_what_it_would_cost(folder: Path) -> None:
    done = here("plan", folder / "run.toml")
    assert done.exit_code == 0
    assert "x 200 dates" in done.stdout and "4 shards of 256 points" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "nowhere.toml"], 1, "nowhere.toml"),
        (["run"], 2, "Missing argument 'CONFIG'"),
        (["rnu"], 2, "No such command"),
        (["status", "nowhere.zarr"], 1, "no store at nowhere.zarr"),
        (["status", "nowhere.zarr", "--run", "last"], 2, "--run says which run is shown: give --html or --watch"),
        (["products", "nowhere.zarr"], 1, "no store at nowhere.zarr"),
        (["ingest", "nothing*.zip", "x.zarr"], 1, r"nothing\*.zip"),
        (["products", "."], 1, "no store at ."),
        (["demo", "nothing.zip", "--out", "x"], 1, "nothing.zip"),
        (["tiles", "x.zip", "y.zarr", "--extent", "E45N17=1,2"], 2, "E45N17=1,2 has 2 edges"),
        (["train", "x.zarr", "--model", "mmstt"], 2, "mmstt is a method: did you mean --method mmstt?"),
        (["train", "x.zarr", "--steps", "9"], 2, "a network's training, and best trains none: leave them out"),
        (["train", "nowhere.zarr", "--model", "mmstt", "--method", "best"], 1, "no store at nowhere.zarr"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(
    arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In this process; the next two tests see such calls from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["insar-dask", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == code
    assert "Traceback" not in said
    assert message.replace("\\", "") in said


def test_a_run_that_finds_no_source_leaves_nothing_behind(tmp_path: Path) -> None:
    done = insar("demo", "nothing.zip", "--out", "x", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "half-done.partial").write_text("mine")
    (source,) = folder.glob("*.zip")
    done = insar("ingest", source, tmp_path)
    assert done.returncode == 1
    assert "is no store and not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["half-done.partial"]


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from insar_dask.cli import app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "xarray", "dask", "zarr", "numba", "pydantic"} & set(loaded)


def test_ctrl_c_says_that_nothing_is_lost() -> None:
    code = (
        "import signal, sys\n"
        "from insar_dask.cli import app, main\n"
        "app.command('work')(lambda: signal.raise_signal(signal.SIGINT))\n"
        "sys.argv = ['insar-dask', 'work']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "insar-dask: stopped; what is done is kept, and the same call goes on from there\n"


def test_missing_extras_are_said_before_the_work(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['rasterio'] = None\n"
        "import importlib.util as u; spec = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'rasterio' else spec(name, *rest)\n"
        f"from insar_dask.cli import main; sys.argv = ['insar-dask', 'run', {str(folder / 'run.toml')!r}]; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "exports need rasterio: pip install 'insar-dask[geo]'" in done.stderr


def test_a_trained_forecaster_is_kept_and_forecasts(folder: Path) -> None:
    store, model = folder / "site.zarr", folder / "model"
    call = CliRunner()
    trained = call.invoke(app, ["train", str(store), "--method", "harmonic", "--model", str(model), "--quiet"])
    assert (trained.exit_code, trained.exception) == (0, None)
    assert "harmonic" in trained.stdout and trained.stdout.endswith(f"{model}\n")
    made = call.invoke(app, ["forecast", str(store), "--model", str(model), "--quiet"])
    product = "EGMS_L2b_022_0845_IW2_VV_2020_2024_1"
    assert made.stdout == f"{store}/{product}/predicted: 900 points by harmonic\n"
    predicted, oracle = open_cube(store, f"{product}/predicted"), Forecaster.load(model).predict(open_cube(store))
    assert (predicted["upper"].values == oracle["upper"].values).all()


def test_no_forecaster_is_trained_that_reads_more_dates_than_the_store_has(folder: Path) -> None:
    wanted = ["--method", "kriging", "--context", "147", "--model", str(folder / "far"), "--quiet"]
    done = insar("train", folder / "site.zarr", *wanted)
    assert done.returncode == 1 and not (folder / "far").exists()
    assert "this forecaster reads 147: fit with a context of 146 or less" in done.stderr


def test_a_network_of_maps_is_trained_and_forecasts_from_the_command_line(folder: Path) -> None:
    store, model, call = folder / "site.zarr", folder / "maps", CliRunner()
    made = call.invoke(app, ["tiles", str(store), str(store), "--pixels", "32", "--cells", "8", "--quiet"])
    assert (made.exit_code, made.exception) == (0, None)
    wanted = ["--method", "cnn_lstm", "--steps", "1", "--model", str(model), "--quiet"]
    trained = call.invoke(app, ["train", str(store), *wanted])
    assert (trained.exit_code, trained.exception) == (0, None)
    assert "cnn_lstm" in trained.stdout and "harmonic_ridge" in trained.stdout
    forecast = call.invoke(app, ["forecast", str(store), "--model", str(model), "--quiet"])
    assert forecast.stdout.startswith("1 tile forecast by cnn_lstm from ")
    page = folder / "tiles-los" / "index.html"
    assert forecast.stdout.endswith(f"{page}\n") and "never learned from" not in page.read_text()
