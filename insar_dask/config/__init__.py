"""The configuration of a run: ``sections.py`` and what it names say what can be set, ``text.py`` has it as TOML."""

from insar_dask.config.places import PRODUCT, Cluster
from insar_dask.config.sections import Config, ConfigError, Source
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
