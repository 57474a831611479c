import numpy as np

from insar_dask.forecast.correction.gate import fit_gate


def units(rng, gain, n_units=12, n=400, noise=1.0):
    for _ in range(n_units):
        correction = rng.normal(size=(n, 3)).astype(np.float32)
        yield correction, (gain * correction + noise * rng.normal(size=(n, 3))).astype(np.float32)


def test_a_correction_that_is_right_is_believed_and_one_too_large_is_halved():
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(fit_gate(units(rng, 1.3)), 1.0)
    np.testing.assert_allclose(fit_gate(units(rng, 0.5)), 0.5, atol=0.05)


def test_a_correction_that_is_wrong_is_not_believed():
    assert (fit_gate(units(np.random.default_rng(1), -0.5)) == 0).all()


def test_a_correction_that_helps_as_often_as_it_harms_vanishes():
    rng = np.random.default_rng(2)
    pairs = [(c, np.float32(sign) * c) for sign in (1.2, -1.0) * 6 for c in [rng.normal(size=(50, 3)).astype("f4")]]
    assert (fit_gate(pairs) < 0.02).all()


def test_missing_values_do_not_count():
    rng = np.random.default_rng(3)
    pairs = [(c, np.where(np.arange(400)[:, None] % 2 == 0, np.float32(np.nan), e)) for c, e in units(rng, 0.5)]
    np.testing.assert_allclose(fit_gate(pairs), 0.5, atol=0.1)


def test_one_unit_proves_nothing():
    assert (fit_gate(units(np.random.default_rng(4), 1.0, n_units=1)) == 0).all()
