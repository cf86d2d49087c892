"""The output that a model folder of the BioImage Model Zoo describes."""

from math import log
from pathlib import Path
from typing import Any

from misure.errors import InputError
from misure.models.loaders.bioimageio_description import channel_axis, num_channels_of


def output_named(described: Any, name: str | None, folder: Path) -> Any:
    """The description of an output; None names the only one.

    Raises:
        InputError: no such output, or None where there are several.
    """
    named = {str(each.id): each for each in described.outputs}
    if name is None and len(named) == 1:
        return described.outputs[0]
    if name not in named:
        raise InputError(
            f"expected output=... among {', '.join(named)} for {folder}, got {name!r}. Name the "
            "tensor of the classes."
        )
    return named[name]


def class_names_of(tensor: Any) -> dict[str, Any]:
    """Names of the classes, if there are several; their number is checked at the first pass."""
    axis = channel_axis(tensor)
    if axis is None or axis.size == 1:
        return {}
    return {"class_names": [str(name) for name in axis.channel_names]}


def output_settings(taken: Any, folder: Path) -> tuple[dict[str, Any], list[float]]:
    """What the numbers of the output are after its postprocessing, and what is taken from them.

    Segmentation is where the last step cuts: a threshold t of a sigmoid becomes logit(t), so that
    positive logits are what the folder calls foreground.
    """
    every = taken.postprocessing
    steps = [step for step in every if not _keeps_numbers(step, is_last=step is every[-1])]
    names = [step.id for step in steps]
    num = num_channels_of(taken)
    several = {"multilabel": True} if num > 1 else {}
    if names == []:
        return {}, []
    if names == ["softmax"] and str(steps[0].kwargs.axis) == str(channel_axis(taken).id):
        return {"probabilities": False}, []  # the network's own logits
    if names in (["sigmoid"], ["sigmoid", "binarize"], ["binarize"]):
        cuts = _list(steps[-1].kwargs.threshold) if names[-1] == "binarize" else []
        is_of_sigmoid = names[0] == "sigmoid"
        if len(cuts) in (0, 1, num) and all(0 < cut < 1 or not is_of_sigmoid for cut in cuts):
            cuts = [log(cut / (1 - cut)) if is_of_sigmoid else float(cut) for cut in cuts]
            return several | {"probabilities": False}, cuts
    raise InputError(
        f"expected after the network of {folder} nothing, a sigmoid, a softmax or a threshold, got "
        f"{', '.join(names)}. Wrap network and steps in a function, and load it with function:."
    )


def _keeps_numbers(step: Any, *, is_last: bool) -> bool:
    """Whether a step after the network changes no number that decides."""
    return step.id == "ensure_dtype" and (is_last or str(step.kwargs.dtype).startswith("float"))


def _list(value: Any) -> list[Any]:
    return [*value] if isinstance(value, (list, tuple)) else [value]
