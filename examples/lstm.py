"""Train an LSTM on the series of a store, and compare it with persistence on dates that it has not seen.

usage: lstm.py [FOLDER [NETWORK [STEPS [N_POINTS]]]]     networks: lstm, transformer, spacetimeformer, fast

`insar_dask.forecast.build_job` does the same for any store: `path` and `group` name the series, and ranks of a cluster
train it by `train_anywhere(..., client=client)`. Killed and started again it goes on from its last checkpoint.
"""

import sys
from pathlib import Path

import numpy as np

import insar_dask as insar
from insar_dask.forecast import build_job, train_anywhere
from insar_dask.forecast.series.prediction_blocks import series_contexts
from insar_dask.forecast.series.splits import split_by_length
from insar_dask.forecast.training.progress_line import ProgressLine
from insar_dask.synthetic import scene


def main(folder: str = "lstm", network: str = "lstm", steps: int | str = 200, n_points: int | str = 2000) -> None:
    site = Path(folder) / "site.zarr"
    if not site.exists():
        cube = scene("chumar", n_points=int(n_points)).compute()
        insar.save(cube.drop_vars([name for name in cube if str(name).startswith("true_")]), site, "site/raw")

    wanted = {
        "source": {"path": str(site), "group": "site/raw"},
        "network": network,
        "every": 12,  # days between the dates of the grid that networks read
        "windows": {"context": 24, "horizon": 6, "length": 8},
        "training": {"max_steps": int(steps)},
    }
    job = build_job(**wanted)
    checkpoints = Path(folder) / "checkpoints"
    with ProgressLine(network) as tell:
        trained = train_anywhere(lambda: job, "insar_dask.forecast:build_job", wanted, checkpoints, tell=tell)
    print(f"{trained.steps} steps, validation loss {min(trained.history['validation']):.3f}")

    source = job.windows.source
    origins = split_by_length(len(source.days)).test.origins(24, 6, reach_back=True)
    (block,) = series_contexts(source, job.windows.framing, origins)
    measured = np.where(source.observed, block.points.values, np.nan)  # dates of the grid that no acquisition is near
    came = np.stack([measured[:, origin : origin + 6] for origin in origins])
    today = np.stack([last_known(measured[:, :origin]) for origin in origins])[..., None]
    said = block.forecast(job.model.eval())
    print(f"{len(origins)} origins: {network} {rmse(said - came):.2f} mm, persistence {rmse(today - came):.2f} mm")


def last_known(series: np.ndarray) -> np.ndarray:
    """Last value that is not NaN of each series (n, T)."""
    at = series.shape[1] - 1 - np.isfinite(series)[:, ::-1].argmax(axis=1)
    return series[np.arange(len(series)), at]


def rmse(error: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(error**2)))


if __name__ == "__main__":
    main(*sys.argv[1:])
