"""Learners: sums of parts, one for each feature, kept as plain numbers.

Fitted by scikit-learn, computed by NumPy: what is saved is JSON, needs no pickle, and gives an
object the same score alone and among others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from misure._util.optional import require
from misure.errors import InputError

_STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
_NUM_FOLDS = 5

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Numbers to fit on and to test on, again and again."""


@dataclass(frozen=True)
class Scaling:
    """Features to columns of about one size: (x - mean) / std, 0 where missing, and whether it is.

    Attributes:
        mean, std: of each feature where it is there.
        flagged: numbers of the features for which a column says whether they are missing.
    """

    mean: list[float]
    std: list[float]
    flagged: list[int]

    @classmethod
    def fit(cls, features: np.ndarray) -> "Scaling":
        """From features (n, m) with NaN where one is missing; none may be missing everywhere."""
        std = np.nanstd(features, axis=0)
        return cls(
            np.nanmean(features, axis=0).tolist(),
            np.where(std > 1e-9, std, 1.0).tolist(),
            np.flatnonzero(np.isnan(features).any(axis=0)).tolist(),
        )

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Columns (n, m + flags) float32."""
        scaled = (features - np.array(self.mean)) / np.array(self.std)
        missing = np.isnan(scaled)
        columns = np.hstack([np.where(missing, 0.0, scaled), missing[:, self.flagged]])
        as_trees_see: np.ndarray = columns.astype(np.float32)  # those of scikit-learn
        return as_trees_see

    def source(self) -> np.ndarray:
        """The number of the feature that each column comes from."""
        return np.array([*range(len(self.mean)), *self.flagged], dtype=int)


@dataclass(frozen=True)
class Linear:
    """bias + sum of weight times column."""

    bias: float
    weights: list[float]

    def parts(self, columns: np.ndarray) -> np.ndarray:
        """What each column contributes, (n, k)."""
        parts: np.ndarray = columns.astype(float) * np.array(self.weights)
        return parts


@dataclass(frozen=True)
class Trees:
    """bias + sum over trees of the leaf an object falls into.

    A tree's part is divided among the columns on the way to the leaf: each step changes the mean of
    the objects that fitting saw there (Saabas 2014; `value` of a tree's root is in the bias).

    Attributes:
        bias: the sum of all roots.
        trees: of each, lists over its nodes: `column` (-1 for a leaf), `threshold` (left where the
            column is at most so much), `left`, `right` and `value`.
    """

    bias: float
    trees: list[dict[str, list[Any]]]

    def parts(self, columns: np.ndarray) -> np.ndarray:
        """What each column contributes, (n, k)."""
        parts = np.zeros(columns.shape)
        rows = np.arange(len(columns))
        for tree in self.trees:
            column, threshold, left, right, value = (
                np.array(tree[name]) for name in ("column", "threshold", "left", "right", "value")
            )
            at = np.zeros(len(columns), dtype=int)
            while (inner := column[at] >= 0).any():
                moving = rows[inner]
                here = at[inner]
                goes_left = columns[moving, column[here]] <= threshold[here]
                there = np.where(goes_left, left[here], right[here])
                parts[moving, column[here]] += value[there] - value[here]
                at[inner] = there
        return parts


Score = Linear | Trees


def score_of(score: Score, columns: np.ndarray) -> np.ndarray:
    """The sums (n,)."""
    total: np.ndarray = score.bias + score.parts(columns).sum(axis=1)
    return total


FitFunction = Callable[[np.ndarray, np.ndarray, int], Score]
"""(columns, what is to be said, seed) to a score."""


@dataclass(frozen=True)
class Learner:
    """A way to learn both questions, its settings chosen.

    Attributes:
        dice: to a score that is the Dice.
        failure: from whether each failed to a score that grows with the chance.
    """

    dice: FitFunction
    failure: FitFunction


def _linear(columns: np.ndarray, dices: np.ndarray, failed: np.ndarray, parts: Folds) -> Learner:
    linear_model = _sklearn("linear_model")
    ridge = linear_model.Ridge()
    ridge.alpha = _best(ridge, "alpha", columns, dices, parts, "neg_mean_squared_error")
    logistic = linear_model.LogisticRegression(max_iter=1000)
    both = [(fit, test) for fit, test in parts if has_both(failed[fit]) and has_both(failed[test])]
    logistic.C = _best(logistic, "C", columns, failed, both, "neg_log_loss")

    def fitted(kind: Any, x: np.ndarray, y: np.ndarray) -> Score:
        made = _sklearn("base").clone(kind).fit(x, y)
        return Linear(float(np.ravel(made.intercept_)[0]), made.coef_.ravel().tolist())

    return Learner(lambda x, y, _: fitted(ridge, x, y), lambda x, y, _: fitted(logistic, x, y))


def _best(kind: Any, name: str, x: np.ndarray, y: np.ndarray, parts: Folds, scoring: str) -> float:
    """The strength of a penalty that does best on what it was not fitted on."""
    if len(parts) < 2:
        return 1.0
    search = _sklearn("model_selection").GridSearchCV(
        kind, {name: _STRENGTHS}, cv=parts, scoring=scoring, refit=False
    )
    return float(search.fit(x, y).best_params_[name])


def has_both(failed: np.ndarray) -> bool:
    """Whether some failed and some did not."""
    return bool(failed.any() and not failed.all())


_BOOSTING = {
    "n_estimators": 100,
    "learning_rate": 0.08,
    "max_depth": 3,
    "min_samples_leaf": 5,
    "subsample": 0.7,
    "max_features": 0.5,
}


def _boosting(_x: np.ndarray, _dices: np.ndarray, _failed: np.ndarray, _parts: Folds) -> Learner:
    ensemble = _sklearn("ensemble")

    def dice(x: np.ndarray, y: np.ndarray, seed: int) -> Score:
        made = ensemble.GradientBoostingRegressor(**_BOOSTING, random_state=seed)
        return _as_trees(made.fit(x, y), float(y.mean()))

    def failure(x: np.ndarray, y: np.ndarray, seed: int) -> Score:
        made = ensemble.GradientBoostingClassifier(**_BOOSTING, random_state=seed)
        share = float(y.mean())
        return _as_trees(made.fit(x, y), math.log(share / (1 - share)))

    return Learner(dice, failure)


LEARNERS = {"linear": _linear, "boosting": _boosting}
"""Name -> function of (columns, Dices, failed or not, folds) to a learner.

- `linear`: ridge regression, and logistic regression with an L2 penalty, the penalties chosen by
  cross-validation over the folds;
- `boosting`: gradient boosting of 100 trees of depth 3.
"""


def folds(groups: np.ndarray, seed: int, num_folds: int = _NUM_FOLDS) -> Folds:
    """Numbers to fit on and to test on; a group is never on both sides.

    Args:
        groups: (n,) of what each object must stay with.
        seed: of the shuffling.
        num_folds: at most; as many as there are groups, if fewer.
    """
    names = np.unique(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = dict(zip(names[order].tolist(), np.arange(len(names)) % num_folds, strict=True))
    fold = np.array([fold_of[one] for one in groups.tolist()])
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]
    return [(fit, test) for fit, test in parts if len(fit) and len(test)]


def _as_trees(made: Any, beginning: float) -> Trees:
    """Plain numbers of an ensemble of scikit-learn."""
    trees, bias = [], beginning
    for (one,) in made.estimators_:
        tree = one.tree_
        value = made.learning_rate * tree.value[:, 0, 0]
        bias += float(value[0])
        trees.append(
            {
                "column": np.where(tree.children_left < 0, -1, tree.feature).tolist(),
                "threshold": tree.threshold.tolist(),
                "left": tree.children_left.tolist(),
                "right": tree.children_right.tolist(),
                "value": value.tolist(),
            }
        )
    return Trees(bias, trees)


def _sklearn(module: str) -> Any:
    return require(f"sklearn.{module}", extra="reliability", purpose="fit a reliability model")


def as_plain(score: Score) -> dict[str, Any]:
    """As plain values, for JSON."""
    return {"kind": type(score).__name__.lower(), **asdict(score)}


def from_plain(plain: dict[str, Any], num_columns: int) -> Score:
    """The score that `as_plain` gave, checked, since the file may be anybody's.

    Args:
        plain: a dictionary.
        num_columns: how many columns it may look at.

    Raises:
        ValueError: it is none.
    """
    bias = _number(plain["bias"])
    if plain["kind"] == "linear":
        weights = [_number(one) for one in plain["weights"]]
        if len(weights) != num_columns:
            raise ValueError(f"{len(weights)} weights for {num_columns} columns")
        return Linear(bias, weights)
    if plain["kind"] != "trees":
        raise ValueError(f"a score of kind {plain['kind']!r}")
    return Trees(bias, [_checked_tree(one, num_columns) for one in plain["trees"]])


def _checked_tree(tree: dict[str, list[Any]], num_columns: int) -> dict[str, list[Any]]:
    column, left, right = ([int(one) for one in tree[name]] for name in ("column", "left", "right"))
    threshold, value = ([_number(one) for one in tree[name]] for name in ("threshold", "value"))
    num = len(column)
    if {len(left), len(right), len(threshold), len(value)} != {num} or not num:
        raise ValueError("a tree with lists of different lengths")
    for node, one in enumerate(column):
        if one >= num_columns:
            raise ValueError(f"a tree that looks at column {one} of {num_columns}")
        # A child stands behind its parent, so no way through a tree is without end.
        if one >= 0 and not (node < left[node] < num and node < right[node] < num):
            raise ValueError("a tree whose nodes are in no order")
    return {"column": column, "threshold": threshold, "left": left, "right": right, "value": value}


def _number(one: Any) -> float:
    number = float(one)
    if not math.isfinite(number):
        raise ValueError(f"a number that is {number}")
    return number


def check_learner(name: str) -> None:
    """Raises an InputError for an unknown name."""
    if name not in LEARNERS:
        raise InputError(
            f"reliability: expected a learner among {', '.join(LEARNERS)}, got {name!r}."
        )


def most_of(names: Sequence[str], parts: np.ndarray, num: int) -> list[list[tuple[str, float]]]:
    """For each object the features that lower its score most, the strongest first.

    Args:
        names: of the features.
        parts: (n, m), what each contributes.
        num: at most so many.
    """
    found = []
    for row in parts:
        order = np.argsort(row, kind="stable")[:num]
        found.append([(names[i], float(row[i])) for i in order if row[i] < 0])
    return found
