"""The audit of maps finds the leaks that are known, and none where there is none."""

import numpy as np
import pytest

from insar_dask.forecast.audit import LeakageError
from insar_dask.forecast.maps import map_audit as audited
from insar_dask.forecast.maps.map_audit import map_audit
from insar_dask.forecast.maps.map_history import MapHistory
from insar_dask.forecast.maps.map_material import honest_material
from tests.forecast.maps.toy_tiles import toy_tiles

TILES = toy_tiles()


def with_columns():
    material = honest_material(TILES)
    columns = np.stack([MapHistory(maps, material.years).statics(TILES.sizes["time"]) for maps in material.read])
    names = ("egms_velocity", "egms_acceleration", "egms_seasonality")
    return TILES.assign({name: (("tile", "y", "x"), columns[:, at]) for at, name in enumerate(names)})


def test_the_honest_protocol_leaks_nothing():
    for average in (1, 3):
        found = map_audit(TILES, "honest", average=average)
        assert len(found) == 7 and not any(finding["leaks"] for finding in found)


def test_the_published_protocol_leaks_by_average_columns_and_targets():
    found = {finding["what"]: finding for finding in map_audit(with_columns(), "paper")}
    leaking = {what for what, finding in found.items() if finding["leaks"]}
    assert leaking == {
        "centred average of three dates",
        "the provider's velocity, acceleration, seasonality",
        "scale of the inputs",
        "targets",
    }
    assert "33 % of what the future is moved by" in found["centred average of three dates"]["says"]


def test_a_leak_in_the_honest_protocol_stops_the_run(monkeypatch: pytest.MonkeyPatch):
    def leaking(tiles, **settings):
        return honest_material(tiles.rolling(time=3, center=True, min_periods=1).mean(), **settings)

    monkeypatch.setattr(audited, "honest_material", leaking)
    with pytest.raises(LeakageError, match="displacement that is read"):
        map_audit(TILES, "honest")
