from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from insar_dask.cluster.estimator import Clusters
from insar_dask.forecast.audit import LeakageError
from insar_dask.forecast.published import audit as published_audit
from insar_dask.forecast.published.audit import audit
from insar_dask.forecast.published.protocols import Material, honest_material


def test_every_step_as_published_is_named(plateau: xr.Dataset):
    found = {one["what"]: one["leaks"] for one in audit(plateau, (11, 2))}
    leaking = {name for name, leaks in found.items() if leaks}
    assert leaking >= {"gap filling", "Savitzky-Golay (11, 2)", "Holt-Winters trend", "k-means patterns", "targets"}
    assert "scaling of the trend" in leaking


def test_nothing_honest_leaks(plateau: xr.Dataset):
    found = audit(plateau, None)
    assert len(found) > 15 and not any(one["leaks"] for one in found)


def test_a_leak_under_an_honest_name_is_refused(plateau: xr.Dataset, monkeypatch: pytest.MonkeyPatch):
    def leaking(cube: xr.Dataset, patterns: Clusters) -> Material:
        material = honest_material(cube, patterns)
        return replace(material, whole=np.roll(material.whole, -1, axis=1))  # each value is the next one

    monkeypatch.setattr(published_audit, "honest_material", leaking)
    with pytest.raises(LeakageError, match=r"the honest protocol leaks: .*series at the first validation origin"):
        audit(plateau, None)
