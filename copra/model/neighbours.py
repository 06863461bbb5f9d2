"""The nearest neighbours by protein: the shortcut that any model of complexes has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from copra.errors import InputError
from copra.model.choice import Trial


@dataclass(frozen=True)
class Nearest:
    """The mean label of the k training records whose protein is most like, weighted by the identity.

    `identity` is [records, records], 0 to 1. Of equally near records the earlier row is nearer. Records with
    identity 0 are no neighbours; where a record has none, it gets the mean of the training labels.
    """

    identity: np.ndarray
    neighbours: list[int]

    @property
    def names(self) -> list[str]:
        """One text per number of neighbours."""
        return [f"{k} neighbours" for k in self.neighbours]

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """See `Candidates`."""
        predicted = np.stack([self._mean(k, training, labels, tested) for k in self.neighbours])
        return Trial(predicted, np.zeros_like(predicted))

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """See `Candidates`."""
        return self._mean(self.neighbours[choice], training, labels, tested)

    def _mean(self, k: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        identity = self.identity[np.ix_(tested, training)]
        nearest = np.argsort(-identity, axis=1, kind="stable")[:, :k]
        weight = np.take_along_axis(identity, nearest, axis=1)
        total = weight.sum(axis=1)
        weighted: np.ndarray = (weight * labels[nearest]).sum(axis=1) / np.where(total > 0, total, 1.0)
        return np.where(total > 0, weighted, labels.mean())


def record_identity(chains: list[list[str]], pairs: dict[tuple[str, str], float]) -> np.ndarray:
    """How alike the proteins of every two records are, float64 [records, records].

    `chains` holds the sequence keys of each record's protein chains, `pairs` the identity of two distinct keys, the
    smaller key first. Two records are as alike as their two most alike chains; the same sequence is 1. Raises
    InputError where a pair of keys is not in `pairs`.
    """
    keys = sorted({key for own in chains for key in own})
    place = {key: i for i, key in enumerate(keys)}
    between = np.eye(len(keys))
    for i, key in enumerate(keys):
        for j in range(i + 1, len(keys)):
            found = pairs.get((key, keys[j]))
            if found is None:
                raise InputError(f"identities: no row of the proteins {key} and {keys[j]}; expected every two proteins")
            between[i, j] = between[j, i] = found
    rows = [place[key] for own in chains for key in own]
    starts = np.cumsum([0, *(len(own) for own in chains)])[:-1]
    of_chains = between[np.ix_(rows, rows)]
    alike: np.ndarray = np.maximum.reduceat(np.maximum.reduceat(of_chains, starts, axis=0), starts, axis=1)
    return alike
