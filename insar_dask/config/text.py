"""The configuration as text: TOML to checked sections, and back to commented TOML."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from insar_dask.config.places import PLACES
from insar_dask.config.section import Section, said_plainly
from insar_dask.config.sections import Config, ConfigError
from insar_dask.sessions import WITHOUT_WORKERS, SlurmJobs, Tls

__all__ = ["load_config", "parse_config", "parse_settings", "to_toml", "with_cluster"]


def load_config(path: str | Path) -> Config:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        Naming every wrong key and value; an unknown key is answered with the nearest known one.
    FileNotFoundError
        When there is no such file.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    return parse_config(content, str(path))


def parse_config(content: dict[str, Any], name: str = "configuration") -> Config:
    """Check a configuration given as nested dicts.

    >>> parse_config({"forecast": {"horizons": 6}})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    insar_dask.config.sections.ConfigError: configuration: unknown key 'forecast.horizons'; did you mean ...
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{name}: {_explain(fault)}" for fault in error.errors())) from None


def with_cluster(config: Config, settings: Sequence[str]) -> Config:
    """A configuration whose ``[cluster]`` is changed by settings such as ``workers=4`` or ``address=tls://host:8786``.

    It is for one call (`Config.for_once`). Values are TOML, or else text. A setting that says where the work runs takes
    the place of the one that did, and of the threads of workers that it does not start.
    """
    given = parse_settings(settings, "--cluster", "a key of [cluster], such as workers=4")
    kept = config.model_dump(exclude_unset=True)
    dropped: set[str] = set()
    if given.keys() & {"workers", *PLACES}:
        jobs = given.keys().isdisjoint(PLACES) and given["workers"] != 0  # a number of workers may be one of jobs
        dropped = {"workers", *PLACES} - ({"slurm"} if jobs else set())
    if given.keys() & set(WITHOUT_WORKERS):
        dropped.add("threads_per_worker")
    cluster = {key: value for key, value in kept.get("cluster", {}).items() if key not in dropped}
    return config.for_once(parse_config({**kept, "cluster": cluster | given}, "--cluster").cluster)


def parse_settings(settings: Sequence[str], option: str, example: str) -> dict[str, Any]:
    """Settings ``KEY=VALUE`` of a command line: values are TOML, dates and times as text, or else text.

    >>> parse_settings(["phase_sign=-1", "track=063", "reference_date=2016-03-27"], "--option", "track=063")
    {'phase_sign': -1, 'track': '063', 'reference_date': '2016-03-27'}
    """
    given: dict[str, Any] = {}
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found:
            raise ConfigError(f"{option} {setting}: wanted KEY=VALUE with {example}")
        try:
            given[key.strip()] = said_plainly(tomllib.loads(f"value = {text}")["value"])
        except (tomllib.TOMLDecodeError, RecursionError):
            given[key.strip()] = text.strip()
    return given


def to_toml(config: Config) -> str:
    """The configuration as commented TOML that loads to the same configuration; unset keys stand as comments."""
    lines: list[str] = []
    for section, _ in _sections():
        table: Section = getattr(config, section)
        lines += ["", f"# {(type(table).__doc__ or '').strip()}", f"[{section}]"]
        for key, info in type(table).model_fields.items():
            value = getattr(table, key)
            text = f"# {key} =" if value is None else f"{key} = {_toml(value)}"
            lines.append(f"{text:<36} # {info.description}")
    return "\n".join(lines[1:]) + "\n"


def _sections() -> Iterator[tuple[str, type[Section]]]:
    for name, info in Config.model_fields.items():
        model = info.annotation
        if isinstance(model, type) and issubclass(model, Section):
            yield name, model


def _keys() -> Iterator[str]:
    for section, model in _sections():
        yield from (f"{section}.{key}" for key in model.model_fields)
    for table, kind in (("slurm", SlurmJobs), ("tls", Tls)):
        yield from (f"cluster.{table}.{field.name}" for field in fields(kind))


def _explain(fault: Any) -> str:
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = [*Config.model_fields, *_keys()]
        near = difflib.get_close_matches(where, known, 1, cutoff=0.0)
        return f"unknown key {where!r}; did you mean {near[0]!r}? `insar-dask config` prints all"
    wrong = str(fault["msg"]).removeprefix("Value error, ")
    if not where:  # of sections that do not go together
        return wrong
    # options of a store and addresses of buckets may hold what they must not: a secret
    hushed = re.match(r"store$|store\.options", where) or "s3://" in str(fault["input"])
    given = "" if hushed else f" = {fault['input']!r}"
    return f"{where}{given}: {wrong}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: said for field in fields(value) if (said := getattr(value, field.name)) != field.default}
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        # JSON's escapes are TOML's, which wants one more character escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"{value!r} cannot be written as TOML: wanted text, a number, true or false, a list or a table")
