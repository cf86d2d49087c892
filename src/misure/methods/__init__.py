"""Methods: one registry, one signature.

from misure.methods import METHODS

result = METHODS["seg_grad_cam"](model, image, target, layer="decoder.3")
result.saliency_map, result.cost.pass_equivalents, result.layer
"""

from misure.methods.cams import seg_grad_cam, seg_xres_cam
from misure.methods.captum_methods import (
    as_captum_forward,
    guided_backprop,
    input_x_gradient,
    integrated_gradients,
    layer_grad_cam,
    occlusion,
    saliency,
)
from misure.methods.controls import class_itself, edges, random, target_itself
from misure.methods.method import Method, MethodResult, RawMap
from misure.methods.own import misure, misure_paper, sufficient_region
from misure.methods.rise import rise

_PAPER = "Hasany, Mériaudeau, Petitjean 2024, arXiv 2406.12173"
_CAPTUM = "captum"

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("misure", misure, f"after {_PAPER}"),
        Method("misure_paper", misure_paper, _PAPER, needs_gradients=True),
        Method("sufficient_region", sufficient_region, f"{_PAPER}, stage 1"),
        Method("seg_grad_cam", seg_grad_cam, "Vinogradova et al. 2020", needs_gradients=True),
        Method("seg_xres_cam", seg_xres_cam, "Hasany et al. 2023", needs_gradients=True),
        Method("rise", rise, "Petsiuk et al. 2018, with Dice as the weight"),
        Method("occlusion", occlusion, _CAPTUM, library=_CAPTUM),
        Method(
            "integrated_gradients",
            integrated_gradients,
            _CAPTUM,
            needs_gradients=True,
            library=_CAPTUM,
        ),
        Method("saliency", saliency, _CAPTUM, needs_gradients=True, library=_CAPTUM),
        Method(
            "input_x_gradient", input_x_gradient, _CAPTUM, needs_gradients=True, library=_CAPTUM
        ),
        Method("guided_backprop", guided_backprop, _CAPTUM, needs_gradients=True, library=_CAPTUM),
        Method("layer_grad_cam", layer_grad_cam, _CAPTUM, needs_gradients=True, library=_CAPTUM),
        Method("random", random, "control"),
        Method("edges", edges, "control"),
        Method("target_itself", target_itself, "control"),
        Method("class_itself", class_itself, "control"),
    )
}

__all__ = ["METHODS", "Method", "MethodResult", "RawMap", "as_captum_forward"]
