import signal

import pytest

import insar_dask as insar


def test_a_session_computes_on_its_own_workers_and_ends_with_them() -> None:
    with insar.session(workers=2) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        assert client.submit(sum, [1, 2, 3]).result() == 6
        address = client.scheduler.address
        with insar.session(address=address) as joined:
            assert joined.submit(sum, [4]).result() == 4
        assert client.submit(sum, [5]).result() == 5, "leaving a joined cluster must not end it"
    with pytest.raises(OSError, match="Timed out"), insar.session(address=address, timeout="1s"):
        pass


def test_workers_leave_interrupts_to_who_started_them() -> None:
    before = signal.getsignal(signal.SIGINT)
    with insar.session(workers=1) as client:
        assert client.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == before


def test_workers_and_address_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"), insar.session(workers=2, address="tcp://127.0.0.1:1"):
        pass


def test_a_session_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="workers is 0; wanted at least 1"), insar.session(workers=0):
        pass
