"""The logits that decide about one class: its own, and the best of its rivals.

Whether a pixel is of a class, and by what margin, follows from three numbers of K: the logit of the
class, the largest of the classes before it, which wins ties, and the largest of those after it. Of
large images only these are made and kept. `class_region` and `class_margin` give the same for them
as for all K.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from misure.models.logits import leaders, number_type

Spatial = Sequence[int]

_CLEAR = 1e-5
"""How far a logit leads clearly, as a share of the largest: far more than rounding changes."""

MOST_NUMBERS = 2**27
"""Number of logits (half a gigabyte) from which only those that decide are kept."""


def place_of(class_index: int, multilabel: bool) -> int:
    """The place of a class among its deciding logits."""
    return 0 if multilabel or class_index == 0 else 1


def deciding(logits: Tensor, class_index: int, multilabel: bool) -> Tensor:
    """The deciding logits (N, 1 to 3, *spatial) of logits (N, K, *spatial) that only grow."""
    own = logits[:, class_index : class_index + 1]
    if multilabel:
        return own
    before, after = logits[:, :class_index], logits[:, class_index + 1 :]
    parts = [part.amax(1, keepdim=True) if part.shape[1] else part for part in (before, after)]
    return torch.cat([parts[0], own, parts[1]], 1)


def whose(logits: Tensor, class_index: int, multilabel: bool) -> Tensor:
    """Which of the K classes each deciding logit is that of, (N, 1 to 3, *spatial)."""
    own = torch.full_like(logits[:, :1], class_index, dtype=number_type(logits.shape[1]))
    spans = [] if multilabel else [range(class_index), range(class_index + 1, logits.shape[1])]
    parts = [leaders(logits, span)[1][:, None] for span in spans if span]
    parts.insert(place_of(class_index, multilabel), own)
    return torch.cat(parts, 1)


def of_all_classes(gradient: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """The gradient (N, K, *spatial) of all logits, from that of the deciding ones.

    Args:
        gradient: (N, 1 to 3, *spatial).
        classes: whose they are (see `whose`).
        num_classes: K.
    """
    whole = gradient.new_zeros(len(gradient), num_classes, *gradient.shape[2:])
    return whole.scatter_(1, classes.long(), gradient)


def enlarged(
    logits: Tensor,
    enlarge: Callable[[Tensor], Tensor],
    class_index: int,
    multilabel: bool,
) -> Tensor:
    """The deciding logits (N, 1 to 3, *spatial) of coarser ones, class by class.

    Args:
        logits: (N, K, *any).
        enlarge: from (N, 1, *any) to (N, 1, *spatial), each class by itself; linear.
        class_index: 0 to K - 1.
        multilabel: whether each class has a sigmoid of its own.
    """
    if torch.is_grad_enabled() and logits.requires_grad:
        given = (logits, enlarge, class_index, multilabel)
        found: Tensor = _Enlarged.apply(*given)  # type: ignore[no-untyped-call]
        return found
    return _enlarged(logits, enlarge, class_index, multilabel, None)


def enlarged_region(
    logits: Tensor,
    enlarge: Callable[[Tensor], Tensor],
    class_index: int,
    multilabel: bool,
) -> Tensor:
    """The pixels (N, *spatial) bool that coarser logits give to a class; no gradients.

    They are those of `enlarged`, but only rivals that may decide about a pixel are enlarged.

    Args:
        logits, class_index, multilabel: see `enlarged`.
        enlarge: see there; each number it makes is a weighted mean of logits that lie within three
            along each axis.
    """
    own = enlarge(logits[:, class_index : class_index + 1])
    if multilabel:
        return own[:, 0] > 0
    rivals, may_win = near_rivals(logits, class_index)
    wins = enlarge(may_win.to(logits.dtype)) > 0.5
    for k in rivals:
        rival = enlarge(logits[:, k : k + 1])
        wins &= own > rival if k < class_index else own >= rival
    return wins[:, 0]


def near_rivals(logits: Tensor, class_index: int) -> tuple[list[int], Tensor]:
    """The classes that decide where a class of coarse logits (N, K, *any) wins, and where it may.

    Where one rival leads clearly in five neighbours along each axis, it does so in all means of
    them: the class wins nowhere there, whatever the others are. Elsewhere only rivals count that
    the class does not lead clearly itself. A mean of three numbers, each with five around it of
    which this holds, is decided by it; one of which it holds for none is decided by the rivals.

    Returns:
        The rivals, and (N, 1, *any) bool.
    """
    lead = logits - logits[:, class_index : class_index + 1]
    clear = _CLEAR * float(logits.abs().max())
    pool = F.max_pool2d if logits.ndim == 4 else F.max_pool3d
    most, least = (sign * pool(sign * lead, 5, stride=1, padding=2) for sign in (1, -1))
    may_win = ~(least > clear).any(1, keepdim=True)
    comes_near = ((most >= -clear) & may_win).movedim(1, 0).flatten(1).any(1)
    return [k for k in comes_near.nonzero().flatten().tolist() if k != class_index], may_win


def _enlarged(
    logits: Tensor,
    enlarge: Callable[[Tensor], Tensor],
    class_index: int,
    multilabel: bool,
    classes: list[Tensor] | None,
) -> Tensor:
    own, small = enlarge(logits[:, class_index : class_index + 1]), number_type(logits.shape[1])
    spans = [] if multilabel else [range(class_index), range(class_index + 1, logits.shape[1])]
    parts = []
    for span in spans:
        best: Tensor | None = None
        whose_best: Tensor | None = None
        for k in span:
            one = enlarge(logits[:, k : k + 1])
            if classes is not None:
                if best is None or whose_best is None:
                    whose_best = torch.full_like(one, k, dtype=small)
                else:
                    whose_best.masked_fill_(one > best, k)
            best = one.clone() if best is None else torch.maximum(best, one, out=best)
        parts.append(best)
        if classes is not None and whose_best is not None:
            classes.append(whose_best)
    if classes is not None:
        own_number = torch.full_like(own, class_index, dtype=small)
        classes.insert(place_of(class_index, multilabel), own_number)
    before = [parts[0]] if parts and parts[0] is not None else []
    after = [parts[1]] if parts and parts[1] is not None else []
    return torch.cat([*before, own, *after], 1)


class _Enlarged(torch.autograd.Function):
    """`enlarged`, that keeps nothing for all K at full size."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, logits: Tensor, enlarge: Callable[[Tensor], Tensor], class_index: int, multilabel: bool
    ) -> Tensor:
        classes: list[Tensor] = []
        found = _enlarged(logits, enlarge, class_index, multilabel, classes)
        ctx.enlarge, ctx.shape = enlarge, logits.shape
        ctx.save_for_backward(*classes)
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        whole = gradient.new_zeros(ctx.shape)
        for place, whose_place in enumerate(ctx.saved_tensors):
            for k in range(ctx.shape[1]):
                is_of_class = whose_place == k
                if not bool(is_of_class.any()):
                    continue
                given = gradient[:, place : place + 1] * is_of_class
                with torch.enable_grad():
                    leaf = gradient.new_zeros(ctx.shape[0], 1, *ctx.shape[2:], requires_grad=True)
                    (own,) = torch.autograd.grad(ctx.enlarge(leaf), leaf, given)
                whole[:, k : k + 1] += own
        return whole, None, None, None
