"""What a Forecaster has learned: taken over once it holds together, kept as a folder, told by a card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt
import xarray as xr

from insar_dask.cube import CubeError
from insar_dask.forecast import registry
from insar_dask.forecast.card import leak_statement, markdown, versions
from insar_dask.forecast.choices import BEST, Choices
from insar_dask.forecast.leaderboard import prefer
from insar_dask.forecast.maps.lattice import cells_across
from insar_dask.forecast.model_folder import OlderModelError, read_folder, write_folder
from insar_dask.forecast.schedule import moved
from insar_dask.forecast.scores import Scores
from insar_dask.forecast.timetable import Plan
from insar_dask.forecast.walk import check_raw, observed_dates

__all__ = ["Learned"]


class Learned(Choices):
    """Attributes of `insar_dask.forecast.Forecaster`, which says what they are."""

    method_: str
    scores_: Scores
    data_: dict[str, Any]
    plan_: Plan
    state_: dict[str, npt.NDArray[Any]]
    fitted_with_: dict[str, Any]

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
        state, scores = (dict(state), scores) if self.method == BEST else prefer(self.method, state, scores)
        method = str(state["ranking"][0])
        registry.fitted(method, "honest", "future", state)
        if (shape := state[f"honest.{method}.quantiles"].shape)[-1] != plan.horizon:
            raise ValueError(f"interval widths have shape {shape}, wanted {plan.horizon} leads")
        self.plan_, self.state_, self.scores_, self.data_ = plan, state, scores, dict(data)
        self.method_, self.fitted_with_ = method, self.checked()
        return self

    def plan_to_predict(self, cube: xr.Dataset) -> Plan:
        """Dates and origin of the forecast beyond a cube, after checking that the cube goes with what was learned."""
        self._check_fitted()
        check_raw(cube)
        learned, came = self.data_["component"], str(cube.attrs["component"])
        if came != learned:
            raise CubeError(f"the cube's component is {came!r}, this forecaster has learned from {learned!r}: fit anew")
        known, given = self.data_.get("cells", 0), cells_across(cube)
        if bool(known) != bool(given) or (self.maps and known != given):
            learned, came = (f"maps of {n} x {n} cells" if n else "points" for n in (known, given))
            raise CubeError(f"this forecaster has learned from {learned}, and {came} came: fit anew")
        return moved(self.plan_, cube["time"].values, observed_dates(cube))

    def trained_bytes(self) -> int:
        """Bytes of the weights of networks."""
        return sum(array.nbytes for name, array in self.state_.items() if ".trained." in name)

    def state_for(self, plan: Plan) -> dict[str, npt.NDArray[Any]]:
        """What was learned, for forecasts under a plan of another record: see `insar_dask.forecast.registry.moved`."""
        return registry.moved(self.state_, self.plan_, plan)

    def states_for(self, plan: Plan) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """The same with networks by themselves, as a store keeps it: memory is then predicted with the network."""
        state = self.state_for(plan)
        trained = {name: array for name, array in state.items() if ".trained." in name}
        rest = {name: array for name, array in state.items() if name not in trained}
        return {"state": rest, "trained": trained} if trained else {"state": rest}

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
            settings ask for; an `insar_dask.forecast.model_folder.OlderModelError` when it is sound, and was made when
            such networks learned otherwise.
        """
        card, state = read_folder(Path(folder))
        try:
            scores = Scores.from_json(json.dumps(card["scores"]))
            return cls(**card["parameters"]).learned(Plan.from_dict(card["plan"]), state, scores, card["data"])
        except OlderModelError as error:
            raise OlderModelError(f"{folder}: {error}") from error
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
            "leak_statement": leak_statement(self.plan_, self.method_, self.data_.get("sees_future", 0)),
            "networks": registry.accounts(self.method_, self.state_),
            "versions": versions(),
        }

    def _check_fitted(self) -> None:
        if not hasattr(self, "state_"):
            raise ValueError(
                "this Forecaster has learned nothing yet: call fit(cube) first, or Forecaster.load(folder)"
            )
