import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from insar_dask.forecast.training import hold
from insar_dask.forecast.training.attempt import TOKEN
from insar_dask.forecast.training.hold import HeldError, held, passing_folder
from insar_dask.forecast.training.train import train
from tests.forecast.toy_training import job

HOLDER = """
import pathlib, sys
from insar_dask.forecast.training.hold import held, passing_folder

with held(pathlib.Path(sys.argv[1])) if sys.argv[1:] else passing_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """One that holds a folder, or has a passing one, and what it says of it."""
    command = [sys.executable, "-c", HOLDER, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_second_training_in_a_folder_is_refused(tmp_path: Path) -> None:
    def begin_another(said: object) -> None:
        train(job(), tmp_path)

    with pytest.raises(
        HeldError, match=rf"at work in .*, process {os.getpid()} on .*: wait for it, or end it, or name"
    ):
        train(job(), tmp_path, tell=begin_another)
    assert train(job(), tmp_path).steps == 12, "the one that was refused leaves no lock behind"


def test_a_process_that_is_killed_holds_nothing_any_more(tmp_path: Path) -> None:
    with another_process(str(tmp_path)) as (process, _):
        with pytest.raises(HeldError, match=f"process {process.pid} on"), held(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with held(tmp_path):
            pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file is a file, and checkpoints go to a folder"):
        train(job(), tmp_path / "file")


def test_a_name_in_the_file_holds_nothing(tmp_path: Path) -> None:
    """As after a crash of the machine, with a process of the same number since."""
    (tmp_path / "lock").write_text(f"process {os.getppid()} on another host, and more")
    with held(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")


def test_ranks_of_a_driver_that_is_gone_are_disowned(tmp_path: Path) -> None:
    (tmp_path / TOKEN).write_text("an attempt")
    with held(tmp_path):
        assert not (tmp_path / TOKEN).exists()


def test_a_lock_that_was_removed_with_its_folder_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, lock = tmp_path / "training", hold._flock

    def remove_once(file: IO[str]) -> None:
        monkeypatch.setattr(hold, "_flock", lock)
        shutil.rmtree(folder)
        lock(file)

    monkeypatch.setattr(hold, "_flock", remove_once)
    with held(folder), pytest.raises(HeldError), held(folder):
        pass


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: IO[str]) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(hold, "_flock", refuse)
    said: list[str] = []
    with held(tmp_path, said.append):
        assert "without locks: see to it that no other training" in said[0]


def test_passing_folders_of_killed_processes_alone_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with another_process() as (killed, left), another_process() as (_, living):
        assert left != living
        killed.kill()
        killed.wait()
        with passing_folder() as folder:
            assert not Path(left).exists() and Path(living).exists() and folder.parent == tmp_path
        assert not folder.exists()


def test_whoever_starts_while_a_passing_folder_is_removed_is_not_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    remove = shutil.rmtree

    def sweep_first(folder: Path) -> None:
        monkeypatch.setattr(shutil, "rmtree", remove)
        hold._sweep(folder)
        remove(folder)

    with passing_folder() as folder:
        monkeypatch.setattr(shutil, "rmtree", sweep_first)
    assert not folder.exists()


def test_a_passing_folder_that_is_swept_before_it_is_held_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, swept = hold._flock, []

    def hold_once(file: IO[str]) -> None:
        monkeypatch.setattr(hold, "_flock", lock)
        swept.append(Path(file.name).parent)
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(hold, "_flock", hold_once)
    with passing_folder() as folder:
        assert folder not in swept and folder.exists()
    shutil.rmtree(swept[0])
