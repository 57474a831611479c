"""The configuration of a run: ``sections.py`` says what may be set, ``text.py`` reads it from TOML and writes it."""

from insar_dask.config.sections import PRODUCT, Cluster, Config, ConfigError, Source
from insar_dask.config.text import load_config, parse_config, parse_settings, to_toml, with_cluster

__all__ = [
    "PRODUCT",
    "Cluster",
    "Config",
    "ConfigError",
    "Source",
    "load_config",
    "parse_config",
    "parse_settings",
    "to_toml",
    "with_cluster",
]
