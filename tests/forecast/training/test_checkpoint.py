import os
from pathlib import Path

import pytest
import torch

from insar_dask.forecast.training import checkpoint
from insar_dask.forecast.training.checkpoint import CheckpointError
from tests.forecast.toy_training import Toy


def state(step: int) -> dict[str, object]:
    return {"step": step, "model": Toy(3).state_dict(), "history": {"step": [1, 2]}}


def saved(folder: Path, *steps: int) -> list[Path]:
    return [checkpoint.save(folder, step, state(step)) for step in steps]


def test_the_newest_is_loaded_and_the_one_before_it_kept(tmp_path: Path) -> None:
    paths = saved(tmp_path, 2, 4, 6)
    assert sorted(tmp_path.iterdir()) == paths[1:]
    found = checkpoint.load(tmp_path)
    assert found is not None and found.path == paths[2] and found.state["step"] == 6


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "absent") is None


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_torn_one_gives_way_to_the_one_before_it_and_that_is_said(tmp_path: Path, damage: str) -> None:
    older, newest = saved(tmp_path, 2, 4)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data if damage == "flipped" else data[:-10])
    notes: list[str] = []
    found = checkpoint.load(tmp_path, note=notes.append)
    assert found is not None and found.path == older
    assert len(notes) == 1 and newest.name in notes[0] and "torn" in notes[0] and older.name in notes[0]


def test_torn_ones_alone_are_an_error_with_a_cure(tmp_path: Path) -> None:
    for path in saved(tmp_path, 2, 4):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"checkpoint-00000004.*torn.*checkpoint-00000002.*torn.*delete"):
        checkpoint.load(tmp_path)


def test_a_kill_while_saving_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (older,) = saved(tmp_path, 2)

    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "fsync", killed)
        checkpoint.save(tmp_path, 4, state(4))
    found = checkpoint.load(tmp_path)
    assert found is not None and found.path == older
    (newest,) = saved(tmp_path, 6)
    assert sorted(tmp_path.iterdir()) == [older, newest], "what a kill left half written is swept"


def test_the_step_that_rank_0_chose_must_be_there(tmp_path: Path) -> None:
    saved(tmp_path, 2, 4)
    found = checkpoint.load(tmp_path, at=2)
    assert found is not None and found.state["step"] == 2
    with pytest.raises(CheckpointError, match="no checkpoint of step 3 here; is it the same folder on every worker"):
        checkpoint.load(tmp_path, at=3)


def test_another_model_is_refused_by_file_tensor_and_shapes(tmp_path: Path) -> None:
    (path,) = saved(tmp_path, 2)
    found = checkpoint.load(tmp_path)
    assert found is not None
    checkpoint.check_shapes(found.path, found.state["model"], Toy(3))
    with pytest.raises(
        CheckpointError, match=rf"{path}: tensor 'enter.bias' is float32 of shape \(3,\), the model wants .*\(5,\)"
    ):
        checkpoint.check_shapes(found.path, found.state["model"], Toy(5))
    with pytest.raises(CheckpointError, match=r"'enter.bias' is float32 of shape .*, the model wants absent"):
        checkpoint.check_shapes(found.path, found.state["model"], torch.nn.Identity())


def test_nothing_but_tensors_and_numbers_is_unpickled(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 2, {"step": 2, "code": os.system})
    with pytest.raises(CheckpointError, match="other things than tensors and numbers"):
        checkpoint.load(tmp_path)


def test_a_full_disk_is_said_and_keeps_what_was_there(small_disk: Path) -> None:
    (older,) = saved(small_disk, 2)
    (small_disk / "other").write_bytes(bytes(65536 - 4096 - 2 * older.stat().st_size))
    with pytest.raises(OSError, match=r"checkpoint of step 4 to .*disk: No space left on device; free space"):
        saved(small_disk, 3, 4)
    assert not list(small_disk.glob("checkpoint-00000004*"))
    (small_disk / "other").unlink()
    (newest,) = saved(small_disk, 4)
    found = checkpoint.load(small_disk)
    assert found is not None and found.path == newest


def test_a_folder_that_another_training_empties_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def prune_of_another(self: Path, target: Path) -> Path:
        self.unlink()
        return rename(self, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", prune_of_another)
    with pytest.raises(OSError, match=r"checkpoint of step 2 to .*another training writes there"):
        saved(tmp_path, 2)
    assert list(tmp_path.iterdir()) == []
