"""Clusters: k-means of a cube of any size, with scikit-learn's contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import xarray as xr

from insar_dask.cluster.blocks import label_block, over_blocks, sample_block, sums_block
from insar_dask.cluster.learning import Arrays, Passes, Settings, learn, plain_centroids, velocities
from insar_dask.cluster.model_file import read_model, write_model
from insar_dask.cluster.rows import PLACE, axis_of, check_known, check_rows, names_of
from insar_dask.days import given_day
from insar_dask.settings import whole

__all__ = ["Clusters"]

ARRAYS = ("centroids", "times", "features", "centred", "shift", "scale", "sizes", "inertia", "start")

MOST_CLUSTERS = 2**15 - 1
"""Labels are at most int16."""


class Clusters:
    """Patterns of deformation: k-means over all points of a cube, streamed block by block.

    Mini-batches (scikit-learn's `MiniBatchKMeans.partial_fit`) of a sample over the whole cube find the start, Lloyd's
    steps settle it on the sample, and exact steps over all points end the descent. The result does not depend on
    workers, chunks, scheduler or order of the points, bit for bit: the sample is drawn by a hash of each point's
    place, and the sums over all points are of whole numbers.

    Parameters
    ----------
    n_clusters : int, default 8
        At most 32,767, whose labels int16 holds. The published system for thaw slumps takes eight (Remote Sensing 2024,
        16, 1891).
    features : sequence of str, optional
        Variables over ``point``, such as ``("velocity", "seasonality")`` of `insar_dask.motion`, to cluster by instead
        of the series.
    centre : bool, default False
        Subtract from each series its own mean, so that the noise of the reference date does not count. The published
        system takes smoothed series in millimetres as they are, and so does the default; but on four scenes with known
        regimes (six and eight clusters) the adjusted Rand index is 0.60 centred and 0.45 as they are. A series with
        gaps is centred on its valid dates, which shifts it against complete ones where it moves: fill gaps first.
    standardise : bool, default False
        Subtract the sample's mean from every date (feature) and divide by its standard deviation; ``inertia_`` is then
        in these terms. On the same scenes the index is 0.42 for standardised series, 0.56 for velocity, acceleration
        and seasonality as they are and 0.32 for standardised ones.
    random_state : int, default 0
        Seed of the sample and of the starts.
    sample_size : int, default 16384
        Points of the sample, about: each is drawn by itself.
    n_init : int, default 8
        Starts by k-means++, of which the best is kept: they differ by 4 % in inertia.
    batch_size : int, default 1024
        Points of a mini-batch.
    steps : int, default 1
        Exact steps over all points. None leaves up to 0.5 % of inertia above full k-means from the same start, one
        0.25 %, two 0.2 %.

    Attributes
    ----------
    cluster_centers_ : (k, T) array of float32
        Centroids [mm] in the order of their velocity, the most negative (subsiding, away from the satellite) first and
        equal ones in the order of their values; NaN at dates that most series lack. Of features without ``velocity``
        they are in the order of the first one, the lowest first.
    velocities_ : (k,) array
        Slope of a line through each centroid [mm/yr]; of features that of this name, and NaN without it.
    sizes_ : (k,) array of int64
        Points nearest to each centroid.
    inertia_ : float
        Sum of squared distances to the nearest centroid over all points and their valid dates [mm²].
    times_ or features_ : (T,) array
        What the columns of the centroids are.
    until_ : str or None
        Date from which on nothing was known.

    Notes
    -----
    A series with gaps is compared over its valid dates (Dixon 1979, doi:10.1109/TSMC.1979.4310090): it takes no part in
    the mini-batches, but in the exact steps, and is labelled. One without any valid date has the label -1, and so have
    points that begin later than their record and count displacement from dates of their own (``zero_day`` of
    `insar_dask.invert`): invert with fill="model" to have them, or cluster ``features`` of their motion.
    MacQueen (1967) and Lloyd (1982), doi:10.1109/TIT.1982.1056489; mini-batches: Sculley (2010),
    doi:10.1145/1772690.1772862; k-means++: Arthur and Vassilvitskii (2007).

    Examples
    --------
    >>> from insar_dask.synthetic import scene
    >>> cube = scene("l3u", n_points=2000, n_dates=60)
    >>> labels = Clusters(n_clusters=3).fit(cube).predict(cube)
    >>> labels["cluster"].attrs["flag_meanings"]
    'none pattern_0 pattern_1 pattern_2'
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        features: Sequence[str] | None = None,
        centre: bool = False,
        standardise: bool = False,
        random_state: int = 0,
        sample_size: int = 16_384,
        n_init: int = 8,
        batch_size: int = 1024,
        steps: int = 1,
    ) -> None:
        self.n_clusters = n_clusters
        self.features = features
        self.centre = centre
        self.standardise = standardise
        self.random_state = random_state
        self.sample_size = sample_size
        self.n_init = n_init
        self.batch_size = batch_size
        self.steps = steps

    def fit(self, cube: xr.Dataset, until: str | None = None) -> Self:
        """Learn the centroids of a cube; computes, in the scheduler at hand, a block at a time.

        Parameters
        ----------
        cube : xr.Dataset
            Point cube, lazy or in memory: smoothed, so that the patterns are not of noise. With ``features``: a data
            set with these over ``point``.
        until : str, optional
            Date, as ``"2023-01-01"``, from which on nothing may be known: only dates whose values have seen nothing of
            it are used (those before it less ``attrs["sees_future"]`` days), to fit and later to label. Without it the
            labels have seen the whole series, and say so.

        Returns
        -------
        Clusters
            Itself.

        Raises
        ------
        CubeError
            When it is no cube, knows nothing before ``until``, or has fewer complete series than clusters.
        ValueError
            When a parameter is out of range.
        """
        until = None if until is None else str(given_day(until, "until"))  # of any type, which no file could hold
        check_rows(cube, self.features, until)
        draw = partial(sample_block, **self.draw(cube.sizes["point"], until))

        values = names_of(cube, self.features)

        def passes(state: Arrays | None) -> list[Arrays]:
            if state is None:
                return over_blocks(cube, (*values, *PLACE), draw)
            return over_blocks(cube, values, partial(sums_block, state=state))

        return self.learn(axis_of(cube, self.features, until), passes, until)

    def predict(self, cube: xr.Dataset) -> xr.Dataset:
        """Label every point by its nearest centroid, lazily.

        Parameters
        ----------
        cube : xr.Dataset
            With the dates (features) of the fit; further dates are not looked at.

        Returns
        -------
        xr.Dataset
            Over ``point``: ``cluster`` (int8, int16 from 128 clusters on; -1 where a point has no value or begins
            later than the record, with CF flag attributes) and ``cluster_distance`` [mm], the root mean square
            difference from the centroid over the dates of both; over ``pattern``: ``centroid`` [mm],
            ``centroid_velocity`` [mm/yr; as ``velocities_``] and ``cluster_size``, of the fit; and the cube's own
            variables without a time axis. ``sees_future`` is -1, or 0 with the attribute ``until`` where the fit had
            one: the labels know nothing from that date on.

        Raises
        ------
        ValueError
            Before `fit`.
        CubeError
            When the cube lacks dates or features of the fit, or its values at these have seen later ones than the
            ``until`` of the fit allows.
        """
        state = self.state()
        check_rows(cube, self.features, self.until_)
        if self.until_ is not None:
            check_known(cube, state["times"], self.until_)
        return label_block(cube, state, self.until_)

    def draw(self, n_points: int, until: str | None) -> dict[str, Any]:
        """Parameters, as plain values, of `insar_dask.cluster.blocks.sample_block` for a cube of ``n_points``."""
        features = None if self.features is None else list(self.features)
        share = min(self.sample_size / max(n_points, 1), 1.0)
        return {"share": share, "seed": self.random_state, "features": features, "until": until}

    def learn(self, axis: Arrays, passes: Passes, until: str | None) -> Self:
        """Learn from ``passes`` over all points, as `insar_dask.cluster.learning.learn` wants them."""
        return self.learned(learn(self.settings(axis), passes), until)

    def settings(self, axis: Arrays) -> Settings:
        """Check the parameters; ``axis`` names the columns of the rows."""
        whole("n_clusters", self.n_clusters, 1, MOST_CLUSTERS)
        least = {"sample_size": self.n_clusters, "n_init": 1, "batch_size": self.n_clusters}
        for name, minimum in (least | {"steps": 0}).items():
            whole(name, getattr(self, name), minimum)
        whole("random_state", self.random_state, 0, 2**32 - 1)
        if self.centre and self.features is not None:
            raise ValueError("centre takes the mean off each series; features have none")
        options = self.standardise, self.random_state, self.n_init, self.batch_size, self.steps
        return Settings(self.n_clusters, self.centre, *options, axis)

    def learned(self, state: Mapping[str, Any], until: str | None) -> Self:
        """Take over what was learned; the inverse of `state`."""
        self._state = {name: np.asarray(state[name]) for name in ARRAYS if name in state}
        self.until_ = until
        self.cluster_centers_ = plain_centroids(self._state)
        self.velocities_ = velocities(self.cluster_centers_, self._state)
        self.sizes_ = self._state["sizes"]
        self.inertia_ = float(self._state["inertia"])
        for name in ("times", "features"):
            if name in self._state:
                setattr(self, f"{name}_", self._state[name])
        return self

    def state(self) -> Arrays:
        """Return what was learned, as small arrays."""
        if not hasattr(self, "_state"):
            raise ValueError("these Clusters have learned nothing yet: call fit(cube) first, or Clusters.load(path)")
        return dict(self._state)

    def save(self, path: str | Path) -> Path:
        """Write parameters and what was learned as one .npz file, without pickle; returns its path."""
        state, path = self.state(), Path(path)
        write_model(path, {"until": self.until_, "parameters": self.parameters()}, state)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; nothing pickled is read.

        Raises
        ------
        ValueError
            When the file is none of these, or damaged.
        """
        header, state = read_model(Path(path))
        try:
            return cls(**header["parameters"]).learned(state, header["until"])
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"{path} holds Clusters that lack {error}, or is damaged: fit anew") from error

    def parameters(self) -> dict[str, Any]:
        """Parameters as plain values."""
        names = "n_clusters", "centre", "standardise", "random_state", "sample_size", "n_init", "batch_size", "steps"
        features = None if self.features is None else list(self.features)
        return {name: getattr(self, name) for name in names} | {"features": features}
