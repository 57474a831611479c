import io
import sys

import pytest

from insar_dask.jobs.progress.watch import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_fits_a_terminal_of_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with Progress("EGMS_L3_E45N17_100km_U_2020_2024_1/forecast", 1000) as progress:
        progress.advance(1_234_567, 1000)
    assert "forecast L3_E45N17_100km_U" in screen.getvalue()
    assert "1000/1000" in screen.getvalue()
    assert "0:00:00" in screen.getvalue()


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("site/raw", 4) as progress:
        progress.advance(10)
    assert capsys.readouterr() == ("", "")
