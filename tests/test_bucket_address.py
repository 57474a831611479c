"""Addresses of buckets, and where their credentials come from."""

import tomllib
from pathlib import Path

import pytest

from insar_dask.addresses import address, beside, child_address, parent_address
from insar_dask.aws_profile import ProfileCredentials, profile_region
from insar_dask.bucket_address import address_parts, bucket_address
from insar_dask.config import ConfigError, parse_config, to_toml
from insar_dask.objects import open_store
from insar_dask.pipeline import opened

HUSH = "hush-0815"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return tmp_path


@pytest.mark.parametrize(
    "wrong",
    [
        f"s3://KEY:{HUSH}@bucket/a",
        f"s3://{HUSH}@bucket/a",
        f"s3://bucket/a?secret_access_key={HUSH}",
        f"s3://bucket/a?endpoint=https://me:{HUSH}@host",
        "s3://bucket/../other",
        "s3://bucket/a//b",
        "s3://bucket/a/./b",
        "s3:///a",
        "s3://bucket/a#b",
        "s3://bucket/%2e%2e/b",
    ],
)
def test_an_address_holds_no_secret_and_leads_nowhere_else(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|credentials") as refused:
        bucket_address(wrong)
    assert HUSH not in str(refused.value)


def test_an_address_has_one_spelling() -> None:
    asked = "s3://bucket/a b/ü.zarr/?region=eu-west-1&endpoint=http://127.0.0.1:9000"
    known = bucket_address(asked)
    assert known == "s3://bucket/a%20b/%C3%BC.zarr?endpoint=http://127.0.0.1:9000&region=eu-west-1"
    assert bucket_address(known) == known
    assert address_parts(known)[:2] == ("bucket", "a b/ü.zarr")
    assert parent_address(child_address("s3://data/a.zarr?region=x", "site")) == ("s3://data/a.zarr?region=x", "site")
    assert parent_address("/data/a.zarr/site") == ("/data/a.zarr", "site")


def test_what_lies_beside_a_bucket_lies_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert beside("s3://bucket/deep/a.zarr?region=x", "-config.toml") == tmp_path / "bucket-deep-a-config.toml"
    assert beside(tmp_path / "a.zarr", ".checkpoints") == tmp_path / "a.checkpoints"
    assert address("a.zarr") == str(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="has lost a slash"):
        open_store(Path("s3://bucket/a"))
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_says_how_to_get_to_a_bucket_and_nothing_secret() -> None:
    config = parse_config({"store": {"path": "s3://bucket/a.zarr", "options": {"region": "eu-west-1"}}})
    assert config.store.place == "s3://bucket/a.zarr?region=eu-west-1"
    assert parse_config(tomllib.loads(to_toml(config))) == config
    for wrong in ({"secret_access_key": HUSH}, {"secret_access_key": [HUSH]}, {"endpoint": f"http://me:{HUSH}@host"}):
        with pytest.raises(ConfigError) as refused:
            parse_config({"store": {"path": "s3://bucket/a.zarr", "options": wrong}})
        assert HUSH not in str(refused.value)
    with pytest.raises(ConfigError, match="options are for a store in a bucket"):
        parse_config({"store": {"path": "a.zarr", "options": {"region": "x"}}})


def test_a_source_with_a_secret_in_its_address_is_kept_nowhere(tmp_path: Path) -> None:
    source = {"files": [f"s3://bucket/a.zip?secret_access_key={HUSH}"]}
    config = parse_config({"source": source, "store": {"path": str(tmp_path / "a.zarr")}, "cluster": {"workers": 0}})
    with pytest.raises(ValueError, match="no option secret_access_key") as refused, opened(config):
        raise AssertionError("it was opened")
    assert HUSH not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_profile_is_read_whenever_it_is_asked(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ProfileCredentials.found(None) is None and profile_region(None) is None
    (files / "credentials").write_text(f"[ops]\naws_access_key_id = a\naws_secret_access_key = {HUSH}%1\n")
    (files / "config").write_text(
        "[profile ops]\nregion = eu-north-1\n"
        "[default]\naws_access_key_id = d\naws_secret_access_key = e\naws_session_token = t\n"
    )
    ops, default = ProfileCredentials.found("ops"), ProfileCredentials.found(None)
    assert ops is not None and default is not None and HUSH not in repr(ops)
    assert ops()["secret_access_key"] == f"{HUSH}%1" and ops()["token"] is None
    assert (default()["access_key_id"], default()["token"]) == ("d", "t")
    (files / "credentials").write_text("[ops]\naws_access_key_id = b\naws_secret_access_key = c\n")
    assert ops()["access_key_id"] == "b"
    assert profile_region("ops") == "eu-north-1" and profile_region(None) is None
    monkeypatch.setenv("AWS_PROFILE", "ops")
    assert profile_region(None) == "eu-north-1"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from the environment")
    assert ProfileCredentials.found(None) is None
    with pytest.raises(ValueError, match="profile 'dev' has no aws_access_key_id"):
        ProfileCredentials.found("dev")
    (files / "credentials").write_text(f"{HUSH} is no file of profiles")
    with pytest.raises(ValueError, match="cannot be read as a file of profiles") as refused:
        ProfileCredentials.found("ops")
    assert HUSH not in str(refused.value)
