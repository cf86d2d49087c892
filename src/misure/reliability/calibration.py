"""From scores to probabilities and intervals: Platt scaling and split conformal prediction."""

import math

import numpy as np
from scipy import optimize


def conformal_quantile(errors: np.ndarray, coverage: float) -> float:
    """The error that so many of n + 1 stay below; 1 where n is too small to say."""
    rank = math.ceil((len(errors) + 1) * coverage)
    return 1.0 if rank > len(errors) else float(np.sort(errors)[rank - 1])


def platt(scores: np.ndarray, failed: np.ndarray) -> tuple[float, float]:
    """Slope (0 or more) and intercept of the logistic curve nearest to what happened.

    With Platt's targets, (n + 1) / (n + 2) and 1 / (m + 2), so that no chance becomes 0 or 1.
    """
    num_failed = int(failed.sum())
    wanted = np.where(
        failed, (num_failed + 1) / (num_failed + 2), 1 / (len(failed) - num_failed + 2)
    )
    middle, spread = float(scores.mean()), float(scores.std()) or 1.0
    scaled = (scores - middle) / spread

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        lead = weights[0] * scaled + weights[1]
        error = logistic(lead) - wanted
        value = float(np.mean(np.logaddexp(0, lead) - wanted * lead))
        return value, np.array([float(np.mean(error * scaled)), float(np.mean(error))])

    share = float(wanted.mean())
    start = np.array([0.0, math.log(share / (1 - share))])
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    ).x
    slope = float(found[0]) / spread
    return slope, float(found[1]) - slope * middle


def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    chance: np.ndarray = 1 / (1 + np.exp(-np.clip(x, -60, 60)))
    return chance
