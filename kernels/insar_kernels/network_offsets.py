"""What joins the components of a disconnected network: how far each of them is from the first, for one point.

A network in several components says nothing of the displacement between them; each ending adds what it takes for
granted. Both need a system as small as the number of components.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from insar_kernels.network_band import MISSING

__all__ = ["join_by_model", "join_by_velocities", "solve_positive"]

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

SINGULAR = 1e-10
"""A pivot below this share of its diagonal counts as zero; terms are scaled to order one."""


@njit(nogil=True, cache=True, error_model="numpy")
def join_by_velocities(
    solution: Float64, component: Int64, squares: Float64, matrix: Float64, right: Float64, n_components: int
) -> None:
    """Offsets that make the velocities smallest: the minimum of the sum of (dx / dt)^2 over all intervals.

    That is the minimum-norm solution of Berardino et al. (2002), doi:10.1109/TGRS.2002.803792. Over intervals without
    a date of the point velocity is shared as there: in proportion to their lengths, which makes the cost of a gap
    dx^2 / sum dt^2; ``squares`` has the running sum of dt^2. Dates are in order of time, and so are components.
    """
    size = n_components - 1
    matrix[:size, :size] = 0.0
    right[:size] = 0.0
    last = MISSING
    for t in range(solution.size):
        if component[t] == MISSING:
            continue
        if last != MISSING and component[t] != component[last]:
            weight = 1.0 / (squares[t] - squares[last])
            step = solution[t] - solution[last]
            a, b = component[t] - 1, component[last] - 1
            if a >= 0:
                matrix[a, a] += weight
                right[a] -= weight * step
            if b >= 0:
                matrix[b, b] += weight
                right[b] += weight * step
            if a >= 0 and b >= 0:
                matrix[a, b] -= weight
                matrix[b, a] -= weight
        last = t
    solve_positive(matrix, right, size)
    for t in range(solution.size):
        if component[t] > 0:
            solution[t] += right[component[t] - 1]


@njit(nogil=True, cache=True, error_model="numpy")
def join_by_model(
    solution: Float64,
    component: Int64,
    model: Float64,
    matrix: Float64,
    right: Float64,
    n_components: int,
    filled: Float64,
) -> bool:
    """Offsets and coefficients of a model, together by least squares of x + c = M m over all dates that have a pair.

    The limit of the stacked system of Lopez-Quiroz et al. (2009), doi:10.1016/j.jappgeo.2009.02.006, and Doin et al.
    (2011), in which the weight of the model goes to zero: what pairs say is kept exactly. False, and nothing changed,
    where dates cannot tell the offsets from the model; else ``filled`` has the model at every date.
    """
    size, terms = n_components - 1, model.shape[1]
    whole = size + terms
    matrix[:whole, :whole] = 0.0
    right[:whole] = 0.0
    for t in range(solution.size):
        if component[t] == MISSING:
            continue
        c = component[t] - 1
        if c >= 0:
            matrix[c, c] += 1.0
            right[c] -= solution[t]
        for i in range(terms):
            right[size + i] += model[t, i] * solution[t]
            if c >= 0:
                matrix[size + i, c] -= model[t, i]
                matrix[c, size + i] -= model[t, i]
            for j in range(terms):
                matrix[size + i, size + j] += model[t, i] * model[t, j]
    if not solve_positive(matrix, right, whole):
        return False
    for t in range(solution.size):
        if component[t] > 0:
            solution[t] += right[component[t] - 1]
        filled[t] = 0.0
        for i in range(terms):
            filled[t] += model[t, i] * right[size + i]
    return True


@njit(nogil=True, cache=True, error_model="numpy")
def solve_positive(matrix: Float64, right: Float64, size: int) -> bool:
    """Solve a positive definite system in place by L D L'; false where it is singular."""
    for a in range(size):
        whole = matrix[a, a]
        for k in range(a):
            matrix[a, a] -= matrix[a, k] * matrix[a, k] * matrix[k, k]
        if not matrix[a, a] > SINGULAR * whole:
            return False
        for b in range(a + 1, size):
            entry = matrix[b, a]
            for k in range(a):
                entry -= matrix[b, k] * matrix[a, k] * matrix[k, k]
            matrix[b, a] = entry / matrix[a, a]
    for a in range(size):
        for k in range(a):
            right[a] -= matrix[a, k] * right[k]
    for a in range(size - 1, -1, -1):
        right[a] /= matrix[a, a]
        for k in range(a + 1, size):
            right[a] -= matrix[k, a] * right[k]
    return True
