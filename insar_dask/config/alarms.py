"""The section that says when a departure from a forecast is an alarm."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from insar_dask.config.section import Section

__all__ = ["Alarms"]


class Alarms(Section):
    """New dates against the forecast stored before they came: `insar-dask update` raises alarms."""

    rate: float = Field(0.1, gt=0, le=0.5, description="share of false ones that is expected among alarmed points")
    control: Literal["bh", "by"] = Field(
        "bh", description="bh: points err independently or alike; by: however they err, at a stricter level"
    )
    dates: int = Field(3, ge=1, description="last values of a point that must depart, all to one side")
    reach: float = Field(100.0, gt=0, description="metres; alarmed points that lie so near each other are one alarm")
