import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from insar_dask.forecast.models import blocks, build
from tests.benchmarks import bench_maps, bench_models, gpu, gpu_checks, gpu_networks
from tests.benchmarks.gpu_networks import Bench, Subject
from tests.benchmarks.gpu_roofline import counted, mmstt_flops, spacetimeformer_flops
from tests.benchmarks.gpu_rows import guarded

SCRIPT = Path(gpu.__file__)
ROOT = SCRIPT.parents[2]


def test_without_a_gpu_one_sentence_says_so():
    if gpu.lacking() is None:
        pytest.skip("a GPU is there: measure it with tests/benchmarks/gpu.py")
    paths = os.pathsep.join([".", "kernels"])  # as it says
    told = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": paths}}
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False, **told)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("gpu.py measures a GPU, and none is usable here: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", gpu.calls())
def test_every_kernel_that_is_measured_runs_on_what_it_is_given(name):
    y = np.random.default_rng(0).normal(0, 9, (60, gpu.DATES)).astype(np.float32)
    prepared, kernel, count = gpu.calls()[name]
    found = gpu.parts(kernel(*prepared(y)))
    assert count(*prepared(y)) > 0
    assert all(np.isfinite(part).all() for part in found)
    assert [gpu.apart(part, part) for part in found] == [0.0] * len(found)
    assert gpu.apart(found[0], found[0] * np.nan) == np.inf


@pytest.fixture
def small(monkeypatch):
    """A bench on the processor, so small that all of it takes a second or two."""
    subjects = (
        Subject("fast", gpu_networks.points_job("fast", 2), 32, gpu_networks.FAST, 60.0),
        Subject("mmstt", gpu_networks.maps_job(1, layers=1), 1, mmstt_flops(), 1e-3, 1),
    )
    torch.set_num_threads(1)
    monkeypatch.setattr(gpu_networks, "SUBJECTS", subjects)
    monkeypatch.setattr(blocks, "WAITED_FOR", frozenset())
    return Bench(torch.device("cpu"), points=64, warm=0, steps=1, maps=2, checked=1, bf16=False)


def test_networks_are_measured_as_they_will_be_on_a_gpu(small):
    rows = list(gpu_networks.network_rows(1e12, lambda: 0.0, small))
    steps = [row for row in rows if row["what"].endswith("training step") and "seconds" in row]
    assert len(steps) == 2 and all(row["seconds"] > 0 and row["share"] > 0 for row in steps)
    assert [row["wanted"] for row in rows if "bar" in row] == ["<= 2 s", "<= 60 s", "<= 0.001 s"]
    assert sum("left out, since 0 s of the run are left" in row.get("note", "") for row in rows) == 2
    whole = next(row for row in rows if row["what"] == "fast, 41,800,000 samples at best")
    assert whole["seconds"] == pytest.approx(41_800_000 / 32 * steps[0]["seconds"])
    assert "reckoned from 1 steps; set no INSAR_DASK_GPU_STEPS" in whole["note"]


def test_what_only_a_gpu_can_answer_is_asked_without_one(small):
    rows = list(gpu_checks.check_rows(small))
    assert [row["note"] for row in rows if "bar" in row] == ["the same bits"]
    assert sum("attention to" in row["what"] for row in rows) == 10
    assert len(list(gpu_checks.kernel_rows(small))) == len(gpu_checks.ATTENTIONS)


def test_what_breaks_off_is_told_and_leaves_the_rest():
    def rows():
        yield {"what": "first"}
        raise torch.OutOfMemoryError("no\nmemory")

    assert [row.get("note") for row in guarded("these", rows())] == [None, "OutOfMemoryError: no memory"]


@pytest.mark.parametrize("network", ["fast", "spacetimeformer", "mmstt"])
def test_products_by_formula_are_those_that_torch_counts(network):
    points = {"points": 16} if network == "spacetimeformer" else {}
    model = build(network, **points).eval().to("meta")
    given = bench_maps.batch(1) if network == "mmstt" else bench_models.batch(16, 3 if points else 5, 1)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model({name: tensor.to("meta") for name, tensor in given.items()})
    formula = {
        "fast": 16 * spacetimeformer_flops(16, 128, 512, 128, patch=6),
        "spacetimeformer": 16 * spacetimeformer_flops(16, 100, 400, 120),
        "mmstt": mmstt_flops(),
    }
    assert counter.get_total_flops() == pytest.approx(formula[network], rel=0.03)


def test_kernels_and_bytes_are_counted_once_and_views_are_none():
    x, y = torch.ones(8, 4), torch.ones(4).expand(8, 4)
    work = counted(lambda: (x.view(4, 8).t() * 2, x + y), 0.0)
    assert work.kernels == 2 and work.bytes == 4 * (32 + 32 + 32 + 4 + 32)
