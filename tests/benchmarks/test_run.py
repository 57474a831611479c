import json
import math

import pytest

from tests.benchmarks import run
from tests.benchmarks.measure import absent, gate, limit, row, whole_process, worst

RATES = {"copy": 10e9, "read": 20e9}

KERNELS = """
from tests.benchmarks import bench_kernels
bench_kernels.whole_process = lambda *sources, **arrays: None
names = "savgol", "moving_average", "regularise"
right = {name: getattr(bench_kernels, name) for name in names + ("motion", "error_sums")}

def off_by_a_micron(kernel):
    def wrong(*arguments, **options):
        result = kernel(*arguments, **options)
        result[7, 80] += 1e-3
        return result
    return wrong

def wrong_motion(*arguments):
    fit = right["motion"](*arguments)
    fit.acceleration_std[7] *= 1.01
    return fit

def wrong_sums(*arguments):
    sums = right["error_sums"](*arguments)
    sums[3] *= 1 + 1e-6
    return sums
"""
WRONG = """
for name in names:
    setattr(bench_kernels, name, off_by_a_micron(right[name]))
bench_kernels.motion, bench_kernels.error_sums = wrong_motion, wrong_sums
"""


@pytest.fixture
def benches(tmp_path):
    def write(**sources):
        for name, source in sources.items():
            (tmp_path / f"bench_{name}.py").write_text(source)
        return tmp_path

    return write


@pytest.mark.slow
def test_a_wrong_result_of_any_kernel_ends_the_run_with_an_error(benches, tmp_path, capfd):
    rows = "\ndef rows():\n    return bench_kernels.rows()\n"
    folder = benches(right=KERNELS + rows, wrong=KERNELS + WRONG + rows)
    assert run.main(["--quick", "--json", str(tmp_path / "right.json"), "right"], folder) == 0
    assert "FAIL" not in "".join(capfd.readouterr())
    assert run.main(["--quick", "wrong"], folder) == 1
    failed = [line for line in capfd.readouterr().err.splitlines() if line.startswith("FAILED")]
    for kernel in ("savgol", "moving average", "regularise", "motion", "metrics"):
        assert any(line.startswith(f"FAILED {kernel}") for line in failed), kernel
    report = json.loads((tmp_path / "right.json").read_text())
    assert all(row["gates"] for row in report["rows"] if "fresh" not in row["what"])
    assert report["limits"]["copy"] > 1e8


def test_a_topic_that_dies_ends_the_run_with_an_error_and_the_next_one_runs(benches, capfd):
    fine = "def rows():\n    print('chatter'); return [{'what': 'sleeping'}]"
    folder = benches(dead="def rows():\n    raise MemoryError", fine=fine)
    assert run.main(["--quick"], folder) == 1
    told = capfd.readouterr()
    assert "FAILED bench_dead: bench_dead.py ended with exit code 1" in told.err
    assert "sleeping" in told.out
    assert "chatter" not in told.out


def test_an_unknown_topic_is_an_error_of_usage(benches, capfd):
    assert run.main(["kernel"], benches(kernels="")) == 2
    assert "there are ['kernels']" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("one", "faults"),
    [
        (gate("mm", 1e-5, at_most=1e-4), 0),
        (gate("mm", 2e-4, at_most=1e-4), 1),
        (gate("share", 0.98, at_least=0.99), 1),
        (gate("share", 0.99, at_least=0.99), 0),
        (gate("mm", math.nan, at_most=1e-4), 1),
        (gate("mm", math.inf, at_most=1e-4), 1),
    ],
)
def test_a_gate_holds_or_is_a_fault(one, faults):
    assert len(run.judged({"what": "work", "gates": [one]}, RATES, False)["faults"]) == faults


@pytest.mark.parametrize(
    ("bar", "met"),
    [
        (">= 12", True),
        (">= 15", False),
        (">= 12x", True),
        ("<= 3", False),
        ("<= 1 s", True),
        ("<= 0.1 s", False),
        ("<= 1.2e-05 s", False),
        ("<= 6e3 s", True),
        ("none", None),
        (None, None),
    ],
)
def test_a_bar_is_of_the_ratio_or_of_our_seconds(bar, met):
    measured = {"what": "work", "ours_s": 0.5, "ratio": 13.0, "bar": bar}
    judged = run.judged(measured, RATES, False)
    assert judged["met"] is met
    assert ("MISSED" in run.shown(judged)) == (met is False)
    assert judged["faults"] == []
    assert "met" not in run.judged(measured, RATES, True)


def test_a_row_says_how_near_to_the_limit_it_is():
    judged = run.judged({"what": "work", "ours_s": 0.2, "limit": limit("copy", 1e9)}, RATES, False)
    assert judged["limit_share"] == pytest.approx(0.5)
    assert "copy 0.1 s: 50 %" in run.shown(judged)


def test_a_row_holds_medians_of_pairs():
    made = row("work", [1.0, 2.0, 4.0], "rival", [2.0, 2.0, 40.0], scale=10, bar=None)
    assert made == {"what": "work", "ours_s": 2.0, "rival": "rival", "rival_s": 20.0, "ratio": 20.0}


def test_values_that_one_side_lacks_are_infinitely_far():
    assert worst([1.0, math.nan], [1.5, math.nan]) == 0.5
    assert worst([1.0, math.nan], [1.0, 2.0]) == math.inf
    assert worst([1.0, 2.0], [1.0, math.nan]) == math.inf


def test_a_whole_process_counts_its_start_and_must_succeed():
    whole = whole_process("import scipy.signal; y.sum()", "y.mean()", y=[1.0, 2.0])
    assert whole["ours_s"] > whole["rival_s"] > 0.01
    with pytest.raises(RuntimeError, match="exit code 1 of"):
        whole_process("y / nothing", "y", y=[1.0])


def test_a_rival_that_is_not_installed_says_so():
    assert absent("numpy") is None
    assert "no_such_rival cannot be imported here" in absent("no_such_rival")
