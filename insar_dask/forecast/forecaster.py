"""The public forecaster: fit on a cube, predict its future with intervals, keep it as a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError, check_finite
from insar_dask.forecast import protocol, registry
from insar_dask.forecast.card import describe_data, leak_statement, markdown, versions
from insar_dask.forecast.choices import BEST, Choices
from insar_dask.forecast.memory import check_training, fitting_bytes, predicting_bytes
from insar_dask.forecast.model_folder import read_folder, write_folder
from insar_dask.forecast.schedule import moved
from insar_dask.forecast.scores import Scores
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.walk import Tell, Walk, check_raw, fingerprint, observed_dates
from insar_dask.shards import SHARD_POINTS

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Forecaster"]

State = dict[str, npt.NDArray[Any]]


class Forecaster(Choices):
    """Forecasts of every point of a raw cube beyond its record, with intervals.

    Parameters
    ----------
    method : str, default "kriging"
        Name of a forecaster of `insar_dask.forecast.catalogue.FORECASTERS`, or ``"best"``: the one of the usual ones
        that has the lowest error at origins before the test. The default had the lowest error of all on three real
        products and three scenes, and takes seconds to fit. ``"spacetimeformer"`` is a network that corrects it by what
        the neighbours of a point do, as far as origins before the test bear out: so far it has gained nothing over
        it, see the README's table. ``"spacetimeformer_components"`` is the published system without its leaks:
        a network for each of trend, season and residual and for each pattern of motion, their forecasts added up.
        Both need the extra ``train``.
    context : int, default 24
        Steps of the recent past that are read.
    horizon : int, default 6
        Steps ahead.
    every : str, optional
        Length of a step, such as ``"12D"``; default: the usual spacing of the cube's last two years.
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
        Neighbouring points that a network sees together; default: 16, and 8 for networks of components.
    n_patterns : int, default 8
        Patterns of motion, at most, that have networks of their own, where there are networks of components.
    sizes : mapping, optional
        Sizes of a network that differ from its usual ones, such as ``{"width": 64}``.
    training : mapping, optional
        How a network is trained, where that differs from `insar_dask.forecast.training.job.Training`: such as
        ``{"max_steps": 300, "batch": 32}``.
    device : str, default "cpu"
        What a network is trained on: ``"cpu"``, ``"cuda"``, or ``"auto"``, a GPU where there is one.

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
            Raw point cube, lazy or in memory; read block by block.
        client : distributed.Client, optional
            A network is trained on its workers, which have to share this machine's files; all else is done here. For a
            cube in a store see `insar_dask.fit_stored`.
        ranks : int, optional
            Workers that train together; default: all of the client's.
        checkpoints : str or Path, optional
            Folder in which a training that was killed finds where it was; default: none is kept.
        progress : callable, optional
            Called with ``{"stage", "done", "total"}`` after every block, and with what a training says, see
            `insar_dask.forecast.training.logbook`; default: a line in the terminal, if there is one.
        shard_points : int
            Most points of a block of a cube in memory; methods that look at neighbours see those of a block.
        memory : int, optional
            Bytes that may be taken beyond what this process holds; default: what is free.

        Returns
        -------
        Forecaster
            Itself.

        Raises
        ------
        CubeError
            When the cube is none, is empty, has an infinite value, or has seen the future, or memory does not suffice.
        TooShortError
            When it has too few dates; the message says how many are needed.
        ImportError
            When a network is asked for and torch is not installed.
        ValueError
            When a parameter is out of range or a name not known, a GPU or more ranks are asked for than there are.
        """
        plan, walk = self.plan_to_fit(cube), Walk(cube, shard_points)
        folder = None if checkpoints is None else Path(checkpoints)
        coach = self.coach(client=client, ranks=ranks, folder=folder, tell=progress) if self.trains else None
        training = 0 if coach is None or client is not None else coach.bytes(cube)
        check_training(training, memory)
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
            and spacing, whose record does not end earlier.
        progress, shard_points, memory
            As for `fit`.

        Returns
        -------
        xr.Dataset
            Forecast cube ``(origin, point, lead)`` in memory, points in the cube's order: ``displacement``, ``lower``,
            ``upper`` [mm], ``time(origin, lead)``; attributes ``level``, ``method``, and ``points_without_forecast``:
            points with too little of a history, which are NaN.

        Raises
        ------
        ValueError
            Before `fit`.
        CubeError
            When the cube is none, has seen the future, does not go with what was learned, or takes too much memory.
        """
        plan, walk = self.plan_to_predict(cube), Walk(cube, shard_points)
        walk.check_free(
            "forecasting",
            lambda block: predicting_bytes(cube, block, plan.horizon, network=self.forecasting_bytes()),
            memory,
        )
        parts = [protocol.forecast_block(block, plan, self.state_) for block in walk.told("predict", progress)]
        # attributes, dates and CRS of the first: all parts have the same ones
        made = walk.back(xr.concat(parts, "point", data_vars="minimal", coords="minimal", compat="override"))
        missing = int(made["displacement"].isnull().all(["origin", "lead"]).sum())
        return made.assign_attrs(points_without_forecast=missing)

    def trained_bytes(self) -> int:
        """Bytes of the weights of networks."""
        return sum(array.nbytes for name, array in self.state_.items() if ".trained." in name)

    def score(self, cube: xr.Dataset) -> float:
        """Minus the root mean square error [mm] of forecasts from the end of the fitted record, where the cube goes on.

        Raises
        ------
        CubeError
            When the cube is none, none of its values is one that is forecast, or a value is infinite.
        """
        self._check_fitted()
        times = check_raw(cube)["time"].values.astype("datetime64[D]")
        known = cube.isel(time=np.flatnonzero(times <= np.datetime64(self.plan_.days[-1], "D")))
        forecast = self.predict(known)
        targets = forecast["time"].values[0].astype("datetime64[D]")
        real = cube["observed"].values if "observed" in cube else np.ones(len(times), bool)
        met = np.flatnonzero(np.isin(targets, times[real]))
        if met.size == 0:
            raise CubeError(
                f"the cube has none of the dates forecast, {targets[0]} to {targets[-1]}: score on a later record"
            )
        later = check_finite(cube.isel(time=np.searchsorted(times, targets[met])).load())
        came = later["displacement"].values.astype(np.float64)
        errors = forecast["displacement"].values[0][:, met] - came
        if not np.isfinite(errors).any():
            first, last = targets[met[0]], targets[met[-1]]
            raise CubeError(
                f"no point has both a forecast and a value from {first} to {last}: there is nothing to score"
            )
        return -float(np.sqrt(np.nanmean(errors**2)))

    def plan_to_predict(self, cube: xr.Dataset) -> Plan:
        """Dates and origin of the forecast beyond a cube, after checking that the cube goes with what was learned."""
        self._check_fitted()
        check_raw(cube)
        learned, came = self.data_["component"], str(cube.attrs["component"])
        if came != learned:
            raise CubeError(f"the cube's component is {came!r}, this forecaster has learned from {learned!r}: fit anew")
        return moved(self.plan_, cube["time"].values, observed_dates(cube))

    def learned(self, plan: Plan, state: Mapping[str, Any], scores: Scores, data: Mapping[str, Any]) -> Self:
        """Take over what was learned of a cube by the protocol, once it holds together.

        Parameters
        ----------
        plan : Plan
            From `plan_to_fit`.
        state : mapping of arrays
            Calibrated.
        scores : Scores
        data : mapping
            From `insar_dask.forecast.card.describe_data`.
        """
        state, scores = (dict(state), scores) if self.method == BEST else _prefer(self.method, state, scores)
        method = str(state["ranking"][0])
        registry.fitted(method, "honest", "future", state)
        if (shape := state[f"honest.{method}.quantiles"].shape)[-1] != plan.horizon:
            raise ValueError(f"interval widths have shape {shape}, wanted {plan.horizon} leads")
        self.plan_, self.state_, self.scores_, self.data_ = plan, state, scores, dict(data)
        self.method_, self.fitted_with_ = method, self.checked()
        return self

    def save(self, folder: str | Path) -> Path:
        """Write a folder with the weights, ``card.json`` and a ``README.md`` for people; returns it.

        Raises
        ------
        ValueError
            Before `fit`.
        FileExistsError
            When the folder holds something else.
        """
        card, folder = self.card(), Path(folder)
        write_folder(folder, card, markdown(card, self.scores_), self.state_)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote; nothing pickled is read.

        Raises
        ------
        FileNotFoundError
            When there is none.
        ValueError
            When it is damaged, torn or no forecaster's, its card was edited, or its arrays have another shape than its
            settings ask for.
        """
        card, state = read_folder(Path(folder))
        try:
            scores = Scores.from_json(json.dumps(card["scores"]))
            return cls(**card["parameters"]).learned(Plan.from_dict(card["plan"]), state, scores, card["data"])
        except KeyError as error:
            raise ValueError(f"{folder} does not hold together: it lacks {error}; fit anew, and save that") from error
        except (AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{folder} does not hold together ({error}): fit anew, and save that") from error

    def card(self) -> dict[str, Any]:
        """Everything about it but the weights, as plain values."""
        self._check_fitted()
        return {
            "method": self.method_,
            "parameters": self.fitted_with_,
            "data": self.data_,
            "plan": self.plan_.to_dict(),
            "scores": json.loads(self.scores_.to_json()),
            "leak_statement": leak_statement(self.plan_, self.method_),
            "networks": registry.accounts(self.method_, self.state_),
            "versions": versions(),
        }

    def _check_fitted(self) -> None:
        if not hasattr(self, "state_"):
            raise ValueError(
                "this Forecaster has learned nothing yet: call fit(cube) first, or Forecaster.load(folder)"
            )


def _prefer(method: str, state: Mapping[str, Any], scores: Scores) -> tuple[State, Scores]:
    """Forecast by the method that was asked for, and say which one had the lowest error."""
    ranking, errors = state["ranking"].tolist(), state["validation_rmse"].tolist()
    if ranking[0] == scores.default == method:
        return dict(state), scores
    order = [ranking.index(method), *(at for at, name in enumerate(ranking) if name != method)]
    told = ", ".join(f"{name} {error:.2f} mm" for name, error in zip(ranking, errors, strict=True))
    state = {**state, "ranking": state["ranking"][order], "validation_rmse": state["validation_rmse"][order]}
    return state, replace(scores, default=method, reason=f"asked for; RMSE at the validation origins: {told}")
