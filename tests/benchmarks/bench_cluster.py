"""K-means of 588,600 smoothed series: time, inertia and agreement with the truth, against scikit-learn and dask-ml.

``make bench TOPICS=cluster``, about two minutes. CPU seconds; wall seconds where it says so.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

import insar_dask as insar
from insar_dask.synthetic import scene
from insar_kernels.lloyd import lloyd_sums
from tests.benchmarks.measure import gate

N_POINTS, N_CLUSTERS = 588_600, 8
RUNS = 5
SMALLER = (("l2b", 0), ("l2b", 1), ("l3u", 2), ("chumar", 1))
N_SMALLER = 100_000


def rows() -> list[dict[str, Any]]:
    cube = smoothed("chumar", N_POINTS, 0)
    with threadpool_limits(1):  # after SciPy has loaded its BLAS: earlier it has no effect
        return [*step_rows(cube), *fit_rows(cube), *(scene_row(kind, seed) for kind, seed in SMALLER)]


def smoothed(kind: str, n_points: int, seed: int) -> xr.Dataset:
    cube = insar.regularise(scene(kind, n_points=n_points, seed=seed), every="12D")  # type: ignore[arg-type]
    return insar.savgol(cube).compute()


def step_rows(cube: xr.Dataset) -> list[dict[str, Any]]:
    """One Lloyd step over all rows; scikit-learn's is the difference of runs of eleven steps and of one."""
    values = cube["displacement"].values
    start = values[:: len(values) // N_CLUSTERS][:N_CLUSTERS].copy()
    holes = values.copy()
    holes[np.random.default_rng(1).random(values.shape, dtype=np.float32) < 0.05] = np.nan
    lloyd_sums(values[:9], start)

    def theirs(steps: int) -> float:
        model = KMeans(N_CLUSTERS, init=start, n_init=1, max_iter=steps, tol=0)
        return cpu(lambda: model.fit(values))

    pairs = [(cpu(lambda: lloyd_sums(values, start)), (theirs(11) - theirs(1)) / 10) for _ in range(RUNS)]
    gappy = [(cpu(lambda: lloyd_sums(holes, start)), cpu(lambda: lloyd_sums(values, start))) for _ in range(RUNS)]
    ours, rival = ([pair[i] for pair in pairs] for i in (0, 1))
    shape = f"{len(values):,} x {values.shape[1]}"
    cost = [pair[0] for pair in gappy]
    return [
        row(f"a step of Lloyd's k-means, {shape}", ours, "scikit-learn lloyd", rival, "none", ""),
        row("the same, 5 % NaN", cost, "the same, complete", [b for _, b in gappy], "<= 3", "cost of gaps")
        | {"ratio": statistics.median(a / b for a, b in gappy)},
    ]


def fit_rows(cube: xr.Dataset) -> list[dict[str, Any]]:
    """The whole fit, in memory, against full k-means from the same start and from its own, and mini-batches alone."""
    values = cube["displacement"].values
    model = insar.Clusters().fit(cube)
    began = time.perf_counter()
    ours = cpu(lambda: model.fit(cube))
    wall = time.perf_counter() - began
    start = model.state()["start"]
    full = KMeans(N_CLUSTERS, init=start, n_init=1, max_iter=300)
    seconds = cpu(lambda: full.fit(values))
    labels = model.predict(cube)["cluster"].values
    same = f"{wall:.1f} s wall; inertia {model.inertia_ / full.inertia_:.4f} of it; " + agreement(
        cube, labels, full.labels_
    )
    first = row("Clusters().fit, 8 clusters", [ours], "KMeans, same start", [seconds], "<= 10 s", same)
    table = [first | {"gates": [inertia_gate(model.inertia_ / full.inertia_)]}]
    for name, rival in rivals().items():
        seconds = cpu(lambda rival=rival: rival.fit(values))  # type: ignore[misc]
        note = f"inertia {model.inertia_ / inertia(values, rival.cluster_centers_):.4f} of its"
        table.append(row("Clusters().fit, 8 clusters", [ours], name, [seconds], "none", note))
    return table


def rivals() -> dict[str, Any]:
    found: dict[str, Any] = {
        "KMeans, its own start": KMeans(N_CLUSTERS, n_init=1, random_state=0),
        "MiniBatchKMeans, in memory": MiniBatchKMeans(N_CLUSTERS, n_init=3, random_state=0),
    }
    if importlib.util.find_spec("dask_ml"):
        from dask_ml.cluster import KMeans as DaskKMeans

        found["dask-ml KMeans"] = DaskKMeans(N_CLUSTERS, random_state=0, max_iter=50)
    return found


def scene_row(kind: str, seed: int) -> dict[str, Any]:
    """Inertia over several random states, against full k-means from the same start and the best of all runs."""
    cube = smoothed(kind, N_SMALLER, seed)
    values, ratios, ours, theirs, agreements = cube["displacement"].values, [], [], [], []
    for random_state in range(4):
        model = insar.Clusters(random_state=random_state)
        ours.append(cpu(lambda model=model: model.fit(cube)))  # type: ignore[misc]
        full = KMeans(N_CLUSTERS, init=model.state()["start"], n_init=1, max_iter=300)
        theirs.append(cpu(lambda full=full: full.fit(values)))  # type: ignore[misc]
        ratios.append(model.inertia_ / full.inertia_)
        agreements.append(agreement(cube, model.predict(cube)["cluster"].values, full.labels_))
    note = f"inertia {' '.join(f'{ratio:.4f}' for ratio in ratios)} of it; {agreements[0]}"
    found = row(f"{kind}, seed {seed}, {N_SMALLER:,} points", ours, "KMeans, same start", theirs, "none", note)
    return found | {"gates": [inertia_gate(max(ratios))]}


def inertia_gate(ratio: float) -> dict[str, Any]:
    """The descent must end within 1 % of full k-means from the same start."""
    return gate("inertia over that of full k-means from the same start", ratio, at_most=1.01)


def inertia(values: Any, centroids: Any) -> float:
    from insar_kernels.lloyd import INERTIA_UNIT

    return float(lloyd_sums(values, np.asarray(centroids, np.float32)).inertia * INERTIA_UNIT)


def agreement(cube: xr.Dataset, ours: Any, full: Any) -> str:
    """Adjusted Rand indices: of both with the kinds of motion that the scene was drawn from, and of one another."""
    truth = cube["true_regime"].values
    figures = [adjusted_rand_score(*pair) for pair in ((truth, ours), (truth, full), (full, ours))]
    return "ARI with the truth {:.2f} (full {:.2f}), with full {:.2f}".format(*figures)


def cpu(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def row(what: str, ours: list[float], rival: str, theirs: list[float], bar: str, note: str) -> dict[str, Any]:
    return {
        "what": what,
        "ours_s": statistics.median(ours),
        "rival": rival,
        "rival_s": statistics.median(theirs),
        "ratio": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "bar": bar,
        "note": note,
    }
