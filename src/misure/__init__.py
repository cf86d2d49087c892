"""misure explains image segmentation models: which part of an image is needed, and nothing more.

    import misure

    model = misure.SegmentationModel(net, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    image = misure.read_image("street.png")
    target = misure.predicted_target(model, image, class_index=7)
    explanation = misure.explain(model, image, target, dice_threshold=0.9)

Names are fetched on first use, so importing misure does not load torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from misure._version import __version__

if TYPE_CHECKING:
    from misure.errors import (
        EmptyTargetError,
        InputError,
        MissingDataError,
        MissingDependencyError,
        MisureError,
        ModelError,
        RunFolderError,
    )
    from misure.explanation.answers.channel_regions import channel_regions
    from misure.explanation.answers.channels import channel_effects
    from misure.explanation.answers.context_effects import context_effects
    from misure.explanation.answers.leverage import leverage
    from misure.explanation.answers.missed_objects import missed_objects
    from misure.explanation.answers.prompt_sensitivity import prompt_sensitivity
    from misure.explanation.answers.robustness import robustness
    from misure.explanation.answers.stability import Stability, stability_of
    from misure.explanation.check import CheckedRegion, check_region
    from misure.explanation.explain import explain, explain_all
    from misure.explanation.explanation import Explanation
    from misure.explanation.presets import PRESETS
    from misure.explanation.robust.measured import Robustness
    from misure.images.read import read_image
    from misure.methods import METHODS, as_captum_forward
    from misure.metrics import METRICS
    from misure.metrics.comparison.compare import compare
    from misure.metrics.comparison.comparison import Comparison
    from misure.metrics.effect_matrix import context_effect_matrix
    from misure.metrics.measure import sufficient_area
    from misure.models.cost import Cost
    from misure.models.loaders import load_model
    from misure.models.missed import missed_target
    from misure.models.model import SegmentationModel
    from misure.models.segmentation import Segmentation, predicted_target, segment
    from misure.models.target import Target
    from misure.reports.loggers import log_explanation
    from misure.reports.page import write_report
    from misure.runs.execution import Execution
    from misure.runs.plan import RunPlan
    from misure.runs.run import read_run, run

_MODULE_OF = {
    "Answer": "explanation.answers.whole",
    "METHODS": "methods",
    "METRICS": "metrics",
    "CheckedRegion": "explanation.check",
    "Comparison": "metrics.comparison.comparison",
    "Cost": "models.cost",
    "EmptyTargetError": "errors",
    "Execution": "runs.execution",
    "Explanation": "explanation.explanation",
    "HiddenRegion": "explanation.answers.hidden",
    "InputError": "errors",
    "MissingDataError": "errors",
    "MissingDependencyError": "errors",
    "MisureError": "errors",
    "ModelError": "errors",
    "PRESETS": "explanation.presets",
    "Reasons": "explanation.answers.reasons",
    "Robustness": "explanation.robust.measured",
    "RunFolderError": "errors",
    "RunPlan": "runs.plan",
    "Segmentation": "models.segmentation",
    "SegmentationModel": "models.model",
    "Stability": "explanation.answers.stability",
    "Target": "models.target",
    "answer": "explanation.answers.whole",
    "as_captum_forward": "methods",
    "blocking_region": "explanation.answers.hide",
    "channel_effects": "explanation.answers.channels",
    "channel_regions": "explanation.answers.channel_regions",
    "check_region": "explanation.check",
    "compare": "metrics.comparison.compare",
    "context_effect_matrix": "metrics.effect_matrix",
    "context_effects": "explanation.answers.context_effects",
    "explain": "explanation.explain",
    "explain_all": "explanation.explain",
    "find_reasons": "explanation.answers.reasons",
    "leverage": "explanation.answers.leverage",
    "load_model": "models.loaders",
    "log_explanation": "reports.loggers",
    "missed_objects": "explanation.answers.missed_objects",
    "missed_target": "models.missed",
    "necessary_region": "explanation.answers.hide",
    "predicted_target": "models.segmentation",
    "prompt_sensitivity": "explanation.answers.prompt_sensitivity",
    "read_image": "images.read",
    "read_run": "runs.run",
    "robustness": "explanation.answers.robustness",
    "run": "runs.run",
    "segment": "models.segmentation",
    "stability_of": "explanation.answers.stability",
    "sufficient_area": "metrics.measure",
    "write_report": "reports.page",
}

__all__ = [  # noqa: PLE0604
    "__version__",
    *_MODULE_OF,
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'misure' has no attribute {name!r}")
    return getattr(import_module(f"misure.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
