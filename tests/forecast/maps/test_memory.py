import subprocess
import sys

import pytest

from insar_dask.forecast.maps.memory import training_bytes
from insar_dask.forecast.models import build

TRAIN = """
import resource, sys, psutil, torch
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
job = Job(build(name, **sizes), Windows(), Training(max_steps=3, batch=batch, check_every=2, bf16=bf16))
train(job, folder)
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("name", "sizes", "batch", "bf16"),
    [("mmstt", {"layers": 4, "context": 10, "patch": 16}, 8, True), ("mm_stgcn", {"context": 9}, 2, False)],
)
def test_a_training_takes_what_was_predicted(name, sizes, batch, bf16, tmp_path):
    sizes = {"horizon": 5, "side": 64} | sizes
    given = repr((name, sizes, batch, bf16, str(tmp_path)))
    told = subprocess.run([sys.executable, "-c", TRAIN, given], check=True, capture_output=True, text=True)
    assert training_bytes(name, sizes, batch, bf16) == pytest.approx(int(told.stdout), rel=0.2)


def test_depth_and_batch_are_predicted_without_building_all_of_it():
    small = {"side": 16, "width": 32, "hidden": 64}

    def needed(layers, batch):
        return training_bytes("mmstt", small | {"layers": layers}, batch)

    assert needed(12, 1) - needed(8, 1) == pytest.approx(4 * (needed(5, 1) - needed(4, 1)), rel=1e-3)
    assert needed(4, 64) - needed(4, 32) == pytest.approx(needed(4, 96) - needed(4, 64), rel=0.02)
    assert needed(10**7, 1) > 1e12


def test_bfloat16_takes_less_and_a_checkpoint_is_counted():
    assert training_bytes("convlstm", {"side": 16}, 8, bf16=True) < training_bytes("convlstm", {"side": 16}, 8)
    sizes = {"side": 8, "layers": 1, "width": 512, "hidden": 4096}
    weights = sum(weight.nbytes for weight in build("mmstt", **sizes).parameters())
    assert training_bytes("mmstt", sizes, 1) > 8 * weights


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="64 x 64 cells cannot be cut into patches of 7"):
        training_bytes("mmstt", {"patch": 7}, 8)
    with pytest.raises(ValueError, match="no network is called 'unet'"):
        training_bytes("unet", {}, 8)
