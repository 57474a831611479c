"""Credentials and region as the files of AWS have them, which obstore does not read itself."""

from __future__ import annotations

import os
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["ProfileCredentials", "profile_region"]

LASTS = timedelta(minutes=10)
"""After which the files are read anew: whoever rotates keys writes them there."""


@dataclass(frozen=True)
class ProfileCredentials:
    """Reads a profile's keys whenever they are asked for; holds and shows none of them."""

    profile: str

    @classmethod
    def found(cls, profile: str | None) -> ProfileCredentials | None:
        """Of a named profile, else of the default one where it has keys and the environment has none.

        Raises
        ------
        ValueError
            When a profile is named that has no keys.
        """
        named = profile or os.environ.get("AWS_PROFILE")
        if profile is None and os.environ.get("AWS_ACCESS_KEY_ID"):
            return None
        made = cls(named or "default")
        if made._keys() is not None:
            return made
        if named:
            raise ValueError(
                f"profile {named!r} has no aws_access_key_id and aws_secret_access_key in {_credentials_file()} or "
                f"{_config_file()}; write them there, or `aws configure export-credentials --profile {named} "
                "--format env` into the environment"
            )
        return None

    def __call__(self) -> Any:
        """Keys as obstore wants them."""
        keys = self._keys()
        if keys is None:
            raise ValueError(f"profile {self.profile!r} has lost its keys")
        return {
            "access_key_id": keys["aws_access_key_id"],
            "secret_access_key": keys["aws_secret_access_key"],
            "token": keys.get("aws_session_token"),
            "expires_at": datetime.now(UTC) + LASTS,
        }

    def _keys(self) -> dict[str, str] | None:
        for content in (_section(_credentials_file(), self.profile), _config_section(self.profile)):
            if {"aws_access_key_id", "aws_secret_access_key"} <= content.keys():
                return content
        return None


def profile_region(profile: str | None) -> str | None:
    """Region of a profile where the environment names none."""
    if os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        return None
    return _config_section(profile or os.environ.get("AWS_PROFILE") or "default").get("region")


def _config_section(profile: str) -> dict[str, str]:
    return _section(_config_file(), "default" if profile == "default" else f"profile {profile}")


def _section(path: Path, name: str) -> dict[str, str]:
    files = ConfigParser(interpolation=None, default_section="")
    try:
        files.read(path, encoding="utf-8")
    except (ConfigParserError, UnicodeDecodeError):
        raise ValueError(f"{path} cannot be read as a file of profiles; mend it") from None
    return dict(files[name]) if files.has_section(name) else {}


def _credentials_file() -> Path:
    return Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path.home() / ".aws" / "credentials")


def _config_file() -> Path:
    return Path(os.environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config")
