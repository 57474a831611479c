"""Polynomials fitted to windows that miss some of their samples.

Each pattern of missing samples has weights of its own. Solving for them takes 190 ns (11 samples, parabola), applying
them 6 ns; so the weights of recent patterns are remembered.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["fit_around_gaps"]

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

SLOTS = 8192
"""Remembered patterns: with 5 % missing in a window of 11 nearly every one is met again."""

WORD = 64
"""Bits of a word."""

LONGEST_KEY = 57
"""Samples whose pattern fits into 64 bits beside the place in the window; longer windows are always solved."""


def fit_around_gaps(series: Float32, basis: Float64, gaps: npt.NDArray[np.bool_], smooth: Float32) -> None:
    """Replace what missing samples made NaN by the least-squares fit to the valid samples of the window.

    Parameters
    ----------
    series : array of float32, shape (n, T)
        Samples; missing is NaN.
    basis : array of float64, shape (window, terms)
        Orthonormal polynomials on the window.
    gaps : array of bool, shape (n,)
        Series to look at.
    smooth : array of float32, shape (n, T)
        Filtered series, changed in place where it is NaN and the sample is not.
    """
    window, n_dates = len(basis), series.shape[1]
    keys, weights = np.full(SLOTS, ~np.uint64(0)), np.empty((SLOTS, window), np.float32)
    absent = np.zeros(n_dates + WORD - n_dates % WORD + WORD, np.uint8)
    _fit_series(series, basis, gaps, keys, weights, absent, smooth)


@njit(nogil=True, cache=True, error_model="numpy")
def _fit_series(
    series: Float32,
    basis: Float64,
    gaps: npt.NDArray[np.bool_],
    keys: Keys,
    weights: Float32,
    absent: npt.NDArray[np.uint8],
    smooth: Float32,
) -> None:
    n_dates = series.shape[1]
    filled, wanted = np.empty(n_dates, np.float32), np.empty(n_dates, np.uint8)
    places, words = np.empty(n_dates + 1, np.uintp), np.empty(absent.size // WORD, np.uint64)
    for i in range(len(series)):
        if gaps[i]:
            for t in range(np.uintp(n_dates)):
                missing = series[i, t] != series[i, t]
                filled[t] = np.float32(0) if missing else series[i, t]
                absent[t] = missing
                wanted[t] = np.uint8(smooth[i, t] != smooth[i, t]) - np.uint8(missing)  # missing is NaN in both
            n_wanted = np.uintp(0)
            for t in range(np.uintp(n_dates)):
                places[n_wanted] = t  # overwritten unless wanted: no branch to mispredict
                n_wanted += np.uintp(wanted[t])
            _pack(absent, words)
            _fit_windows(series[i], basis, keys, weights, filled, words, places[:n_wanted], smooth[i])


@njit(nogil=True, cache=True, error_model="numpy")
def _pack(absent: npt.NDArray[np.uint8], words: Keys) -> None:
    """One bit a sample, the first one lowest."""
    for w in range(np.uintp(words.size)):
        word = np.uint64(0)
        for k in range(np.uint64(WORD)):
            word |= np.uint64(absent[w * np.uintp(WORD) + k]) << k
        words[w] = word


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _fit_windows(
    series: Float32,
    basis: Float64,
    keys: Keys,
    weights: Float32,
    filled: Float32,
    words: Keys,
    places: npt.NDArray[np.uintp],
    smooth: Float32,
) -> None:
    window = len(basis)
    half, last = np.uintp(window // 2), np.uintp(series.size - window)
    mask = ~np.uint64(0) >> np.uint64(max(WORD - window, 0))
    for p in range(np.uintp(places.size)):
        t = places[p]
        start = min(max(t, half) - half, last)
        word, bit = start // np.uintp(WORD), np.uint64(start % np.uintp(WORD))
        pattern = words[word] >> bit | words[word + np.uintp(1)] << np.uint64(1) << (np.uint64(WORD - 1) - bit)
        key = pattern & mask | np.uint64(t - start) << np.uint64(LONGEST_KEY + 1)
        slot = key * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(51)  # Fibonacci hashing: the top 13 bits
        if window > LONGEST_KEY or keys[slot] != key:
            keys[slot] = key
            _solve(series[start : start + np.uintp(window)], basis, int(t - start), weights[slot])
        even = odd = np.float32(0)  # two sums at a time: one alone would wait for itself
        for k in range(np.uintp(0), np.uintp(window - 1), np.uintp(2)):
            even += weights[slot, k] * filled[start + k]
            odd += weights[slot, k + np.uintp(1)] * filled[start + k + np.uintp(1)]
        smooth[t] = even + odd + weights[slot, np.uintp(window - 1)] * filled[start + np.uintp(window - 1)]


@njit(nogil=True, cache=True, error_model="numpy")
def _solve(samples: Float32, basis: Float64, place: int, weights: Float32) -> None:
    """Weights of the valid samples in the value fitted at ``place``; NaN where they are too few."""
    window, n_terms = basis.shape
    gram, solved = np.zeros((n_terms, n_terms)), basis[place].copy()
    present = 0
    for k in range(window):
        if samples[k] == samples[k]:
            present += 1
            for a in range(n_terms):
                for b in range(n_terms):
                    gram[a, b] += basis[k, a] * basis[k, b]
    for k in range(n_terms):
        for a in range(k + 1, n_terms):
            factor = gram[a, k] / gram[k, k]
            solved[a] -= factor * solved[k]
            for b in range(k, n_terms):
                gram[a, b] -= factor * gram[k, b]
    for a in range(n_terms - 1, -1, -1):
        for b in range(a + 1, n_terms):
            solved[a] -= gram[a, b] * solved[b]
        solved[a] /= gram[a, a]
    for k in range(window):
        weight = 0.0 if present >= n_terms else np.nan
        if samples[k] == samples[k]:
            for a in range(n_terms):
                weight += basis[k, a] * solved[a]
        weights[k] = weight
