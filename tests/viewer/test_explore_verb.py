import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from typer.testing import CliRunner

from insar_dask.cli import app


def test_explore_serves_until_it_is_interrupted(site: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "insar_dask", "explore", str(site), "--no-open", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert b"<title>Ground motion</title>" in answer.read()
        with urllib.request.urlopen(f"{address}data.zarr/site/explore/zarr.json", timeout=20) as answer:
            assert answer.read() == (site / "site/explore/zarr.json").read_bytes()
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")


def test_explore_exports(site: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["explore", str(site), "--export", str(tmp_path / "share"), "--quiet"])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "share" / "index.html"))
    assert (tmp_path / "share" / "data.zarr" / "site" / "raw" / "displacement" / "zarr.json").exists()


def test_an_address_without_an_export_is_refused(site: Path) -> None:
    done = CliRunner().invoke(app, ["explore", str(site), "--store", "https://example.org/site.zarr"])
    assert done.exit_code == 2
    assert "--export" in done.output


def test_a_store_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["explore", str(tmp_path / "none.zarr")])
    assert done.exit_code == 1
    assert "none.zarr" in str(done.exception)


def test_the_server_loads_nothing_heavy() -> None:
    code = "import sys, insar_dask.viewer.serve; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert {"torch", "distributed", "matplotlib", "sklearn", "pandas"}.isdisjoint(loaded)
