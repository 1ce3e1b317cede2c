"""Permutation of subjects in a regression with several factors, many outcomes at once."""

from __future__ import annotations

from itertools import permutations as every_permutation
from math import factorial

import numpy as np

from ..resampling import Array

EXACT_SUBJECTS = 7
"""Up to this many subjects all n! permutations are enumerated; beyond, they are drawn."""


def freedman_lane_p(values: Array, regressors: Array, permutations: int, seed: int, *, nuisance: int = 1) -> Array:
    """Two-sided p ``(column, factor)`` of each regressor after the first ``nuisance`` ones, given all others.

    ``values`` is ``(subject, column)``, ``regressors (subject, nuisance + factor)`` with the constant first. The
    residuals of the values on the other regressors are permuted over the subjects, and the factor's squared t
    is taken anew (Freedman & Lane, 1983): in an orthonormal basis whose last vector is what the others leave of
    the factor, it needs only the products of the basis with permuted residuals. The same permutations serve all
    columns. A drawn p counts the data itself.
    """
    orders = _orders(len(values), permutations, seed)
    found = np.empty((values.shape[1], regressors.shape[1] - nuisance))
    for factor in range(found.shape[1]):
        others = np.delete(regressors, nuisance + factor, axis=1)
        basis = np.linalg.qr(np.column_stack([others, regressors[:, nuisance + factor]]))[0]
        residuals = values - basis[:, :-1] @ (basis[:, :-1].T @ values)
        extreme = _ratios(basis, residuals, orders) >= (1 - 1e-9) * _ratios(basis, residuals, orders[:1])
        found[:, factor] = extreme.mean(axis=0)
    return found


def _orders(count: int, permutations: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Orders of the subjects ``(permutation, subject)``, the data's own first."""
    own = np.arange(count)
    if count <= EXACT_SUBJECTS:
        return np.fromiter(every_permutation(own), dtype=(np.int64, count), count=factorial(count))
    drawn = np.random.default_rng([seed, count, 2]).permuted(np.tile(own, (permutations, 1)), axis=1)
    return np.concatenate([own[None], drawn])


def _ratios(basis: Array, residuals: Array, orders: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Array:
    """Explained over unexplained square ``(permutation, column)`` of the last basis vector: t squared but for scale."""
    total = (residuals**2).sum(axis=0)
    # Permuting a basis vector instead of every column of residuals: the inverse order, drawn as often.
    others = sum((vector[orders] @ residuals) ** 2 for vector in basis.T[:-1])
    explained = (basis[:, -1][orders] @ residuals) ** 2
    # A perfect fit leaves rounding only.
    return np.asarray(explained / np.maximum(total - others - explained, 1e-12 * total))
