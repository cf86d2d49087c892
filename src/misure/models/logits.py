"""Logits: one tensor (N, K, *spatial), whatever numbers a network returns.

A single channel is a foreground against the background; it becomes two classes with the logits
(-l / 2, l / 2), whose softmax is (1 - sigmoid(l), sigmoid(l)). So there are two kinds: *exclusive*
classes (softmax; the largest logit wins, ties go to the lower index) and *multilabel* ones (a
sigmoid each; positive logits win).
"""

import torch
from torch import Tensor

from misure.errors import ModelError
from misure.models.outputs import SMALLEST_PROBABILITY

_FEW = 3


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
        p = numbers.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        numbers = p.logit() if multilabel or is_binary else p.log()
    return torch.cat([-numbers / 2, numbers / 2], dim=1) if is_binary else numbers


def of_label_map(labels: Tensor, spatial_dims: int, num_classes: int) -> Tensor:
    """Logits (N, K, *spatial) float32 of a label map: its class is certain at each pixel.

    Args:
        labels: (N, *spatial), (N, 1, *spatial) or (N, *spatial, 1), whole numbers.
        spatial_dims: 2 or 3.
        num_classes: K.

    Raises:
        ModelError: a number that is no class.
    """
    if labels.ndim == spatial_dims + 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels[..., 0]
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= num_classes:
        raise ModelError(
            f"expected class numbers from 0 to {num_classes - 1}, the network returned {least} to "
            f"{most}. Say num_classes=... if there are more."
        )
    classes = torch.arange(num_classes, device=labels.device)
    is_class = labels[:, None] == classes.view(-1, *[1] * (labels.ndim - 1))
    return is_class.float().clamp(min=SMALLEST_PROBABILITY).log()


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


def look_like_labels(tensor: Tensor, *, at_most_one: bool) -> bool:
    """Whether floats (N, 1, *spatial) are whole numbers from 0 on, as class numbers are.

    Args:
        tensor: (N, K, *spatial).
        at_most_one: whether numbers that are all 0 or 1 count, too.
    """
    if tensor.shape[1] != 1 or bool(tensor.min() < 0):
        return False
    is_whole = bool((tensor == tensor.round()).all())
    return is_whole and (at_most_one or bool(tensor.max() > 1))


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
    before, after = logits[:, :class_index], logits[:, class_index + 1 :]
    wins = [own > _largest(before)] if before.shape[1] else []
    if after.shape[1]:
        wins.append(own >= _largest(after))
    if not wins:
        return torch.ones_like(own, dtype=torch.bool)
    return wins[0] if len(wins) == 1 else wins[0].logical_and_(wins[1])


def winners(logits: Tensor) -> Tensor:
    """The class (*spatial) int64 with the largest of logits (K, *spatial); ties go to the lower.

    It is `logits.argmax(0)`, but several times faster on a CPU.
    """
    return leaders(logits[None], range(len(logits)))[1][0].long()


def number_type(num_classes: int) -> torch.dtype:
    """The smaller of two types of whole numbers that hold each of K classes: uint8 or int16."""
    return torch.uint8 if num_classes <= 2**8 else torch.int16


def leaders(logits: Tensor, classes: range) -> tuple[Tensor, Tensor]:
    """The largest logit (N, *spatial) among some classes, and whose it is, both (N, *spatial).

    Args:
        logits: (N, K, *spatial).
        classes: at least one of 0 to K - 1; ties go to the lower one.
    """
    best = logits[:, classes[0]]
    whose = torch.full_like(best, classes[0], dtype=number_type(logits.shape[1]))
    for k in classes[1:]:
        whose.masked_fill_(logits[:, k] > best, k)
        best = torch.maximum(best, logits[:, k])
    return best, whose


def _largest(logits: Tensor) -> Tensor:
    """The largest of K logits (N, K, *spatial) at each pixel; no copy if K is 1."""
    return logits[:, 0] if logits.shape[1] == 1 else logits.amax(1)


def class_margin(logits: Tensor, class_index: int, multilabel: bool) -> Tensor:
    """The lead (N, *spatial) of a class over the best other class; with multilabel its own logit.

    Positive where the class wins; differentiable.

    Args:
        logits: (N, K, *spatial).
        class_index: 0 to K - 1.
        multilabel: whether each class has a sigmoid of its own.
    """
    if multilabel or logits.shape[1] == 1:
        return logits[:, class_index]
    if logits.shape[1] <= _FEW:
        found: Tensor = _MarginOfFew.apply(logits, class_index)  # type: ignore[no-untyped-call]
        return found
    own = logits[:, class_index]
    before, after = logits[:, :class_index], logits[:, class_index + 1 :]
    rivals = [_largest(part) for part in (before, after) if part.shape[1]]
    return own - (rivals[0] if len(rivals) == 1 else torch.maximum(*rivals))


class _MarginOfFew(torch.autograd.Function):
    """`class_margin` of two or three logits; its gradient takes their memory once."""

    @staticmethod
    def forward(ctx, logits: Tensor, class_index: int) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.class_index = class_index
        ctx.save_for_backward(logits)
        own, *others = _own_first(logits, class_index)
        if len(others) == 1:
            return own - others[0]
        best = torch.maximum(*others)
        return torch.sub(own, best, out=best)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        (logits,) = ctx.saved_tensors
        whole = torch.empty_like(logits)
        own, *rivals = _own_first(whole, ctx.class_index)
        own.copy_(gradient)
        if len(rivals) == 1:
            torch.neg(gradient, out=rivals[0])
            return whole, None
        _, before, after = _own_first(logits, ctx.class_index)
        rivals[0].copy_(before >= after).add_(before == after, alpha=-0.5)  # a tie is shared
        torch.sub(1, rivals[0], out=rivals[1])
        for rival in rivals:
            rival.mul_(gradient).neg_()
        return whole, None


def _own_first(logits: Tensor, class_index: int) -> list[Tensor]:
    """Logits (N, *spatial) of each class of (N, K, *spatial), one class before all others."""
    each = [*logits.unbind(1)]
    return [each.pop(class_index), *each]


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
