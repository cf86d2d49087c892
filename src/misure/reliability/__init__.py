"""Reliability: predicts how far a segmentation can be trusted if its image is not annotated.

examples = read_examples(["run"], ["coco:photographs"])
model = fit_reliability(examples, names_of(["all"]))
rows = score_run("another-run", model)
"""

from misure.reliability.annotated import matched_dices, object_dices
from misure.reliability.evaluation import Evaluation, evaluate_reliability
from misure.reliability.examples import Examples
from misure.reliability.features import FEATURES, GROUPS, Feature, feature_matrix, names_of
from misure.reliability.fit import fit_reliability
from misure.reliability.learners import LEARNERS
from misure.reliability.model import Reliability, ReliabilityModel
from misure.reliability.quality import Quality, measure_quality
from misure.reliability.read_examples import read_examples
from misure.reliability.scores import MEASURES, Predictions
from misure.reliability.scoring import score_run

__all__ = [
    "FEATURES",
    "GROUPS",
    "LEARNERS",
    "MEASURES",
    "Evaluation",
    "Examples",
    "Feature",
    "Predictions",
    "Quality",
    "Reliability",
    "ReliabilityModel",
    "evaluate_reliability",
    "feature_matrix",
    "fit_reliability",
    "matched_dices",
    "measure_quality",
    "names_of",
    "object_dices",
    "read_examples",
    "score_run",
]
