"""Learners: from annotated objects to score functions, fitted by scikit-learn."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from misure._util.optional import require
from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.reliability.score_functions import Linear, ScoreFunction, Tree, Trees

_STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
_NUM_FOLDS = 5

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Indices of the objects to fit on and of those to test on, for each fold."""

FitFunction = Callable[[np.ndarray, np.ndarray, int], ScoreFunction]
"""(columns (n, k), what to predict (n,), seed) -> a score function."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningTable:
    """What is learnt from.

    Attributes:
        columns: (n, k), see `Scaling`.
        dices: (n,) in [0, 1].
        failed: (n,) bool, whether the Dice is below the cut.
        folds: to cross-validate with.
    """

    columns: np.ndarray
    dices: np.ndarray
    failed: np.ndarray
    folds: Folds


@dataclass(frozen=True)
class Learner:
    """How to fit both score functions, with settings already chosen.

    Attributes:
        dice: fits a score that is the Dice.
        failure: fits a score that grows with the probability of failure.
    """

    dice: FitFunction
    failure: FitFunction


def _linear(table: LearningTable) -> Learner:
    linear_model = _sklearn("linear_model")
    ridge = linear_model.Ridge()
    ridge.alpha = _best_strength(
        ridge, "alpha", table.columns, table.dices, table.folds, "neg_mean_squared_error"
    )
    logistic = linear_model.LogisticRegression(max_iter=1000)
    mixed = [
        (fit, test)
        for fit, test in table.folds
        if has_both(table.failed[fit]) and has_both(table.failed[test])
    ]
    logistic.C = _best_strength(logistic, "C", table.columns, table.failed, mixed, "neg_log_loss")
    return Learner(
        lambda x, y, _seed: _fit_linear(ridge, x, y),
        lambda x, y, _seed: _fit_linear(logistic, x, y),
    )


def _fit_linear(model: Any, x: np.ndarray, y: np.ndarray) -> Linear:
    fitted = _sklearn("base").clone(model).fit(x, y)
    return Linear(bias=float(np.ravel(fitted.intercept_)[0]), weights=fitted.coef_.ravel().tolist())


def _best_strength(
    model: Any, name: str, x: np.ndarray, y: np.ndarray, parts: Folds, scoring: str
) -> float:
    """The strength of a penalty that scores best on objects that were not fitted on."""
    if len(parts) < 2:
        return 1.0
    search = _sklearn("model_selection").GridSearchCV(
        model, {name: _STRENGTHS}, cv=parts, scoring=scoring, refit=False
    )
    return float(search.fit(x, y).best_params_[name])


def has_both(failed: np.ndarray) -> bool:
    """Whether there are failures and successes."""
    return bool(failed.any() and not failed.all())


_BOOSTING = {
    "n_estimators": 100,
    "learning_rate": 0.08,
    "max_depth": 3,
    "min_samples_leaf": 5,
    "subsample": 0.7,
    "max_features": 0.5,
}


def _boosting(_table: LearningTable) -> Learner:
    ensemble = _sklearn("ensemble")

    def dice(x: np.ndarray, y: np.ndarray, seed: int) -> Trees:
        model = ensemble.GradientBoostingRegressor(**_BOOSTING, random_state=seed)
        return _as_trees(model.fit(x, y), float(y.mean()))

    def failure(x: np.ndarray, y: np.ndarray, seed: int) -> Trees:
        model = ensemble.GradientBoostingClassifier(**_BOOSTING, random_state=seed)
        share = float(y.mean())
        return _as_trees(model.fit(x, y), math.log(share / (1 - share)))

    return Learner(dice, failure)


def _as_trees(model: Any, start: float) -> Trees:
    """A fitted ensemble of scikit-learn as plain numbers.

    Args:
        model: the ensemble.
        start: the score that its trees are added to.
    """
    trees, bias = [], start
    for (estimator,) in model.estimators_:
        nodes = estimator.tree_
        value = model.learning_rate * nodes.value[:, 0, 0]
        bias += float(value[0])
        trees.append(
            Tree(
                column=np.where(nodes.children_left < 0, -1, nodes.feature).tolist(),
                threshold=nodes.threshold.tolist(),
                left=nodes.children_left.tolist(),
                right=nodes.children_right.tolist(),
                value=value.tolist(),
            )
        )
    return Trees(bias=bias, trees=trees)


LEARNERS: dict[str, Callable[[LearningTable], Learner]] = {
    "linear": _linear,
    "boosting": _boosting,
}
"""Name -> function from a table to a learner.

- `linear`: ridge regression, and logistic regression with an L2 penalty, the penalties chosen by
  cross-validation over the folds;
- `boosting`: gradient boosting of 100 trees of depth 3.
"""


def check_learner(name: str) -> None:
    """Raises an InputError for an unknown name."""
    if name not in LEARNERS:
        raise InputError(
            f"expected a learner among {', '.join(LEARNERS)}, got {name!r}."
            f"{did_you_mean(name, LEARNERS)}"
        )


def folds_of(groups: np.ndarray, seed: int, num_folds: int = _NUM_FOLDS) -> Folds:
    """Folds of objects; a group is never on both sides of a fold.

    Args:
        groups: (n,) the image or patient of each object.
        seed: of the shuffling.
        num_folds: at most; as many as there are groups, if fewer.
    """
    names = np.unique(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = dict(zip(names[order].tolist(), np.arange(len(names)) % num_folds, strict=True))
    fold = np.array([fold_of[group] for group in groups.tolist()])
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]
    return [(fit, test) for fit, test in parts if len(fit) and len(test)]


def _sklearn(module: str) -> Any:
    return require(f"sklearn.{module}", extra="reliability", purpose="fit a reliability model")
