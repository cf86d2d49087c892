"""Logits: one tensor (N, K, *spatial), whatever form a network's output has.

A single channel is a foreground against the background; it becomes two classes with the logits
(-l / 2, l / 2), whose softmax is (1 - sigmoid(l), sigmoid(l)). So there are two kinds: *exclusive*
classes (softmax; the largest logit wins, ties go to the lower index) and *multilabel* ones (a
sigmoid each; positive logits win).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from misure.errors import ModelError

_SMALLEST_PROBABILITY = 1e-7
_QUERIES = (("class_queries_logits", "masks_queries_logits"), ("pred_logits", "pred_masks"))


def find_tensor(output: Any, spatial_dims: int, entry: str | int | None = None) -> Tensor:
    """The spatial tensor (N, K, *spatial) inside a network's output.

    - A tensor is taken as it is.
    - A mapping gives the named entry, else `out`, else `logits`, else its only spatial entry.
    - A tuple or list gives the entry with the given index, else the first (with deep supervision
      the finest output usually comes first).
    - Any other object gives its attribute of the given name, else `.logits`.
    - Masks and classes of queries (MaskFormer, Mask2Former, EoMT) give the logarithm of the scores
      that these networks sum up for each class.

    Args:
        output: what the network returned.
        spatial_dims: 2 or 3.
        entry: key or index of the entry to take.

    Raises:
        ModelError: there is no such tensor; the message shows the output.
    """
    tensor = _descend(output, spatial_dims, entry)
    if tensor is None:
        which = "" if entry is None else f" as entry {entry!r}"
        raise ModelError(
            f"expected logits (N, K, {'D, ' * (spatial_dims == 3)}H, W){which}, "
            f"the network returned {describe(output)}. Name the right entry with output=..., or "
            "wrap the network."
        )
    return tensor


def _descend(output: Any, spatial_dims: int, entry: str | int | None) -> Tensor | None:
    if isinstance(output, Tensor):
        is_logits = output.ndim == spatial_dims + 2 and output.is_floating_point()
        return output if is_logits and output.shape[1] > 0 else None
    if isinstance(output, Mapping):
        return _descend(_entry_of_mapping(output, spatial_dims, entry), spatial_dims, None)
    if isinstance(output, (tuple, list)) and not isinstance(entry, str):
        index = entry or 0
        fits = -len(output) <= index < len(output)
        return _descend(output[index], spatial_dims, None) if fits else None
    if not isinstance(entry, int) and hasattr(output, entry or "logits"):
        return _descend(getattr(output, entry or "logits"), spatial_dims, None)
    return None


def _entry_of_mapping(output: Mapping[Any, Any], spatial_dims: int, entry: Any) -> Any:
    if entry is not None:
        return output.get(entry)
    for classes, masks in _QUERIES:
        if classes in output and masks in output:
            return _log_scores(output[classes], output[masks])
    for key in ("out", "logits"):
        if key in output:
            return output[key]
    spatial = [
        value
        for value in output.values()
        if isinstance(value, Tensor) and value.ndim == spatial_dims + 2
    ]
    return spatial[0] if len(spatial) == 1 else None


def _log_scores(classes: Tensor, masks: Tensor) -> Tensor:
    """Log scores (N, K, *spatial) from classes (N, Q, K + 1) and masks (N, Q, *spatial) of queries.

    The score is the sum over the queries of class probability (the last class means "none") times
    mask probability; the softmax of the log scores is the share of each class.
    """
    shares = classes.float().softmax(-1)[..., :-1]
    scores = torch.einsum("nqk,nq...->nk...", shares, masks.float().sigmoid())
    return scores.clamp(min=_SMALLEST_PROBABILITY).log()


def describe(output: Any) -> str:
    """The output of a network in a few words: types, keys and shapes."""
    if isinstance(output, Tensor):
        return f"a {str(output.dtype).removeprefix('torch.')} tensor {tuple(output.shape)}"
    if isinstance(output, Mapping):
        entries = ", ".join(f"{key}: {describe(value)}" for key, value in output.items())
        return f"{type(output).__name__}({entries})"
    if isinstance(output, (tuple, list)):
        return f"{type(output).__name__}({', '.join(map(describe, output))})"
    return f"an object of type {type(output).__name__}"


def to_classes(tensor: Tensor, *, multilabel: bool, probabilities: bool) -> Tensor:
    """Logits (N, K, *spatial) float32 of a network's tensor; a single channel becomes two classes.

    Args:
        tensor: (N, K, *spatial).
        multilabel: whether each class has a sigmoid of its own; a single channel then stays one
            class.
        probabilities: whether the numbers are probabilities, to be turned back into logits.
    """
    numbers = tensor.float()
    is_binary = numbers.shape[1] == 1 and not multilabel
    if probabilities:
        p = numbers.clamp(_SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
        numbers = p.logit() if multilabel or is_binary else p.log()
    return torch.cat([-numbers / 2, numbers / 2], dim=1) if is_binary else numbers


def all_finite(tensor: Tensor) -> bool:
    """Whether a tensor holds no NaN and no infinity."""
    # The sum is several times faster to check, but can overflow; then each number decides.
    is_sum_finite = bool(torch.isfinite(tensor.sum(dtype=torch.float32)))
    return is_sum_finite or bool(torch.isfinite(tensor).all())


def look_like_probabilities(tensor: Tensor, multilabel: bool) -> bool:
    """Whether a network's tensor (N, K, *spatial) can only be, or is very likely, probabilities."""
    if bool(tensor.min() < 0) or bool(tensor.max() > 1):
        return False
    if multilabel or tensor.shape[1] == 1:
        return True
    return bool(((tensor.float().sum(1) - 1).abs() < 1e-2).all())


def class_region(logits: Tensor, class_index: int, multilabel: bool) -> Tensor:
    """Pixels (N, *spatial) bool that the logits give to a class.

    Without multilabel this is `logits.argmax(1) == class_index`, but many times faster.

    Args:
        logits: (N, K, *spatial).
        class_index: 0 to K - 1.
        multilabel: whether each class has a sigmoid of its own.
    """
    own = logits[:, class_index]
    if multilabel:
        return own > 0
    region = torch.ones_like(own, dtype=torch.bool)
    if class_index > 0:
        region &= own > logits[:, :class_index].amax(1)
    if class_index < logits.shape[1] - 1:
        region &= own >= logits[:, class_index + 1 :].amax(1)
    return region


def class_margin(logits: Tensor, class_index: int, multilabel: bool) -> Tensor:
    """The lead (N, *spatial) of a class over the best other class; with multilabel its own logit.

    Positive where the class wins; differentiable.

    Args:
        logits: (N, K, *spatial).
        class_index: 0 to K - 1.
        multilabel: whether each class has a sigmoid of its own.
    """
    own = logits[:, class_index]
    if multilabel or logits.shape[1] == 1:
        return own
    before, after = logits[:, :class_index], logits[:, class_index + 1 :]
    rivals = [part.amax(1) for part in (before, after) if part.shape[1]]
    return own - (rivals[0] if len(rivals) == 1 else torch.maximum(*rivals))


def class_probability(logits: Tensor, class_index: int, multilabel: bool) -> Tensor:
    """Probability (N, *spatial) in [0, 1] of a class: by softmax, with multilabel by its sigmoid.

    Args:
        logits: (N, K, *spatial).
        class_index: 0 to K - 1.
        multilabel: whether each class has a sigmoid of its own.
    """
    if multilabel:
        return logits[:, class_index].sigmoid()
    return (logits[:, class_index] - logits.logsumexp(1)).exp()
