"""Passes over a stored pair cube, each of small sums of its shards: what corrections need to know beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from insar_dask.inversion.blocks import prepare_block
from insar_dask.inversion.finding import median_phase, pick_reference, sample_step
from insar_dask.inversion.pairs import timeline
from insar_dask.inversion.reference import reference_offsets
from insar_dask.inversion.surfaces import Surface, solve_surfaces
from insar_dask.jobs.engine import Engine
from insar_dask.jobs.recipe import Stage, Step, state_reference
from insar_dask.readers.grid import PixelGrid

__all__ = ["PairStack", "plain"]

Float64 = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class PairStack:
    """A stored pair cube, and what is done to it before anything is found of it."""

    engine: Engine
    product: str
    pairs: xr.Dataset
    """The whole group, lazy."""
    kept: list[int] | None = None
    """Places of the pairs that are used; None for all."""
    closure: bool = False
    delays: Arrays | None = None
    allow_missing: bool = False

    @property
    def used(self) -> xr.Dataset:
        """The pairs that are used, as they were read."""
        return prepare_block(self.pairs, self.kept)

    @property
    def places(self) -> list[int]:
        """Of the pairs that are used, among all that were read."""
        return list(range(self.pairs.sizes["pair"])) if self.kept is None else self.kept

    def with_pairs(self, chosen: npt.NDArray[np.bool_]) -> PairStack:
        """Of the pairs that are used those alone that were chosen."""
        return self if chosen.all() else replace(self, kept=np.array(self.places)[chosen].tolist())

    def step(self, offsets: Float64 | None = None) -> Step:
        """The first step of every stage: pairs chosen, cycles corrected, delays off, referred by offsets [rad]."""
        params: dict[str, Any] = {"kept": self.kept, "closure": self.closure}
        if self.delays is not None:
            params["delays"] = self._state(self.delays)
            params["allow_missing"] = self.allow_missing
        if offsets is not None:
            params["state"] = self._state({"offsets": offsets})
        return Step("prepare_pairs", "pairs", "referred", params)

    def flat(self, before: Step, surface: Surface, slopes: Float64, offsets: Float64) -> Step:
        """The step that takes surfaces off, and refers anew."""
        state = self._state({"slopes": slopes, "offsets": offsets})
        return Step("flatten_pairs", before.result, "flat", {"surface": plain(surface), "state": state})

    def around(self, row: int, column: int, window: int) -> xr.Dataset:
        """The pixels of an area, corrected in this process as `step` does it, but for offsets."""
        near = (abs(self.pairs["row"].values - row) <= window) & (abs(self.pairs["col"].values - column) <= window)
        area = self.pairs.drop_vars("coherence", errors="ignore").isel(point=np.flatnonzero(near)).compute()
        return prepare_block(area, self.kept, self.closure, None, self.delays, self.allow_missing)

    def offsets(self, reference: tuple[int, int], window: int) -> Float64:
        """Median phase of a reference area in each interferogram [rad]."""
        return reference_offsets(self.around(*reference, window), *reference, window=window)

    def coherence(self) -> Float64:
        """Mean coherence of every pair that was read, (P,); NaN of one without any."""
        step = Step("sum_coherence", "pairs", "coherence", {}, ("coherence",))
        parts = list(self.sums((step,), "coherence"))
        total, count = (sum(np.asarray(part[name], np.float64) for part in parts) for name in ("sum", "count"))
        return np.asarray(np.divide(total, count, out=np.full(np.shape(total), np.nan), where=np.asarray(count) > 0))

    def missing(self, prepare: Step) -> list[float]:
        """Share of the points that each pair lacks."""
        parts = list(self.sums((prepare, Step("count_missing", prepare.result, "missing")), "missing"))
        valid, points = (sum(part[name] for part in parts) for name in ("valid", "points"))
        return [float(share) for share in 1 - np.asarray(valid) / np.asarray(points)]

    def sampled(self, name: str = "sample") -> list[Arrays]:
        """Phase of some points of every shard."""
        prepare = self.step()
        step = Step("sample_phase", prepare.result, name, {"step": sample_step(self.pairs.sizes["point"])})
        return list(self.sums((prepare, step), name))

    def typical(self) -> Float64:
        """Median phase of each interferogram [rad], before there is a reference."""
        return median_phase(self.sampled())

    def slopes(self, prepare: Step, surface: Surface, limit: float) -> Float64:
        """Coefficients of the surfaces of every pair, fitted on ground slower than ``limit`` [mm/yr]."""
        step = Step("sum_surfaces", prepare.result, "sums", {"surface": plain(surface), "limit": limit})
        return solve_surfaces(self.sums((prepare, step), "surface-sums", "sums"), timeline(self.used))

    def reference(self, steps: tuple[Step, ...], window: int, limit: float, min_pairs: int) -> tuple[int, int]:
        """The most stable coherent area after some steps, from a first inversion of every shard."""
        step = Step("judge_ground", steps[-1].result, "ground", {"min_pairs": min_pairs})
        ground = self.sums((*steps, step), "ground", coherence=True)
        area = pick_reference(PixelGrid.of(self.pairs), ground, window=window, stable_below=limit)
        return area.row, area.col

    def sums(
        self, steps: tuple[Step, ...], name: str, result: str | None = None, *, coherence: bool = False
    ) -> Iterator[dict[str, Any]]:
        """What the last of some steps returns for every shard, in their order; coherence is read where it is needed."""
        target = f"jobs/partials/{self.product}/{name}"
        if not coherence and steps[0].reads is None:
            own = tuple(str(key) for key, value in self.pairs.variables.items() if "point" in value.dims)
            steps = replace(steps[0], reads=tuple(key for key in own if key != "coherence")), *steps[1:]
        self.engine.run(Stage(f"{self.product}/{name}", f"{self.product}/pairs", steps, {result or name: target}))
        return self.engine.partials(target)

    def _state(self, arrays: Arrays) -> dict[str, Any]:
        return state_reference(self.engine.ledger.write_state(dict(arrays)))


def plain(surface: Surface) -> dict[str, Any]:
    """A surface as values that JSON has."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(surface).items()}
