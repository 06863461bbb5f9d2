"""What is built on scikit-learn: forest, support vectors, perceptron, boosted trees, behind one interface.

scikit-learn is imported when a model is built: it takes a second, and other baselines do without.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from copra.config_experiments import BoostedTrees, Forest, Perceptron, SupportVectors
from copra.model.choice import Trial
from copra.model.ridge import standardised

# Trees of a forest while its setting is chosen; that they are few is allowed for, see `ForestCandidates.trial`.
TRIAL_TREES = 30
BATCH_SIZE = 200  # of the perceptron


@dataclass(frozen=True)
class ForestCandidates:
    """Random forests (Breiman 2001): the mean of trees, each grown on as many records drawn with replacement.

    Each split looks at a fraction `max_features` of the columns of the features [records, columns].
    """

    features: np.ndarray
    settings: Forest
    random_state: int

    @property
    def grid(self) -> list[tuple[int, float]]:
        """min_samples_leaf and max_features of each setting."""
        return list(product(self.settings.min_samples_leaf, self.settings.max_features))

    @property
    def names(self) -> list[str]:
        """One text per setting."""
        return [f"min_samples_leaf {leaf}, max_features {fraction:g}" for leaf, fraction in self.grid]

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """The first trees of every setting's forest.

        A mean over B independent trees is off the mean over infinitely many by v / B in the square, where v is the
        variance of one record's prediction from tree to tree; so B trees in the place of T make the squared error
        larger by v (1/B - 1/T), and more so for settings of uneven trees. v is measured, and that much is `excess`.
        """
        n_trees = min(TRIAL_TREES, self.settings.trees)
        predicted, excess = [], []
        for setting in self.grid:
            each = self._trees(setting, n_trees, training, labels, tested)
            predicted.append(each.mean(axis=0))
            variance = each.var(axis=0, ddof=1) if n_trees > 1 else np.zeros(len(tested))
            excess.append(variance * (1 / n_trees - 1 / self.settings.trees))
        return Trial(np.stack(predicted), np.stack(excess))

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """See `Candidates`."""
        mean: np.ndarray = self._trees(self.grid[choice], self.settings.trees, training, labels, tested).mean(axis=0)
        return mean

    def _trees(
        self, setting: tuple[int, float], n_trees: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray
    ) -> np.ndarray:
        """What each tree says, [trees, tested].

        scikit-learn's trees without its forest, which spends half its time between them. Tree i draws the same
        records in every setting, so that settings differ by less chance.
        """
        from sklearn.tree import DecisionTreeRegressor

        known, new = (self.features[rows].astype(np.float32) for rows in (training, tested))
        said = np.empty((n_trees, len(tested)))
        for i in range(n_trees):
            state = np.random.RandomState([self.random_state, i])
            times = np.bincount(state.randint(0, len(known), len(known)), minlength=len(known)).astype(np.float64)
            tree = DecisionTreeRegressor(min_samples_leaf=setting[0], max_features=setting[1], random_state=state)
            said[i] = tree.fit(known, labels, sample_weight=times, check_input=False).tree_.predict(new)[:, 0]
        return said


@dataclass(frozen=True)
class BoostedCandidates:
    """Stochastic gradient boosting (Friedman 2002) of regression trees for the squared error."""

    features: np.ndarray
    settings: BoostedTrees
    random_state: int

    @property
    def grid(self) -> list[tuple[int, float, int]]:
        """Depth, learning rate and number of trees of each setting."""
        return list(product(self.settings.depth, self.settings.learning_rate, self.settings.trees))

    @property
    def names(self) -> list[str]:
        """One text per setting."""
        return [f"depth {depth}, learning_rate {rate:g}, {trees} trees" for depth, rate, trees in self.grid]

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """Every setting; fewer trees are the first ones of the longest run."""
        found: dict[tuple[int, float, int], np.ndarray] = {}
        for depth, rate in product(self.settings.depth, self.settings.learning_rate):
            model = self._fit((depth, rate, max(self.settings.trees)), training, labels)
            for trees, predicted in enumerate(model.staged_predict(self.features[tested]), start=1):
                found[depth, rate, trees] = predicted
        stacked = np.stack([found[setting] for setting in self.grid])
        return Trial(stacked, np.zeros_like(stacked))

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """See `Candidates`."""
        found: np.ndarray = self._fit(self.grid[choice], training, labels).predict(self.features[tested])
        return found

    def _fit(self, setting: tuple[int, float, int], training: np.ndarray, labels: np.ndarray) -> Any:
        from sklearn.ensemble import GradientBoostingRegressor

        depth, rate, trees = setting
        model = GradientBoostingRegressor(
            n_estimators=trees, max_depth=depth, learning_rate=rate, subsample=self.settings.subsample,
            random_state=self.random_state,
        )  # fmt: skip
        return model.fit(self.features[training], labels)


@dataclass(frozen=True)
class SupportVectorCandidates:
    """Support vector regression (Drucker et al. 1997) with the kernel exp(-|x - x'|^2 / columns).

    Features are standardised, so the kernel's width is that of a typical distance. Labels stay in kcal/mol: the
    tube is one of the label, and the cost is the most that one training record can add to a prediction.
    """

    features: np.ndarray
    settings: SupportVectors

    @property
    def grid(self) -> list[tuple[float, float]]:
        """Cost and tube (kcal/mol) of each setting."""
        return list(product(self.settings.cost, self.settings.tube_kcal_mol))

    @property
    def names(self) -> list[str]:
        """One text per setting."""
        return [f"cost {cost:g} kcal/mol, tube {tube:g} kcal/mol" for cost, tube in self.grid]

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """See `Candidates`."""
        known, new = standardised(self.features[training], self.features[tested])
        predicted = np.stack([_support_vectors(setting, known, labels, new) for setting in self.grid])
        return Trial(predicted, np.zeros_like(predicted))

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """See `Candidates`."""
        known, new = standardised(self.features[training], self.features[tested])
        return _support_vectors(self.grid[choice], known, labels, new)


def _support_vectors(
    setting: tuple[float, float], known: np.ndarray, labels: np.ndarray, new: np.ndarray
) -> np.ndarray:
    from sklearn.svm import SVR

    cost, tube = setting
    model = SVR(kernel="rbf", C=cost, epsilon=tube, gamma=1 / known.shape[1])
    found: np.ndarray = model.fit(known, labels).predict(new)
    return found


@dataclass(frozen=True)
class PerceptronCandidates:
    """A multi-layer perceptron: ReLU, squared error, Adam, mini-batches of 200, all epochs, float32.

    Features are standardised; where there are more of them than training records they are put on the principal axes
    of those records (`rotated`). Labels are standardised by the training records, and the penalty is scikit-learn's
    `alpha` on that scale. No part of the training records is held back to stop early.
    """

    features: np.ndarray
    settings: Perceptron
    random_state: int

    @property
    def names(self) -> list[str]:
        """One text per penalty."""
        return [f"penalty {penalty:g}" for penalty in self.settings.penalty]

    def trial(self, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> Trial:
        """See `Candidates`."""
        known, new = rotated(*standardised(self.features[training], self.features[tested]))
        predicted = np.stack([self._predict(penalty, known, labels, new) for penalty in self.settings.penalty])
        return Trial(predicted, np.zeros_like(predicted))

    def predict(self, choice: int, training: np.ndarray, labels: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """See `Candidates`."""
        known, new = rotated(*standardised(self.features[training], self.features[tested]))
        return self._predict(self.settings.penalty[choice], known, labels, new)

    def _predict(self, penalty: float, known: np.ndarray, labels: np.ndarray, new: np.ndarray) -> np.ndarray:
        """Not-a-number for every record where the weights do not stay finite."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        model = MLPRegressor(
            hidden_layer_sizes=tuple(self.settings.hidden_widths), activation="relu", solver="adam", alpha=penalty,
            batch_size=min(BATCH_SIZE, len(known)), learning_rate_init=self.settings.learning_rate,
            max_iter=self.settings.epochs, n_iter_no_change=self.settings.epochs, early_stopping=False,
            random_state=self.random_state,
        )  # fmt: skip
        mean, deviation = labels.mean(), labels.std() or 1.0
        target = ((labels - mean) / deviation).astype(np.float32)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are the budget, not a tolerance
            try:
                model.fit(known.astype(np.float32), target)
                found: np.ndarray = model.predict(new.astype(np.float32)).astype(np.float64)
            except ValueError as error:
                if "non-finite" not in str(error):
                    raise
                found = np.full(len(new), np.nan)
        return found * deviation + mean


def rotated(known: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standardised features [records, columns] on the principal axes of the training rows `known`, all of them.

    Only where there are more columns than rows. Nothing of the training rows is lost, and what a new record has
    outside of them, of which nothing can be learnt, is left out. One factor for all axes brings the mean variance
    back to 1. A perceptron on 2,560 columns and 200 records is ten times faster so.
    """
    if known.shape[1] <= known.shape[0]:
        return known, new
    _, size, axes = np.linalg.svd(known, full_matrices=False)
    axes = axes[size > size.max(initial=0.0) * max(known.shape) * np.finfo(np.float64).eps]
    if not len(axes):
        return known, new
    # an axis and its opposite are the same: the largest entry is made positive, so that machines agree
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    axes = axes * np.sign(largest)[:, None]
    factor = np.sqrt(len(axes) / known.shape[1])
    return known @ axes.T * factor, new @ axes.T * factor
