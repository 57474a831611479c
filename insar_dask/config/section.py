"""What every table of a configuration is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from insar_dask.cube import CubeError
from insar_dask.days import given_day

__all__ = ["Day", "Section"]


class Section(BaseModel):
    """A table of the TOML file: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _written_out(day: Any) -> str:
    try:
        return str(given_day(day, "day"))
    except CubeError:
        raise ValueError("wanted a day such as 2023-06-30") from None


Day = Annotated[str, BeforeValidator(_written_out)]
"""A day, as text or as TOML's own date; kept as YYYY-MM-DD."""
