"""The tensor that holds the classes, within whatever a network returns.

A role is never guessed from the number of axes alone: of several tensors the one with the expected
number of classes is taken, and the finest of several sizes. Where that leaves a doubt, a ModelError
names the entries and the option that settles it.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from misure.errors import InputError, ModelError

SMALLEST_PROBABILITY = 1e-7
QUERIES = ("softmax", "sigmoid")
"""How the classes of queries are told apart: one class or none each, or a sigmoid for each class.
"""

_QUERY_KEYS = (("class_queries_logits", "masks_queries_logits"), ("pred_logits", "pred_masks"))


def find_tensor(
    output: Any,
    spatial_dims: int,
    entry: str | int | None = None,
    *,
    num_classes: int | None = None,
    queries: str | None = None,
) -> Tensor:
    """The spatial tensor inside a network's output: scores (N, K, *spatial), or a label map.

    - A tensor is taken as it is: floats (N, K, *spatial) or (N, *spatial, K), or whole numbers
      (N, *spatial) or (N, 1, *spatial).
    - A mapping gives the named entry, else `out`, else `logits`, else its only spatial entry, or
      the finest of several with equally many channels.
    - A tuple or list gives the entry with the given index. Without one, its first entry must be
      spatial; the finest of those with equally many channels is taken (deep supervision), the
      first of several equally fine ones.
    - Any other object gives its attribute of the given name, else `.logits`.
    - Masks and classes of queries (MaskFormer, Mask2Former, EoMT) give the logarithm of the scores
      that these networks sum up for each class.

    Args:
        output: what the network returned.
        spatial_dims: 2 or 3.
        entry: key or index of the entry to take.
        num_classes: K, if it is known; entries with other numbers of channels are then left out.
        queries: one of `QUERIES`, for `pred_logits` beside `pred_masks`; None: not known.

    Raises:
        ModelError: there is no such tensor, or more than one; the message shows the output.
    """
    tensor = _Search(spatial_dims, num_classes, queries).descend(output, entry)
    if tensor is None:
        which = "" if entry is None else f" as entry {entry!r}"
        raise ModelError(
            f"expected logits (N, K, {'D, ' * (spatial_dims == 3)}H, W){which}, "
            f"the network returned {describe(output)}. Name the right entry with output=..., or "
            "wrap the network."
        )
    return tensor


class _Search:
    """Looks for the tensor of the classes; the arguments are those of `find_tensor`."""

    def __init__(self, spatial_dims: int, num_classes: int | None, queries: str | None) -> None:
        self.spatial_dims, self.num_classes, self.queries = spatial_dims, num_classes, queries

    def descend(self, output: Any, entry: str | int | None) -> Tensor | None:
        if isinstance(output, Tensor):
            is_there = entry is None and (self._is_spatial(output) or self._is_label_map(output))
            return output if is_there else None
        if isinstance(output, Mapping):
            is_named = entry is not None
            return self.descend(output.get(entry), None) if is_named else self._of_mapping(output)
        if isinstance(output, (tuple, list)) and not isinstance(entry, str):
            return self._of_sequence(output, entry)
        if not isinstance(entry, int) and hasattr(output, entry or "logits"):
            return self.descend(getattr(output, entry or "logits"), None)
        return None

    def _of_mapping(self, output: Mapping[Any, Any]) -> Tensor | None:
        for classes, masks in _QUERY_KEYS:
            if classes in output and masks in output:
                return self._of_queries(classes, output[classes], output[masks])
        for key in ("out", "logits"):
            if key in output:
                return self.descend(output[key], None)
        return self._finest([*output.values()], takes_first=False)

    def _of_sequence(self, output: Sequence[Any], entry: int | None) -> Tensor | None:
        if not -len(output) <= (entry or 0) < len(output):
            return None
        if entry is not None:
            return self.descend(output[entry], None)
        if not isinstance(output[0], Tensor):
            return self.descend(output[0], None)
        is_first = self._is_spatial(output[0]) or self._is_label_map(output[0])
        return self._finest([*output], takes_first=True) if is_first else None

    def _finest(self, values: list[Any], *, takes_first: bool) -> Tensor | None:
        """The finest of the spatial tensors, if all have equally many channels."""
        tensors = [value for value in values if isinstance(value, Tensor)]
        spatial = [tensor for tensor in tensors if self._is_spatial(tensor)]
        if not spatial:
            maps = [tensor for tensor in tensors if self._is_label_map(tensor)]
            return maps[0] if len(maps) == 1 else None
        known = [tensor for tensor in spatial if self._has_classes(tensor)]
        if not known and self._has_rows(tensors):
            return None  # detections or queries beside their masks, which are no classes
        spatial = known or spatial
        if len({tensor.shape[1] for tensor in spatial}) > 1:
            return None
        num_pixels = [prod(tensor.shape[2:]) for tensor in spatial]
        finest = [
            tensor
            for tensor, num in zip(spatial, num_pixels, strict=True)
            if num == max(num_pixels)
        ]
        return finest[0] if takes_first or len(finest) == 1 else None

    def _is_spatial(self, tensor: Tensor) -> bool:
        is_whole = tensor.ndim == self.spatial_dims + 2 and 0 not in tensor.shape
        return is_whole and tensor.is_floating_point()

    def _is_label_map(self, tensor: Tensor) -> bool:
        if tensor.is_floating_point() or tensor.is_complex() or 0 in tensor.shape:
            return False
        has_channel = tensor.ndim == self.spatial_dims + 2 and 1 in (
            tensor.shape[1],
            tensor.shape[-1],
        )
        return has_channel or tensor.ndim == self.spatial_dims + 1

    def _has_classes(self, tensor: Tensor) -> bool:
        return bool({tensor.shape[1], tensor.shape[-1]} & possible_channels(self.num_classes))

    def _has_rows(self, tensors: list[Tensor]) -> bool:
        return any(tensor.ndim == 3 and tensor.is_floating_point() for tensor in tensors)

    def _of_queries(self, key: str, classes: Tensor, masks: Tensor) -> Tensor:
        kind = self.queries or ("softmax" if key == _QUERY_KEYS[0][0] else None)
        if kind is None:
            raise ModelError(
                f"expected to know how the queries of {key} name their classes: by a softmax whose "
                "last class is none (Mask2Former), or by a sigmoid for each class (RF-DETR, "
                "MaskDINO). Say queries='softmax' or queries='sigmoid'."
            )
        return _log_scores(classes, masks) if kind == "softmax" else self._logits(classes, masks)

    def _logits(self, classes: Tensor, masks: Tensor) -> Tensor:
        """Logits (N, K, *spatial) of the likeliest query of each class, whose classes overlap."""
        num = self.num_classes or classes.shape[-1]
        shares = classes.float().sigmoid()[..., :num]
        scores = torch.stack(
            [
                (shares[..., k, *[None] * self.spatial_dims] * masks.float().sigmoid()).amax(1)
                for k in range(shares.shape[-1])
            ],
            dim=1,
        )
        return scores.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY).logit()


def possible_channels(num_classes: int | None) -> set[int]:
    """How many channels a network of K classes may have: two classes may share one."""
    return set() if num_classes is None else {num_classes, *([1] if num_classes == 2 else [])}


def check_queries(queries: str | None, *, multilabel: bool) -> None:
    """Raises InputError unless `queries` is known, and sigmoids come with `multilabel`."""
    if queries is not None and queries not in QUERIES:
        raise InputError(f"expected queries among {', '.join(QUERIES)}, got {queries!r}.")
    if queries == "sigmoid" and not multilabel:
        raise InputError(
            "expected multilabel=True with queries='sigmoid', since a pixel may then have several "
            "classes, or none."
        )


def _log_scores(classes: Tensor, masks: Tensor) -> Tensor:
    """Log scores (N, K, *spatial) from classes (N, Q, K + 1) and masks (N, Q, *spatial) of queries.

    The score is the sum over the queries of class probability (the last class means "none") times
    mask probability; the softmax of the log scores is the share of each class.
    """
    shares = classes.float().softmax(-1)[..., :-1]
    scores = torch.einsum("nqk,nq...->nk...", shares, masks.float().sigmoid())
    return scores.clamp(min=SMALLEST_PROBABILITY).log()


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
