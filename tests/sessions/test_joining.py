import pytest

import insar_dask as insar
from insar_dask.sessions.joining import service_address


def test_a_service_is_reached_by_its_name_in_the_cluster() -> None:
    assert service_address("localhost", None) == "tcp://localhost:8786"


def test_outside_of_the_cluster_the_way_in_is_told() -> None:
    cure = r"kubectl port-forward service/insar-scheduler 8786.*address=127\.0\.0\.1:8786"
    with pytest.raises(OSError, match=cure), insar.session(kubernetes="insar-scheduler.insar"):
        pass
