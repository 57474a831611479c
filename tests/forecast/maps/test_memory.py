import subprocess
import sys

import pytest

from insar_dask.forecast.maps import memory
from insar_dask.forecast.maps.memory import training_bytes
from insar_dask.forecast.models import build

TRAIN = r"""
import re, sys, psutil, torch
from pathlib import Path
from insar_dask.forecast.models import build
from insar_dask.forecast.training.train import Job, Training, train

name, sizes, batch, bf16, folder = eval(sys.argv[1])
class Windows:
    def batch(self, step, rank, world):
        maps = batch, sizes["horizon"], sizes["side"], sizes["side"]
        values = torch.randn(batch, sizes["context"], 6, sizes["side"], sizes["side"])
        targets, scored = torch.randn(maps), torch.ones(maps, dtype=torch.bool)
        return {"values": values, "target_time": torch.randn(*maps[:2], 2), "targets": targets, "scored": scored}
    def validation(self, rank, world):
        yield self.batch(0, 0, 1)
torch.set_num_threads(1)
before = psutil.Process().memory_info().rss
job = Job(build(name, **sizes), Windows(), Training(max_steps=2, batch=batch, check_every=2, bf16=bf16))
train(job, folder)
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())  # ru_maxrss would be the parent's
print(1024 * int(peak[1]) - before)
"""


@pytest.mark.parametrize(
    ("name", "sizes", "batch"),
    [
        ("mmstt", {"horizon": 5, "side": 64, "patch": 16, "layers": 5}, 6),
        ("cnn_lstm", {"side": 64}, 6),
        ("convlstm", {"side": 32}, 4),
        ("mm_stgcn", {"side": 32}, 8),
        ("mm_staeformer", {"side": 32}, 8),
    ],
)
def test_a_training_takes_what_was_predicted(name, sizes, batch, tmp_path):
    sizes = {"context": 10, "horizon": 10} | sizes
    given = repr((name, sizes, batch, True, str(tmp_path)))
    told = subprocess.run([sys.executable, "-c", TRAIN, given], check=True, capture_output=True, text=True)
    assert training_bytes(name, sizes, batch, bf16=True) == pytest.approx(int(told.stdout), rel=0.2)


def test_deep_networks_are_predicted_from_shallow_ones(monkeypatch):
    sizes = {"side": 16, "width": 32, "hidden": 64, "layers": 5}
    from_shallow = training_bytes("mmstt", sizes, 4)
    assert training_bytes("mmstt", sizes | {"layers": 10**7}, 4) > 1e12
    monkeypatch.setattr(memory, "FEW", 5)
    assert from_shallow == pytest.approx(training_bytes("mmstt", sizes, 4), rel=1e-3)


def test_bfloat16_takes_less_and_a_checkpoint_is_counted(monkeypatch):
    exact = training_bytes("convlstm", {"side": 16}, 8)
    assert training_bytes("convlstm", {"side": 16}, 8, bf16=True, device="cuda") < exact
    monkeypatch.setattr(memory, "is_quick", lambda _: False)
    assert training_bytes("convlstm", {"side": 16}, 8, bf16=True) == exact
    sizes = {"side": 8, "layers": 1, "width": 512, "hidden": 4096}
    weights = sum(weight.nbytes for weight in build("mmstt", **sizes).parameters())
    assert training_bytes("mmstt", sizes, 1) > 8 * weights


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="64 x 64 cells cannot be cut into patches of 7"):
        training_bytes("mmstt", {"patch": 7}, 8)
    with pytest.raises(ValueError, match="no network is called 'unet'"):
        training_bytes("unet", {}, 8)
