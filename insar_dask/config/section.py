"""What every table of a configuration is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """A table of the TOML file: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
