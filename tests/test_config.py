import json
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import date
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np
import pytest

from insar_dask.config import Config, ConfigError, load_config, parse_config, parse_settings, to_toml, with_cluster
from insar_dask.config.section import Section

NAN, INF = float("nan"), float("inf")


def test_the_printed_default_loads_to_the_default() -> None:
    assert parse_config(tomllib.loads(to_toml(Config()))) == Config()


def test_every_key_is_explained() -> None:
    for line in to_toml(Config()).splitlines():
        if "=" in line:
            assert line.rpartition("# ")[2].strip(), line


def test_values_survive_the_round_trip() -> None:
    config = parse_config(
        {
            "source": {"files": ['a "quoted" \\ name.zip'], "area": [1.0, 2.0, 3.0, 4.0], "min_coherence": 0.7},
            "forecast": {"horizon": 4, "as_published": False},
            "report": {"title": "two lines\nand \x7f, \x00, é"},
            "cluster": {
                "workers": 3,
                "memory_limit": "8GiB",
                "slurm": {"interface": "ib0", "walltime": "04:00:00", "options": ["--exclusive"]},
                "tls": {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"},
            },
        }
    )
    assert parse_config(tomllib.loads(to_toml(config))) == config


def test_the_folder_of_a_kept_configuration_is_the_same_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = to_toml(parse_config({"store": {"folder": "reports"}}))
    monkeypatch.chdir("/")
    assert parse_config(tomllib.loads(kept)).store.folder == str(tmp_path / "reports")


def source_with(options: dict[str, Any]) -> dict[str, Any]:
    return {"source": {"files": ["a.csv"], "reader": "psi_csv", "options": options}}


def test_dates_of_a_reader_are_text_wherever_they_stand() -> None:
    written = "reference_date = 2016-03-27\nlast = [2020-01-01T06:00:00, {at = 06:30:00}]\nof = {day = 2020-02-29}"
    config = parse_config(source_with(tomllib.loads(written) | {"first": np.datetime64("2015-01-01"), "n": np.int8(3)}))
    assert config.source.options == {
        "reference_date": "2016-03-27",
        "last": ["2020-01-01T06:00:00", {"at": "06:30:00"}],
        "of": {"day": "2020-02-29"},
        "first": "2015-01-01",
        "n": 3,
    }
    assert parse_config(tomllib.loads(to_toml(config))) == config
    assert json.loads(json.dumps(config.source.options)) == config.source.options
    assert parse_settings(["reference_date=2016-03-27"], "--option", "x") == {"reference_date": "2016-03-27"}


@pytest.mark.parametrize("value", [None, b"a", Path("a"), {1: "a"}, [{2.0}]], ids=str)
def test_what_toml_does_not_know_is_refused_before_it_is_kept(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"source\.options\.units.* wanted text, a number, true or false, a date, or"):
        parse_config(source_with({"units": value}))
    config = parse_config(source_with({"units": "mm"}))
    config.source.options["units"] = date(2020, 1, 1)  # past all checks
    with pytest.raises(TypeError, match=r"datetime\.date\(2020, 1, 1\) cannot be written as TOML"):
        to_toml(config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"forecast": {"horizons": 6}}, "unknown key 'forecast.horizons'; did you mean 'forecast.horizon'"),
        ({"forcast": {"horizon": 6}}, "unknown key 'forcast'; did you mean 'forecast'"),
        ({"forecast": {"level": 1.5}}, "forecast.level = 1.5: Input should be less than 1"),
        ({"cluster": {"workers": "two"}}, "cluster.workers = 'two': .* integer"),
        ({"cluster": {"gpus": "some"}}, "cluster.gpus = 'some': wanted a whole number of GPUs, or \"all\""),
        (
            {"cluster": {"slurm": {"interface": "ib0", "queu": "a"}}},
            "'cluster.slurm.queu'; did you mean 'cluster.slurm.q",
        ),
        ({"cluster": {"slurm": {"interface": "ib0", "walltime": "90"}}}, "slurm: walltime is '90'; wanted"),
        ({"cluster": {"tls": {"ca": "ca.pem", "key": "key.pem"}}}, "cluster.tls.cert = .*: Field required"),
        ({"prepare": {"every": "12"}}, "prepare.every = '12': wanted a whole number of days such as \"12D\""),
        ({"prepare": {"window": 4}}, "prepare.window = 4: wanted an odd number"),
        ({"forecast": {"methods": ["arima"]}}, "forecast.methods = .*arima.*: wanted one or more of persistence, "),
        ({"forecast": {"methods": []}}, "forecast.methods = .*: wanted one or more of persistence, "),
        ({"pairs": {"reference": "none"}}, "pairs = .*surface 'plane' is fitted on stable ground"),
        ({"pairs": {"reference": [3, -1]}}, "pairs.reference.* greater than or equal to 0"),
        ({"pairs": {"reference": [1, 2], "place": [13.0, 38.0]}}, "place and reference both say"),
        ({"pairs": {"window": 4}}, "pairs.window = 4: wanted an odd number of pixels"),
        ({"inversion": {"network": "tree"}}, 'network = "tree" goes with method svd or laplacian; method is sbas'),
        ({"inversion": {"fill": "model"}}, "goes with method nsbas"),
        ({"inversion": {"temperature": "t.csv"}}, "or of joint = true"),
        *(
            ({"inversion": {"as_of": day}}, f"inversion.as_of = '{day}': wanted a day")
            for day in ("soon", "NaT", "2018", "2018-02-30")
        ),
        ({"inversion": {"alpha": 0.5}}, "alpha weighs the frost of a temperature: set both"),
        ({"inversion": {"alpha": "fit", "method": "nsbas"}}, "alpha weighs the frost of a temperature: set both"),
        ({"pairs": {"max_days": NAN}}, "pairs.max_days = nan: Input should be greater than 0"),
        ({"pairs": {"place": [13.0, NAN]}}, r"pairs.place.1 = nan: Input should be a finite number"),
        ({"maps": {"extents": {"E45N17": [0.0, 0.0, INF, 1.0]}}}, "maps.extents.E45N17.2 = inf: .* finite number"),
        ({"maps": {"method": "kriging", "steps": 9}}, "a network's training, and kriging trains none: leave them out"),
        ({"store": {"path": ""}}, "store.path = '': .* at least 1 character"),
        ({"store": {"path": "s3:/site/cube.zarr"}}, "store.path = .*: it has lost a slash: wanted s3://bucket/prefix"),
        ({"store": {"folder": "s3://site/reports"}}, "store.folder: .* to a folder of this machine, not to a bucket"),
        ({"east_up": {"name": "both"}}, "^configuration: east and up take an ascending and a descending track"),
    ],
)
def test_a_wrong_key_or_value_is_named(content: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(content)


def floats() -> Iterator[tuple[str, str]]:
    """Every key of the configuration that takes a number with decimals."""
    for section, model in Config.model_fields.items():
        assert isinstance(model.annotation, type) and issubclass(model.annotation, Section)
        for key, info in model.annotation.model_fields.items():
            if float in (info.annotation, *get_args(info.annotation), *map(get_origin, get_args(info.annotation))):
                yield section, key


@pytest.mark.parametrize(("section", "key"), list(floats()))
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_numbers_are_finite_unless_a_key_says_otherwise(section: str, key: str, value: float) -> None:
    meant = value == INF and (section, key) in {
        ("pairs", "max_days"),
        ("pairs", "max_bperp"),
        ("pairs", "stable_below"),
    }
    with nullcontext() if meant else pytest.raises(ConfigError, match=rf"{section}\.{key}\b.* = -?(nan|inf): "):
        config = parse_config({section: {key: value}})
        assert parse_config(tomllib.loads(to_toml(config))) == config


def test_settings_of_the_command_line_take_the_place_of_where_the_work_ran() -> None:
    kept = parse_config({"cluster": {"workers": 3, "memory_limit": "2GiB"}, "forecast": {"horizon": 4}})
    moved = with_cluster(kept, ["address=tls://10.0.0.1:8786", 'tls={ca = "ca.pem", cert = "c.pem", key = "k.pem"}'])
    assert (moved.cluster.workers, moved.cluster.address) == (None, "tls://10.0.0.1:8786")
    assert (moved.cluster.memory_limit, moved.forecast) == ("2GiB", kept.forecast)
    assert moved.cluster.tls is not None
    assert moved.cluster.tls.cert == "c.pem"
    assert with_cluster(moved, ["workers=2"]).lasting.cluster == kept.cluster
    assert with_cluster(moved, ["workers=0"]).cluster.alone
    broad = parse_config({"cluster": {"workers": 2, "threads_per_worker": 3}})
    assert with_cluster(broad, ["workers=4"]).cluster.threads_per_worker == 3
    assert with_cluster(broad, ["threads=4"]).cluster.threads_per_worker is None
    queued = parse_config({"cluster": {"workers": 3, "slurm": {"interface": "ib0"}}})
    assert with_cluster(queued, ["workers=40"]).cluster.slurm == queued.cluster.slurm
    assert with_cluster(queued, ["workers=0"]).cluster.alone
    for wrong, message in {"workers": "wanted KEY=VALUE", "adress=a": "did you mean 'cluster.address'"}.items():
        with pytest.raises(ConfigError, match=message):
            with_cluster(kept, [wrong])


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[source\n")
    with pytest.raises(ConfigError, match=r"run\.toml is not TOML: .* line 1"):
        load_config(tmp_path / "run.toml")
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"run\.toml is not TOML: .* decode"):
        load_config(tmp_path / "run.toml")
