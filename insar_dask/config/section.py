"""What every table of a configuration is."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from insar_dask.cube import CubeError
from insar_dask.days import given_day
from insar_dask.settings import plain

__all__ = ["Day", "Option", "Section", "said_plainly"]


class Section(BaseModel):
    """A table of the TOML file: frozen, no unknown keys; numbers are finite where a key does not say otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _written_out(day: Any) -> str:
    try:
        return str(given_day(day, "day"))
    except CubeError:
        raise ValueError("wanted a day such as 2023-06-30") from None


Day = Annotated[str, BeforeValidator(_written_out)]
"""A day, as text or as TOML's own date; kept as YYYY-MM-DD."""


def said_plainly(value: Any) -> Any:
    """A value as TOML and JSON both know it: their dates and times become ISO text, in tables and lists too.

    Raises
    ------
    ValueError
        For a value that neither knows.

    >>> said_plainly({"reference_date": date(2016, 3, 27), "looks": [4, 1]})
    {'reference_date': '2016-03-27', 'looks': [4, 1]}
    """
    value = plain(value)
    if isinstance(value, date | time):  # a date with its time is a date
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [said_plainly(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: said_plainly(item) for key, item in value.items()}
    if isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"wanted text, a number, true or false, a date, or lists and tables of these, not {value!r}")


Option = Annotated[Any, BeforeValidator(said_plainly)]
"""What a reader may be told: a value of TOML, with dates as text."""
