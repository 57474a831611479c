import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from zarr.storage import MemoryStore

from insar_dask.dashboard.kept import kept_page
from insar_dask.dashboard.page import live_page
from insar_dask.jobs.progress.board import Board
from insar_dask.jobs.receipts import Ledger, Receipt
from tests.dashboard.boards import STAGE, TRACE, board_of, busy_board, done, failed, retried, running, stage
from tests.report.test_patterns import VISIONS, oklab

Opened = Callable[..., Any]
LETTERS = {"done": "d", "skipped": "s", "running": "r", "retried": "t", "failed": "f", "waiting": "w"}


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Open a file in a browser; what the page complains of, and whom it asks, is looked at in the end."""
    pages, complaints, asked = [], [], []

    def open_page(text: str, width: int = 1280, scheme: str = "light") -> Any:
        file = tmp_path / "jobs.html"
        file.write_text(text, encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("#grid i, #nothing:not([hidden])")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def kept(board: Board, receipts: dict[int, Receipt] | None = None) -> str:
    store = MemoryStore()
    for receipt in (receipts or {}).values():
        Ledger(store).write(STAGE, receipt)
    return kept_page(board, store)


BACKGROUNDS = "all => [...new Set(all.map(one => getComputedStyle(one).backgroundColor))]"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_every_job_has_a_square_of_the_colour_of_its_state(opened: Opened, width: int, scheme: str) -> None:
    board = busy_board()
    page = opened(kept(board), width, scheme)
    colours: set[str] = set()
    for name, count in board.stages[STAGE].counts().items():
        squares = page.locator(f"#grid i.{LETTERS[name]}")
        assert squares.count() == count, name
        legend = page.locator(f"#legend .{LETTERS[name]}").evaluate_all(BACKGROUNDS)
        assert squares.evaluate_all(BACKGROUNDS) == legend
        colours.update(legend)
        assert page.locator(f"#legend [data-state={name}] b").inner_text() == str(count)
        assert page.locator(f"#map rect.{LETTERS[name]}").count() == count
    assert len(colours) == 6
    assert page.locator("#grid i.late").count() == 1
    assert page.locator("#grid i.tried").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_click_on_a_failed_job_shows_its_traceback(opened: Opened) -> None:
    page = opened(kept(busy_board()))
    assert page.locator("#faults tbody tr").count() == 3
    page.locator("#grid i.f").click()
    assert page.locator("#detail #trace").inner_text() == TRACE
    assert page.locator("#detail h2").inner_text().startswith("Shard 7")
    page.keyboard.press("Escape")
    assert page.locator("#detail").is_hidden()


def test_a_click_on_a_done_job_shows_its_receipt(opened: Opened) -> None:
    receipt = Receipt(9, "ab" * 32, "cd" * 32, 4000, 1000, 2.0, "host-a")
    page = opened(kept(busy_board(), {9: receipt}))
    page.locator("#grid i").nth(9).click()
    said = page.locator("#detail .receipt").inner_text()
    assert {"ab" * 32, "cd" * 32, "host-a", "1,000", "4,000"} <= set(said.splitlines())
    page.locator("#map rect[data-cell='7']").click()
    assert page.locator("#detail h2").inner_text().startswith("Shard 7")


def test_a_job_can_be_reached_and_opened_by_the_keyboard(opened: Opened) -> None:
    page = opened(kept(busy_board()))
    page.locator("#grid i").first.focus()
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "shard 7: failed"
    page.keyboard.press("Enter")
    assert page.locator("#detail #trace").is_visible()


def test_a_hundred_thousand_jobs_are_shown_as_neighbours_and_opened_one_by_one(opened: Opened) -> None:
    events = [stage(100_000, boxes=True), *(done(shard, at=101.0) for shard in range(640))]
    page = opened(kept(board_of([*events, failed(700, at=102.0), running(800, at=103.0), retried(801, at=103.0)])))
    assert page.locator("#grid i").count() == 1563
    assert page.locator("#grid i.d").count() == 10
    assert page.locator("#legend [data-state=waiting] b").inner_text() == "99,357"
    page.locator("#grid i").nth(700 // 64).click()
    assert page.locator("#detail .shards button").count() == 64
    assert page.locator("#detail #trace").inner_text() == TRACE  # what failed is opened at once
    page.locator("#detail .shards button").nth(0).click()
    assert page.locator("#detail h2").nth(1).inner_text().startswith("Shard 640")


def test_losses_rates_stragglers_and_workers_are_told(opened: Opened) -> None:
    page = opened(kept(busy_board()))
    assert page.locator("#loss polyline").count() == 2
    assert "step 20 of 40" in page.locator("#lossnote").inner_text()
    assert "0.375" in page.locator("#losskey").inner_text()
    assert page.locator("#course rect").count() == 20
    assert page.locator("#late tbody td").nth(0).inner_text() == "26"
    assert page.locator("#workers tbody tr").count() == 2


def test_a_page_before_any_run_says_so(opened: Opened) -> None:
    page = opened(kept(Board()))
    assert "Nothing has run yet" in page.locator("#nothing").inner_text()


@pytest.mark.parametrize("vision", VISIONS)
def test_any_eye_can_tell_the_states_apart(vision: str) -> None:
    css = live_page()
    for block in (css[css.index(":root{") :], css[css.index("dark){:root{") :]):
        seen = []
        for name in LETTERS:
            found = re.search(rf"--{name}:(#[0-9a-f]{{6}})", block)
            assert found
            seen.append(oklab(found[1], VISIONS[vision]))
        assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.14


def test_the_page_is_one_file_that_asks_nobody_else() -> None:
    page = live_page()
    assert not re.findall(r"(?:src|href)=[\"']?(?!data:)[a-z]+:", page)
    assert "default-src 'none'" in page
