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

__version__ = "0.1.0"

if TYPE_CHECKING:
    from misure.comparison import Comparison, compare
    from misure.cost import Cost
    from misure.errors import (
        EmptyTargetError,
        InputError,
        MissingDataError,
        MissingDependencyError,
        MisureError,
        ModelError,
        RunFolderError,
    )
    from misure.explainer import explain, explain_all
    from misure.explanation import Explanation
    from misure.image import read_image
    from misure.loaders import load_model
    from misure.methods import METHODS, as_captum_forward
    from misure.metrics import METRICS
    from misure.model import SegmentationModel
    from misure.presets import PRESETS
    from misure.report import write_report
    from misure.runs import read_run, run
    from misure.segmentation import Segmentation, predicted_target, segment
    from misure.target import Target

_MODULE_OF = {
    "METHODS": "methods",
    "METRICS": "metrics",
    "Comparison": "comparison",
    "Cost": "cost",
    "EmptyTargetError": "errors",
    "Explanation": "explanation",
    "InputError": "errors",
    "MissingDataError": "errors",
    "MissingDependencyError": "errors",
    "MisureError": "errors",
    "ModelError": "errors",
    "PRESETS": "presets",
    "RunFolderError": "errors",
    "Segmentation": "segmentation",
    "SegmentationModel": "model",
    "Target": "target",
    "as_captum_forward": "methods",
    "compare": "comparison",
    "explain": "explainer",
    "explain_all": "explainer",
    "load_model": "loaders",
    "predicted_target": "segmentation",
    "read_image": "image",
    "read_run": "runs",
    "run": "runs",
    "segment": "segmentation",
    "write_report": "report",
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
