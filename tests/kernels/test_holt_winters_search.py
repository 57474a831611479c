import numpy as np
import pytest
import scipy.optimize

from insar_kernels.holt_winters_search import CURVE, POINT, SLOPE, STATE, TRIAL, _propose, search
from insar_kernels.holt_winters_starts import MOST, NODES, SHAPE, pick


def models(n, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, 3, 3))
    curve = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(3)
    point = np.stack([rng.uniform(0, 0.6, n), rng.random(n), rng.uniform(0, 0.4, n)], axis=1)
    point[:3] = [[0, 0.5, 1], [1, 1, 0], [0, 0, 0]]
    return point, rng.normal(0, 2, (n, 3)), curve


def test_step_is_the_least_of_the_model_within_the_bounds():
    point, slope, curve = models(60)
    state = np.zeros((STATE, 60), np.float32)
    state[POINT : POINT + 3], state[SLOPE : SLOPE + 3] = point.T, slope.T
    state[CURVE : CURVE + 6] = curve[:, *np.triu_indices(3)].T
    _propose(state)
    trial = state[TRIAL : TRIAL + 3].T.astype(np.float64)
    assert trial.min() > -1e-6
    assert trial[:, 1].max() < 1 + 1e-6
    assert (trial[:, 0] + trial[:, 2]).max() < 1 + 1e-5
    for i in range(60):

        def model(x, i=i):
            step = x - point[i]
            return slope[i] @ step + 0.5 * step @ curve[i] @ step

        bounds = scipy.optimize.LinearConstraint([[1, 0, 1]], -np.inf, 1)
        oracle = scipy.optimize.minimize(
            model, [0.3, 0.5, 0.3], bounds=[(0, 1)] * 3, constraints=[bounds], method="SLSQP", tol=1e-12
        )
        assert model(trial[i]) <= oracle.fun + 1e-4 * (1 + abs(oracle.fun))


@pytest.mark.parametrize("compiled", [True, False])
def test_search_ends_in_the_minimum_of_squares(compiled):
    """Residuals linear in the gains: one minimum, which a linear solver with the same bounds finds too."""
    rng = np.random.default_rng(5)
    matrices, sides = rng.normal(size=(40, 9, 3)), rng.normal(size=(40, 9)) + 1

    def evaluate(at, gains):
        m = matrices[at]
        rest = np.einsum("npq,nq->np", m, gains) - sides[at]
        half, curve = np.einsum("npq,np->nq", m, rest), np.einsum("npq,npr->nqr", m, m)
        pieces = [(rest**2).sum(1)[:, None], half, curve[:, *np.triu_indices(3)]]
        return np.concatenate(pieces, axis=1).astype(np.float32)

    points, squares, converged = search(np, evaluate, np.full((40, 3), 0.3, np.float32), compiled)
    assert converged.all()
    grid = np.array(
        [(a, h, g) for a in np.linspace(0, 1, 41) for h in np.linspace(0, 1, 41) for g in (0, 0.25, 0.5, 1)]
    )
    grid = grid[grid[:, 0] + grid[:, 2] <= 1]
    gains = np.stack([grid[:, 0], grid[:, 1] * grid[:, 0] ** 2, grid[:, 2]], axis=1)
    least = ((np.einsum("npq,kq->nkp", matrices, gains) - sides[:, None]) ** 2).sum(2).min(1)
    assert np.mean(squares <= 1.001 * least) > 0.9  # in h, which enters as h alpha^2, there may be a second minimum
    np.testing.assert_allclose(
        evaluate(
            np.arange(40),
            points * [1, 0, 1] + np.stack([np.zeros(40), points[:, 1] * points[:, 0] ** 2, np.zeros(40)], axis=1),
        )[:, 0],
        squares,
        rtol=1e-5,
    )


def test_search_gives_up_where_nothing_can_be_evaluated():
    points, squares, converged = search(
        np, lambda at, gains: np.full((len(at), 10), np.nan, np.float32), np.full((3, 3), 0.3, np.float32), True
    )
    assert (squares > 1e29).all()
    assert not converged.any()
    assert np.isfinite(points).all()


@pytest.mark.parametrize("compiled", [True, False])
def test_starts_are_the_lowest_local_minima(compiled):
    table = np.random.default_rng(6).random((50, len(NODES))).astype(np.float32)
    table[3, 7:], table[4], table[5, 11] = np.nan, np.nan, -1
    picked = pick(np, table, compiled)
    values = np.pad(table.reshape(-1, *SHAPE), ((0, 0), (1, 1), (1, 1), (1, 1)), constant_values=np.inf)
    values = np.where(np.isnan(values), np.inf, values)
    inner = values[:, 1:-1, 1:-1, 1:-1]
    lowest = np.isfinite(inner)
    for axis in (1, 2, 3):
        for way in (-1, 1):
            lowest &= inner < np.roll(values, way, axis)[:, 1:-1, 1:-1, 1:-1]
    for i in range(50):
        found = np.flatnonzero(lowest[i].reshape(-1))
        expected = found[np.argsort(table[i, found])][:MOST]
        assert [node for node in picked[i] if node >= 0] == expected.tolist()
    assert picked[5, 0] == 11
