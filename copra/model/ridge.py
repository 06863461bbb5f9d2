"""Linear regression with an L2 penalty, for a whole list of penalties at the price of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copra.model.choice import Trial


@dataclass(frozen=True)
class Ridge:
    """Minimises sum (y - b - x w)^2 + penalty |w|^2 over standardised features x [records, columns].

    The intercept b is free of the penalty. One singular value decomposition of the training rows serves every
    penalty (Hastie, Tibshirani and Friedman, Elements of Statistical Learning, section 3.4.1); directions in which
    the training rows do not vary get no weight, so penalty 0 is the least-squares solution of smallest norm.
    """

    features: np.ndarray
    penalties: list[float]

    @property
    def names(self) -> list[str]:
        """One text per penalty."""
        return [f"penalty {penalty:g}" for penalty in self.penalties]

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """See `Candidates`."""
        predicted = self._predict(self.penalties, training, labels, tested)
        return Trial(predicted, np.zeros_like(predicted))

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """See `Candidates`."""
        return self._predict([self.penalties[choice]], training, labels, tested)[0]

    def _predict(
        self, penalties: list[float], training: np.ndarray, labels: np.ndarray, tested: np.ndarray
    ) -> np.ndarray:
        known, new = standardised(self.features[training], self.features[tested])
        left, size, right = np.linalg.svd(known, full_matrices=False)
        kept = size > size.max(initial=0.0) * max(known.shape) * np.finfo(np.float64).eps
        along = left[:, kept].T @ (labels - labels.mean())
        scores = new @ right[kept].T  # [tested, directions]
        size = size[kept]
        return np.stack([labels.mean() + scores @ (size / (size**2 + penalty) * along) for penalty in penalties])


def standardised(training: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both matrices [records, columns] with the training rows' mean taken off, over their standard deviation.

    Columns in which the training rows are all equal are left out, as nothing can be learnt of them; one column of
    zeros stands where none is left.
    """
    varies = np.ptp(training, axis=0) > 0
    if not varies.any():
        return np.zeros((len(training), 1)), np.zeros((len(tested), 1))
    known = training[:, varies]
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    return (known - mean) / deviation, (tested[:, varies] - mean) / deviation
