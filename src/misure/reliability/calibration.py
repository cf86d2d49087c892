"""From scores to probabilities and intervals: Platt scaling and split conformal prediction."""

import math

import numpy as np
from scipy import optimize


def conformal_quantile(errors: np.ndarray, coverage: float) -> float:
    """The error that a fraction `coverage` of errors like these stays below.

    With n errors, the one of rank ceil((n + 1) * coverage); 1 if n is too small for that rank.

    Args:
        errors: (n,) in [0, 1].
        coverage: in (0, 1).
    """
    rank = math.ceil((len(errors) + 1) * coverage)
    return 1.0 if rank > len(errors) else float(np.sort(errors)[rank - 1])


def platt(scores: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Slope (at least 0) and intercept of the logistic curve nearest to the outcomes.

    The targets are Platt's, (n + 1) / (n + 2) for n failures and 1 / (m + 2) for m successes, so
    that no probability becomes 0 or 1.

    Args:
        scores: (n,), growing with the probability of failure.
        failed: (n,) bool.
    """
    num_failed = int(failed.sum())
    targets = np.where(
        failed, (num_failed + 1) / (num_failed + 2), 1 / (len(failed) - num_failed + 2)
    )
    middle, spread = float(scores.mean()), float(scores.std()) or 1.0
    scaled = (scores - middle) / spread

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = weights[0] * scaled + weights[1]
        error = logistic(logits) - targets
        value = float(np.mean(np.logaddexp(0, logits) - targets * logits))
        return value, np.array([float(np.mean(error * scaled)), float(np.mean(error))])

    share = float(targets.mean())
    start = np.array([0.0, math.log(share / (1 - share))])
    weights = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    ).x
    slope = float(weights[0]) / spread
    return slope, float(weights[1]) - slope * middle


def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    probability: np.ndarray = 1 / (1 + np.exp(-np.clip(x, -60, 60)))
    return probability
