"""The real bursts over TLS between namespaces, one worker killed in mid-run, watched in a browser to the end.

`make watch-run` runs this alone, and keeps what the browser saw in PICTURES where that is given.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.clusters.two_namespaces import ADDRESS, NEAR, PAGE, crew, joining, missing, wired, within
from tests.conftest import CHROMIUM, QUIET, stored_bytes
from tests.sessions.conftest import Certify

pytestmark = pytest.mark.timeout(3600)

SETTINGS = """
[source]
files = ["{files}"]
[store]
path = "{folder}/site.zarr"
shard_points = 512
[forecast]
methods = ["persistence", "harmonic"]
as_published = false
[report]
exports = false
[cluster]
workers = 0
"""
Stages = dict[str, dict[str, Any]]

SEEN = """() => Object.fromEntries([...document.querySelectorAll("#stages button")].map(one =>
    [one.dataset.stage, {made: one.querySelector("em").textContent, error: one.querySelector(".err").textContent}]))"""
"""What the list of stages says."""

SHOWN = """() => ({
    chip: document.querySelector("#chip").textContent,
    stage: document.querySelector("#name").textContent,
    running: +(document.querySelector("#legend [data-state=running] b")?.textContent ?? 0),
    faults: [...document.querySelectorAll("#faults tbody tr")].map(row => row.textContent),
    workers: document.querySelectorAll("#workers tbody tr").length,
})"""


@pytest.fixture(scope="module")
def bursts(real_data: Path) -> str:
    return f"{real_data}/egms/EGMS_L2b_*.zip"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """A page of a browser that lives in the near namespace."""
    if reason := missing():
        pytest.skip(reason)
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra test)")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    door = tmp_path / "chromium"
    door.write_text(f'#!/bin/sh\nexec ip netns exec {NEAR} {CHROMIUM} "$@"\n')
    door.chmod(0o755)
    with wired(), sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=door, args=QUIET)
        yield browser.new_page(viewport={"width": 1280, "height": 1000})
        browser.close()


def run(folder: Path, bursts: str, *settings: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.toml").write_text(SETTINGS.format(files=bursts, folder=folder))
    options = [part for setting in settings for part in ("--cluster", setting)]
    return [sys.executable, "-W", "error", "-m", "insar_dask", *options, "run", "--quiet", str(folder / "run.toml")]


def until(true: Callable[[], object], what: str, driver: subprocess.Popen[str], seconds: float = 1800) -> None:
    """Wait for something, as long as the driver lives."""
    deadline = time.monotonic() + seconds
    while not true():
        assert driver.poll() is None, f"the driver ended before {what}: {driver.communicate()[1]}"
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.3)


def kill_one(starter: int) -> None:
    """Kill one of two worker processes; a nanny starts another in its place."""
    below = psutil.Process(starter).children(recursive=True)
    next(one for one in below if "spawn_main" in " ".join(one.cmdline())).send_signal(signal.SIGKILL)


def picture(page: Any, name: str) -> None:
    if folder := os.environ.get("PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_run_of_which_a_worker_is_killed_is_watched_to_its_end(
    page: Any, bursts: str, certify: Certify, tmp_path: Path
) -> None:
    ours, log = certify(), tmp_path / "cluster"
    log.mkdir()
    with crew(ours, log) as starter:
        command = within(NEAR, *run(tmp_path / "far", bursts, *joining(ADDRESS, ours, "120s")))
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as driver:
            try:
                _watch(page, driver, lambda: kill_one(starter))
                _, complaints = driver.communicate(timeout=600)
            finally:
                driver.kill()
    assert driver.returncode == 0, complaints
    subprocess.run(run(tmp_path / "here", bursts), check=True, capture_output=True)
    assert stored_bytes(tmp_path / "far/site.zarr") == stored_bytes(tmp_path / "here/site.zarr")


def _watch(page: Any, driver: subprocess.Popen[str], kill: Callable[[], None]) -> None:
    until(lambda: _opened(page), "the page", driver)
    until(lambda: page.evaluate(SHOWN)["running"], "the first job", driver)
    picture(page, "1-begun")
    until(lambda: _in_the_middle(page), "the middle of the first burst's products", driver)
    # from now on this stage is shown, whatever runs
    page.locator("#stages button[aria-current=true]").click()
    picture(page, "2-before")
    kill()
    until(lambda: page.evaluate(SHOWN)["faults"], "the retry of what the killed worker was at", driver)
    (fault,) = page.evaluate(SHOWN)["faults"]
    assert "retried" in fault
    assert "its worker died" in fault
    picture(page, "3-killed")
    until(lambda: page.evaluate(SHOWN)["workers"] == 2, "a worker in its place", driver)
    picture(page, "4-mended")
    page.wait_for_function('() => document.querySelector("#chip").textContent === "ended"', timeout=1.8e6)
    stages = page.evaluate(SEEN)
    picture(page, "5-ended")
    assert {name.rpartition("/")[2] for name in stages} >= {"raw", "prepare", "forecast", "report"}
    assert all(" · " in stage["made"] and " of " not in stage["made"] for stage in stages.values()), stages
    assert not any(stage["error"] for stage in stages.values()), stages
    assert len(stages) == 2 * len({name.rpartition("/")[2] for name in stages})


def _opened(page: Any) -> bool:
    try:
        page.goto(PAGE)
    except Exception:  # the scheduler is not up yet
        return False
    return True


def _in_the_middle(page: Any) -> bool:
    """Whether a stage of many jobs is between a quarter and the end of its work, and works."""
    done = page.locator("#legend [data-state=done] b")
    if not done.count():
        return False
    shown, made = page.evaluate(SHOWN), int(done.inner_text().replace(",", ""))
    jobs = page.locator("#grid i").count()
    return shown["running"] > 0 and jobs >= 8 and jobs / 4 <= made <= jobs / 2
