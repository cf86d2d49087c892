"""Checks for explainers: three toy networks whose right explanation is known, in 2D and 3D.

from misure.testing import check_explainer

print(check_explainer(my_explainer))  # my_explainer(model, image, target) -> map or region
"""

from misure.testing.check import ExplainerReport, ToyResult, check_explainer
from misure.testing.toys import TOYS, Beacon, Constant, OwnBrightness, ToyNetwork

__all__ = [
    "TOYS",
    "Beacon",
    "Constant",
    "ExplainerReport",
    "OwnBrightness",
    "ToyNetwork",
    "ToyResult",
    "check_explainer",
]
