"""The published system for permafrost (doi:10.3390/rs16111891) from end to end, and the forecast of every point.

usage: chumar.py [FOLDER [N_POINTS [MAX_STEPS [WORKERS [METHOD]]]]]     default: 588,600 points, a worker process a core

The configuration beside this file makes the plateau, cleans and smooths it, finds eight patterns, takes the series
apart, scores the usual forecasters honestly and as published, and writes page and maps. METHOD is ``spacetimeformer``,
which corrects Kriging and takes minutes, or ``spacetimeformer_components``, the 24 networks of the publication, which
take hours. Kill it and run it again: it goes on where it was.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import insar_dask as insar
from insar_dask.config import Config
from insar_dask.forecast import Forecaster


def configured(folder: Path, n_points: int | None, workers: int | None) -> Config:
    config = insar.load_config(Path(__file__).with_suffix(".toml"))
    size = {} if n_points is None else {"n_points": n_points}
    return config.model_copy(
        update={
            "synthetic": config.synthetic.model_copy(update=size),
            "cluster": config.cluster.model_copy(update={"workers": workers}),
            "store": config.store.model_copy(update={"path": str(folder / "cube.zarr")}),
        }
    )


def main(
    folder: str = "chumar-output",
    n_points: int | str | None = None,
    max_steps: int | str = 1000,
    workers: int | str | None = None,
    method: str = "spacetimeformer",
) -> None:
    out = Path(folder)
    config = configured(out, None if n_points is None else int(n_points), None if workers is None else int(workers))
    alone = config.cluster.workers == 0
    with nullcontext() if alone else insar.session(**config.cluster.model_dump()) as client:
        (outcome,) = insar.run(config, client=client)
        print(f"report: {outcome.report}", *outcome.summary, sep="\n")

        model = Forecaster(method, context=24, horizon=6, training={"max_steps": int(max_steps)})
        ranks = None if client is None else len(client.nthreads())  # all workers train together
        model = insar.fit_stored(outcome.store, model, client=client, ranks=ranks)
        model.save(out / method)
        print(model.scores_.table())

        forecast = insar.predict_stored(outcome.store, model, client=client)
    change = (forecast["displacement"].isel(lead=-1) - forecast["displacement"].isel(lead=0)).squeeze().compute()
    low, high = change.quantile([0.01, 0.99]).values
    print(
        f"{forecast.sizes['point']:,} points forecast to {str(forecast['time'].values[0, -1])[:10]}; "
        f"98 % of them move {low:+.1f} to {high:+.1f} mm from the first lead to the last"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
