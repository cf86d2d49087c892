"""Methods: one registry, one signature.

from misure.methods import METHODS

result = METHODS["seg_grad_cam"](model, image, target, layer="decoder.3")
result.saliency_map, result.cost.pass_equivalents, result.layer
"""

# The order of these names is the order of the registry, and of every table.
from misure.methods import misure, cams, rise, captum_methods, controls  # noqa: F401  # isort: skip

from misure.methods.captum_methods import as_captum_forward
from misure.methods.method import KINDS, METHODS, MapMethod, Method, method
from misure.methods.misure import RegionMethod
from misure.methods.result import MethodResult, RawMap

__all__ = [
    "KINDS",
    "METHODS",
    "MapMethod",
    "Method",
    "MethodResult",
    "RawMap",
    "RegionMethod",
    "as_captum_forward",
    "method",
]
