"""The public forecaster: fit on a cube, predict its future with intervals, keep it as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import xarray as xr

from insar_dask.forecast import protocol
from insar_dask.forecast.card import describe_data
from insar_dask.forecast.choices import Choices
from insar_dask.forecast.hindsight import error_since
from insar_dask.forecast.lacking import count_lacking
from insar_dask.forecast.learned import Learned
from insar_dask.forecast.maps.lattice import as_tiles, flattened, is_tiled
from insar_dask.forecast.memory import fitting_bytes, predicting_bytes
from insar_dask.forecast.walk import Tell, Walk, check_raw, fingerprint
from insar_dask.shards import SHARD_POINTS

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Forecaster"]


class Forecaster(Learned):
    """Forecasts of every point of a raw cube, or every cell of a tile cube, beyond its record, with intervals.

    Parameters
    ----------
    method : str, default "kriging"
        Name of a forecaster of `insar_dask.forecast.catalogue.FORECASTERS`, or ``"best"``: Kriging, or the one of the
        usual ones whose error at origins before the test is lower by more than chance. The default had the lowest error
        of all that train no network on three real products and three scenes, and takes seconds to fit.
        ``"spacetimeformer"`` is a network that corrects it by what the neighbours of a point do, as far as origins
        before the test bear out: so far it has gained little over it, if anything, see the README's table.
        ``"spacetimeformer_components"`` is the published system without its leaks: a network for each of trend, season
        and residual and for each pattern of motion, their forecasts added up. ``"mmstt"`` and its rivals
        ``"cnn_lstm"``, ``"convlstm"``, ``"mm_stgcn"`` and ``"mm_staeformer"`` are networks of maps: they take tile
        cubes alone, and add to the harmonic ridge of each cell. All networks need the extra ``train``.
    context : int, optional
        Steps of the recent past that are read; default: 24, and 10 of maps.
    horizon : int, optional
        Steps ahead; default: 6, and 10 of maps.
    every : str, optional
        Length of a step, such as ``"12D"``; default: the usual spacing of the last two years before the test.
    level : float, default 0.9
        Share of what comes that an interval should hold.
    test_fraction : float, default 0.2
        Last part of the record that the scores come from.
    stride : int, default 3
        Steps between the origins of validation and test.
    scored_points : int or None, default 65536
        Points that intervals and scores come from, about, evenly over the blocks; None for all.
    random_state : int, default 0
        Seed of all that is drawn.
    group : int, optional
        Neighbouring points that a network sees together; default: 16, and 8 for networks of components. Where there are
        fewer, or one alone, the other seats stay empty.
    n_patterns : int, default 8
        Patterns of motion, at most, that have networks of their own, where there are networks of components. No other
        method reads it: the network that corrects Kriging is told of no patterns, since it erred more when it was.
    sizes : mapping, optional
        Sizes of a network that differ from its usual ones, such as ``{"width": 64}``.
    training : mapping, optional
        How a network is trained, where that differs from `insar_dask.forecast.training.job.Training`: such as
        ``{"max_steps": 300, "batch": 32}``.
    device : str, default "cpu"
        What a network is trained on: ``"cpu"``, ``"cuda"``, or ``"auto"``, a GPU where there is one. All other methods
        are fitted on the processor, and refuse ``"cuda"``.

    Attributes
    ----------
    method_ : str
        Method that forecasts.
    scores_ : Scores
        Errors and coverage at origins that the scored weights had not seen.
    data_ : dict
        What was learned from: product, dates, number of points, SHA-256.
    plan_ : Plan
        Dates and origins.
    state_ : dict of arrays
        Everything learned.
    fitted_with_ : dict
        Parameters of that fit, as plain values.

    Notes
    -----
    Fitted by the honest protocol: at each origin every number was observed before it. Intervals are split-conformal, by
    classes of noise and by lead, see `insar_dask.forecast.conformal`.

    Examples
    --------
    >>> from insar_dask.synthetic import scene
    >>> cube = scene("chumar", n_points=200)
    >>> forecast = Forecaster("harmonic").fit(cube).predict(cube)
    >>> dict(forecast.sizes)["lead"], forecast.attrs["method"]
    (6, 'harmonic')
    """

    def fit(
        self,
        cube: xr.Dataset,
        *,
        client: Client | None = None,
        ranks: int | None = None,
        checkpoints: str | Path | None = None,
        progress: Tell | None = None,
        shard_points: int = SHARD_POINTS,
        memory: int | None = None,
    ) -> Self:
        """Learn from a cube, and find out how well that forecasts.

        Parameters
        ----------
        cube : xr.Dataset
            Raw point cube, or tile cube, lazy or in memory; read block by block, a tile being one.
        client : distributed.Client, optional
            A network is trained on its workers, which have to share this machine's files; all else is done here. For a
            cube in a store see `insar_dask.fit_stored`.
        ranks : int, optional
            Workers that train together; default: all of the client's.
        checkpoints : str or Path, optional
            Folder in which a training that was killed finds where it was; default: none is kept.
        progress : callable, optional
            Called with ``{"stage", "done", "total"}`` after every block, and with what a training says, see
            `insar_dask.forecast.training.logbook`; default: a line in the terminal, and where there is none its notes.
        shard_points : int
            Most points of a block of a cube in memory; methods that look at neighbours see those of a block. A tile is
            one, however many cells it has.
        memory : int, optional
            Bytes that may be taken beyond what this process holds; default: what is free.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        CubeError
            When it is no cube, is empty, has a tile without points, an infinite value, or has seen the future, or
            memory does not suffice, here or on a worker.
        TooShortError
            When it has too few dates; the message says how many are needed.
        ImportError
            When a network is asked for and torch is not installed.
        ValueError
            When a parameter is out of range or a name not known, a GPU or more ranks are asked for than there are, or
            a method that trains no network is given ``client``, ``ranks``, ``checkpoints`` or ``device="cuda"``.
        """
        cube = flattened(cube)
        plan, walk = self.plan_to_fit(cube), Walk(cube, shard_points)
        folder = None if checkpoints is None else Path(checkpoints)
        coach = self.coach(client=client, ranks=ranks, folder=folder, tell=progress)
        training = 0 if coach is None else coach.check_memory(cube, memory)
        walk.check_free("fitting", lambda block: fitting_bytes(cube, block, training=training), memory)
        stages, digest = iter(("fit", "score")), fingerprint(walk)
        state, scores = protocol.learn(
            lambda: walk.told(next(stages), progress),
            plan,
            cube.attrs,
            None if coach is None else lambda fitted: coach.train(walk, plan, fitted, digest),
            self.counted(walk.plan),
        )
        return self.learned(plan, state, scores, describe_data(cube, digest))

    def predict(
        self,
        cube: xr.Dataset,
        *,
        progress: Tell | None = None,
        shard_points: int = SHARD_POINTS,
        memory: int | None = None,
    ) -> xr.Dataset:
        """Forecast the dates after a cube's record, block by block in this process.

        Parameters
        ----------
        cube : xr.Dataset
            Raw point cube: that of the fit, the same with later dates, or one of other points with the same component
            and spacing, whose record does not end earlier; of a fit on tiles a tile cube.
        progress, shard_points, memory
            As for `fit`.

        Returns
        -------
        xr.Dataset
            Forecast cube ``(origin, point, lead)`` in memory, points in the cube's order: ``displacement``, ``lower``,
            ``upper`` [mm], ``time(origin, lead)``; attributes ``level``, ``method``, ``points_without_forecast``:
            points with too little of a history, which are NaN, and ``points_without_interval``: others whose ``lower``
            and ``upper`` are NaN at some lead, as too little is known of their noise or of errors there. Of a tile cube
            ``tile``, ``y`` and ``x`` stand for ``point``.

        Raises
        ------
        ValueError
            Before `fit`.
        CubeError
            When it is no cube, has a tile without points, has seen the future, does not go with what was learned, or
            takes too much memory.
        """
        if is_tiled(cube):
            cells = flattened(cube)
            return as_tiles(self.predict(cells, progress=progress, shard_points=shard_points, memory=memory), cube)
        plan, walk = self.plan_to_predict(cube), Walk(cube, shard_points)
        walk.check_free(
            "forecasting",
            lambda block: predicting_bytes(cube, block, plan.horizon, network=self.forecasting_bytes()),
            memory,
        )
        state = self.state_for(plan)
        parts = [protocol.forecast_block(block, plan, state) for block in walk.told("predict", progress)]
        # attributes, dates and CRS of the first: all parts have the same ones
        made = walk.back(xr.concat(parts, "point", data_vars="minimal", coords="minimal", compat="override"))
        without, unsure = count_lacking(made)
        return made.assign_attrs(points_without_forecast=without, points_without_interval=unsure)

    def learned_from(self, cube: xr.Dataset, wanted: Choices) -> bool:
        """Whether this forecaster is what ``wanted`` would become by a fit on the cube."""
        self._check_fitted()
        cube = flattened(cube)
        if self.fitted_with_ != wanted.checked() or self.plan_ != wanted.plan_to_fit(cube):
            return False
        return bool(self.data_["sha256"] == fingerprint(Walk(cube, SHARD_POINTS)))

    def score(self, cube: xr.Dataset) -> float:
        """Minus the root mean square error [mm] of forecasts from the end of the fitted record, where the cube goes on.

        Raises
        ------
        CubeError
            When it is no cube, none of its values is one that is forecast, or a value is infinite.
        """
        self._check_fitted()
        cube = flattened(cube)
        times = check_raw(cube)["time"].values.astype("datetime64[D]")
        known = cube.isel(time=np.flatnonzero(times <= np.datetime64(self.plan_.days[-1], "D")))
        return -error_since(self.predict(known), cube)
