import pytest

from insar_dask.sessions import SlurmJobs


@pytest.mark.parametrize(
    ("walltime", "seconds"), [("00:02:00", 120), ("01:00:00", 3600), ("30:00:00", 108_000), ("1-06:30:00", 109_800)]
)
def test_workers_leave_before_the_walltime_at_different_moments(walltime: str, seconds: int) -> None:
    jobs = SlurmJobs(interface="lo", walltime=walltime)
    life, stagger = jobs.lifetime()
    assert jobs.seconds == seconds
    assert life - stagger > 0
    assert life + stagger <= seconds - 60
    assert stagger >= seconds // 20
