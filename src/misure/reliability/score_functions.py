"""Score functions: sums of what each feature contributes, kept as plain numbers.

Fitted by scikit-learn (see `learners`), computed by NumPy: what is saved is JSON, needs no pickle,
and gives an object the same score alone and among others.
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Self

import numpy as np

from misure._util.records import Record


class Scaling(Record, frozen=True, kw_only=True):
    """Features to columns of similar size.

    A column is (feature - mean) / std, 0 if the feature is missing. Behind these stand columns that
    say whether a feature is missing.

    Attributes:
        mean, std: of each feature over the objects that have it.
        flagged: indices of the features with a column that says whether they are missing.
    """

    mean: list[float]
    std: list[float]
    flagged: list[int]

    def __post_init__(self) -> None:
        _check_finite([*self.mean, *self.std])
        if len(self.mean) != len(self.std) or 0 in self.std:
            raise ValueError("mean and std differ in length, or a std is 0")
        if len(set(self.flagged)) < len(self.flagged):
            raise ValueError("a feature is flagged twice")
        if not all(0 <= index < len(self.mean) for index in self.flagged):
            raise ValueError("a feature is flagged that does not exist")

    @classmethod
    def fit(cls, features: np.ndarray) -> Self:
        """The scaling of features (n, m), NaN if missing; none may be missing in all objects."""
        std = np.nanstd(features, axis=0)
        return cls(
            mean=np.nanmean(features, axis=0).tolist(),
            std=np.where(std > 1e-9, std, 1.0).tolist(),
            flagged=np.flatnonzero(np.isnan(features).any(axis=0)).tolist(),
        )

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Columns (n, m + flagged) float32 of features (n, m)."""
        scaled = (features - np.array(self.mean)) / np.array(self.std)
        missing = np.isnan(scaled)
        columns = np.hstack([np.where(missing, 0.0, scaled), missing[:, self.flagged]])
        float32: np.ndarray = columns.astype(np.float32)  # as the trees of scikit-learn see them
        return float32

    def feature_of_column(self) -> np.ndarray:
        """The index of the feature that each column comes from."""
        return np.array([*range(len(self.mean)), *self.flagged], dtype=int)


class Linear(Record, frozen=True, kw_only=True, tag_field="kind", tag="linear"):
    """bias + sum of weight times column.

    Attributes:
        bias: the score of columns that are all 0.
        weights: of the columns.
    """

    bias: float
    weights: list[float]

    def __post_init__(self) -> None:
        _check_finite([self.bias, *self.weights])

    def check_columns(self, num_columns: int) -> None:
        """Raises a ValueError unless the function is of this many columns."""
        if len(self.weights) != num_columns:
            raise ValueError(f"{len(self.weights)} weights for {num_columns} columns")

    def contributions(self, columns: np.ndarray) -> np.ndarray:
        """What each of the columns (n, k) contributes, (n, k)."""
        contributions: np.ndarray = columns.astype(float) * np.array(self.weights)
        return contributions


class Tree(Record, frozen=True, kw_only=True):
    """A binary tree, as lists over its nodes; the first node is the root.

    Attributes:
        column: that a node looks at; -1 for a leaf.
        threshold: an object goes left if its column is at most this.
        left, right: the children, both behind their parent.
        value: mean of the objects that fitting saw at a node.
    """

    column: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    value: list[float]

    def __post_init__(self) -> None:
        _check_finite([*self.threshold, *self.value])
        num = len(self.column)
        lists = (self.threshold, self.left, self.right, self.value)
        if {len(values) for values in lists} != {num} or not num:
            raise ValueError("a tree with lists of different lengths")
        for node, column in enumerate(self.column):
            children = (self.left[node], self.right[node])
            # A child stands behind its parent, so every way through a tree ends.
            if column >= 0 and not all(node < child < num for child in children):
                raise ValueError("a tree whose nodes are in no order")

    def add_contributions(self, columns: np.ndarray, contributions: np.ndarray) -> None:
        """Adds what each of the columns (n, k) contributes to `contributions` (n, k)."""
        column, threshold, value = map(np.array, (self.column, self.threshold, self.value))
        left, right = np.array(self.left), np.array(self.right)
        rows, nodes = np.arange(len(columns)), np.zeros(len(columns), dtype=int)
        while (is_inner := column[nodes] >= 0).any():
            moving, parents = rows[is_inner], nodes[is_inner]
            goes_left = columns[moving, column[parents]] <= threshold[parents]
            children = np.where(goes_left, left[parents], right[parents])
            contributions[moving, column[parents]] += value[children] - value[parents]
            nodes[is_inner] = children


class Trees(Record, frozen=True, kw_only=True, tag_field="kind", tag="trees"):
    """bias + sum over trees of the leaf an object falls into.

    What a tree contributes is divided among the columns on the way to the leaf: each step changes
    the mean of the objects that fitting saw there (Saabas 2014).

    Attributes:
        bias: the sum of all roots.
        trees: see `Tree`.
    """

    bias: float
    trees: list[Tree]

    def __post_init__(self) -> None:
        _check_finite([self.bias])

    def check_columns(self, num_columns: int) -> None:
        """Raises a ValueError if a tree looks at a column beyond this many."""
        last = max((max(tree.column) for tree in self.trees), default=-1)
        if last >= num_columns:
            raise ValueError(f"a tree that looks at column {last} of {num_columns}")

    def contributions(self, columns: np.ndarray) -> np.ndarray:
        """What each of the columns (n, k) contributes, (n, k)."""
        contributions = np.zeros(columns.shape)
        for tree in self.trees:
            tree.add_contributions(columns, contributions)
        return contributions


ScoreFunction = Linear | Trees


def score_of(function: ScoreFunction, columns: np.ndarray) -> np.ndarray:
    """The scores (n,) of columns (n, k)."""
    scores: np.ndarray = function.bias + function.contributions(columns).sum(axis=1)
    return scores


def main_reasons(
    names: Sequence[str], contributions: np.ndarray, num: int
) -> list[list[tuple[str, float]]]:
    """The features that lower the score of each object most, with their contributions.

    Args:
        names: of the m features.
        contributions: (n, m) of the features.
        num: at most this many features per object.

    Returns:
        For each object the strongest first; empty if no feature lowers its score.
    """
    reasons = []
    for row in contributions:
        order = np.argsort(row, kind="stable")[:num]
        reasons.append([(names[i], float(row[i])) for i in order if row[i] < 0])
    return reasons


def _check_finite(numbers: Iterable[float]) -> None:
    if not all(map(isfinite, numbers)):
        raise ValueError("a number is not finite")
