"""Sliding a network over an image: one window at a time, in the memory of one window.

Outputs are summed up slab by slab along the first axis. A slab that no later window reaches is
done: its mean is taken, and where one class is asked for only the logits that decide about it are
kept (see `rivals`). Gradients are computed window by window, too: the backward pass shows each
window again, instead of keeping what the network computed inside. An input of a single window is
shown as any other input is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, TypeGuard

import torch
from torch import Tensor

from misure._util.freed_memory import release_if_large
from misure.errors import ModelError
from misure.models.kept_windows import KeptWindows
from misure.models.logits import (
    all_finite,
    class_region,
    look_like_labels,
    number_type,
    to_classes,
)
from misure.models.outputs import describe, find_tensor
from misure.models.preprocessing import resize
from misure.models.reading import OutputForm
from misure.models.rivals import deciding, of_all_classes, place_of, whose
from misure.models.sides import check_covers, classes_first
from misure.models.windows import Corner, Windows, box_of

Slices = tuple[slice, ...]

_EVERY = (slice(None), slice(None))
_LEAST_WEIGHT = 1e-30


@dataclass(frozen=True, eq=False)
class Sliding:
    """A network that sees windows of images.

    Attributes:
        windows: where they lie, and how much they count.
        scores: from a window (1, C, *window) to scores (1, K, *window) float32; gradients flow.
        kept: outputs of earlier windows.
    """

    windows: Windows
    scores: Callable[[Tensor], Tensor]
    kept: KeptWindows

    def __call__(
        self, inputs: Tensor, about: tuple[int, bool] | None = None, judged: Tensor | None = None
    ) -> Tensor:
        """Scores (N, K, *spatial) float32 of inputs (N, C, *spatial).

        Args:
            inputs: what the network would see if it saw all at once.
            about: a class_index, and whether each class has a sigmoid of its own: only the scores
                that decide about this class are returned (see `rivals`).
            judged: (N, *spatial) bool, pixels that matter; windows without any are not shown, and
                the scores of other pixels mean nothing. None: all.
        """
        shape = tuple(inputs.shape[2:])
        padded = self.windows.pad(inputs)
        if self.windows.num_windows(shape) == 1:
            return self._single(padded, shape, about)
        if torch.is_grad_enabled() and inputs.requires_grad:
            found: Tensor = _Slid.apply(padded, self, shape, about)  # type: ignore[no-untyped-call]
            return found
        return self.slide(padded, shape, about, judged)

    def region(
        self, inputs: Tensor, class_index: int, form: OutputForm, judged: Tensor | None = None
    ) -> Tensor:
        """The pixels (*spatial) bool of an input (1, C, *spatial) that are of a class.

        Args:
            inputs: what the network would see if it saw all at once.
            class_index: 0 to K - 1.
            form: of the network's output (see `deciding_read`).
            judged: (*spatial) bool (see `__call__`).
        """
        shape, multilabel = tuple(inputs.shape[2:]), form.multilabel
        if self.windows.num_windows(shape) == 1:
            scores = self(inputs, (class_index, multilabel))
            logits, place = deciding_read(scores, form, class_index)
            return class_region(logits, place, multilabel)[0]
        found = torch.empty(shape, dtype=torch.bool, device=inputs.device)
        for rows, part in self._parts(self.windows.pad(inputs), shape, judged):
            scores = part if part.shape[1] == 1 else deciding(part, class_index, multilabel)
            logits, place = deciding_read(scores, form, class_index)
            found[rows] = class_region(logits, place, multilabel)[0]
        return found

    def _parts(
        self, image: Tensor, shape: tuple[int, ...], judged: Tensor | None
    ) -> Iterator[tuple[slice, Tensor]]:
        """Rows of the input, and their scores (1, K, rows, *shape[1:]), overwritten by the next."""
        self.kept.begin_image()
        front = self.windows.front(shape)
        for start, slab in self._slabs(image, shape, judged):
            rows, cut = _cut(start, slab.shape[2:], front, shape)
            yield rows, slab[(*_EVERY, *cut)]
            if image.device.type == "cpu":
                release_if_large(prod(shape))

    def _single(
        self, padded: Tensor, shape: tuple[int, ...], about: tuple[int, bool] | None
    ) -> Tensor:
        """Scores of padded inputs of one window each; gradients flow (see `__call__`)."""
        _, here = _overlap((0,) * len(shape), padded.shape[2:], self.windows.front(shape), shape)
        found = []
        for i in range(len(padded)):
            self.kept.begin_image()
            scores = self.kept.output(padded[i : i + 1].contiguous(), self.output)[(*_EVERY, *here)]
            is_whole = about is None or scores.shape[1] == 1
            found.append(scores if is_whole or about is None else deciding(scores, *about))
        return torch.cat(found)

    def output(self, window: Tensor) -> Tensor:
        """Scores (1, K, *window) of a window (1, C, *window)."""
        if self.windows.of_slices(window.ndim - 2):
            return self.scores(window[:, :, 0])[:, :, None]
        return self.scores(window)

    def slide(
        self,
        padded: Tensor,
        shape: tuple[int, ...],
        about: tuple[int, bool] | None,
        judged: Tensor | None = None,
        classes: list[Tensor] | None = None,
    ) -> Tensor:
        """Scores of padded inputs, without gradients, cut to (*shape).

        Args:
            padded: (N, C, *padded).
            shape: of the inputs before padding.
            about, judged: see `__call__`.
            classes: whose scores they are is added here (see `rivals.whose`); None: not asked for.
        """
        whole: Tensor | None = None
        for i in range(len(padded)):
            there = None if judged is None else judged[i]
            for rows, part in self._parts(padded[i : i + 1], shape, there):
                is_whole = about is None or part.shape[1] == 1
                found = part if is_whole or about is None else deciding(part, *about)
                if whole is None:
                    whole = found.new_empty(len(padded), found.shape[1], *shape)
                    if classes is not None and not is_whole:
                        classes.append(torch.empty_like(whole, dtype=number_type(part.shape[1])))
                whole[i : i + 1, :, rows] = found
                if classes and about is not None:
                    classes[0][i : i + 1, :, rows] = whose(part, *about)
        if whole is None:
            raise ModelError("expected at least one image, got none.")
        return whole

    def _slabs(
        self, image: Tensor, shape: tuple[int, ...], judged: Tensor | None
    ) -> Iterator[tuple[int, Tensor]]:
        """The first row and the scores (1, K, rows, *padded[1:]) of each slab that is done.

        A slab is overwritten when the next one is asked for.
        """
        starts, window = self.windows.starts(shape), self.windows.window(shape)
        weight = self.windows.weight(shape).to(image.device)
        counts = image.new_zeros(window[0], *image.shape[3:], dtype=torch.float32)
        sums: Tensor | None = None
        for row, end in zip(starts[0], [*starts[0][1:], image.shape[2]], strict=True):
            for rest in product(*starts[1:]):
                corner = (row, *rest)
                is_skipped = sums is not None and judged is not None
                if is_skipped and not self._is_judged(corner, window, shape, judged):
                    continue
                given = image[(*_EVERY, *box_of(corner, window))].contiguous()
                scores = self.kept.output(given, self.output)
                if sums is None:
                    sums = scores.new_zeros(*scores.shape[:2], window[0], *image.shape[3:])
                inside = (slice(None), *box_of(rest, window[1:]))
                sums[(*_EVERY, *inside)] += scores * weight
                counts[inside] += weight
            num = end - row
            done = counts[:num] if judged is None else counts[:num].clamp(min=_LEAST_WEIGHT)
            if sums is not None:  # it never is: the first window is always shown
                yield row, sums[:, :, :num].div_(done)
                _shift(sums, 2, num)
            _shift(counts, 0, num)

    def _is_judged(
        self, corner: Corner, window: tuple[int, ...], shape: tuple[int, ...], judged: Tensor | None
    ) -> bool:
        if judged is None:
            return True
        there, _ = _overlap(corner, window, self.windows.front(shape), shape)
        return bool(judged[there].any())


def _shift(numbers: Tensor, axis: int, num: int) -> None:
    """Moves numbers forward by `num` rows of an axis; zeros follow."""
    left = numbers.shape[axis] - num
    for row in range(left):  # row by row, which needs no second copy of a slab
        numbers.select(axis, row).copy_(numbers.select(axis, row + num))
    numbers.narrow(axis, left, num).zero_()


class _Counts:
    """How much all windows together count at each pixel, in the memory of one slab."""

    def __init__(self, windows: Windows, shape: tuple[int, ...], weight: Tensor) -> None:
        starts, self._side = windows.starts(shape), weight.shape[0]
        self._rows, self._known = starts[0], -1
        self._of_a_row = weight.new_zeros(self._side, *windows.padded(shape)[1:])
        for rest in product(*starts[1:]):
            self._of_a_row[(slice(None), *box_of(rest, weight.shape[1:]))] += weight
        self._counts = self._of_a_row

    def there(self, corner: Corner, window: tuple[int, ...]) -> Tensor:
        """The counts (*window) of the pixels of a window."""
        row = corner[0]
        if row != self._known:
            self._known, self._counts = row, torch.zeros_like(self._of_a_row)
            for other in self._rows:
                low, high = max(row, other), min(row, other) + self._side
                if low < high:
                    own, of_other = (slice(low - at, high - at) for at in (row, other))
                    self._counts[own] += self._of_a_row[of_other]
        return self._counts[(slice(None), *box_of(corner[1:], window[1:]))]


def _overlap(
    corner: Corner, window: Sequence[int], front: Corner, shape: tuple[int, ...]
) -> tuple[Slices, Slices]:
    """Where a window of the padded input lies in the input, and the same pixels in the window."""
    there, here = [], []
    for low, side, first, long in zip(corner, window, front, shape, strict=True):
        start, stop = max(low, first), min(low + side, first + long)
        there.append(slice(start - first, max(start, stop) - first))
        here.append(slice(start - low, max(start, stop) - low))
    return tuple(there), tuple(here)


def _cut(
    row: int, slab: tuple[int, ...], front: Corner, shape: tuple[int, ...]
) -> tuple[slice, Slices]:
    """The rows of the input that a slab covers, and the part of the slab inside the input."""
    corner = (row, *[0] * (len(shape) - 1))
    there, here = _overlap(corner, tuple(slab), front, shape)
    return there[0], here


class _Slid(torch.autograd.Function):
    """`Sliding.slide` with gradients, in the memory of one window."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        padded: Tensor,
        sliding: Sliding,
        shape: tuple[int, ...],
        about: tuple[int, bool] | None,
    ) -> Tensor:
        classes: list[Tensor] = []
        found = sliding.slide(padded, shape, about, classes=classes if about else None)
        ctx.sliding, ctx.shape = sliding, shape
        ctx.save_for_backward(padded, *classes)
        return found

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        padded, *classes = ctx.saved_tensors
        sliding, shape = ctx.sliding, ctx.shape
        windows = sliding.windows
        window, front = windows.window(shape), windows.front(shape)
        weight = windows.weight(shape).to(padded.device)
        counts = _Counts(windows, shape, weight)
        total = torch.zeros_like(padded)
        for i, corner in product(range(len(padded)), windows.corners(shape)):
            there, here = _overlap(corner, window, front, shape)
            box = box_of(corner, window)
            share = weight[here] / counts.there(corner, window)[here]
            of_mean = gradient[(slice(i, i + 1), slice(None), *there)]
            if not bool(of_mean.any()):
                continue
            given = padded[(slice(i, i + 1), slice(None), *box)].detach().contiguous()
            with torch.enable_grad():
                scores = sliding.output(given.requires_grad_())
                own = torch.zeros_like(scores)
                part = of_mean * share
                if classes:
                    whose_part = classes[0][(slice(i, i + 1), slice(None), *there)]
                    part = of_all_classes(part, whose_part, scores.shape[1])
                own[(*_EVERY, *here)] = part
                if scores.requires_grad:
                    (found,) = torch.autograd.grad(scores, given, own, allow_unused=True)
                    if found is not None:
                        total[(slice(i, i + 1), slice(None), *box)] += found
        return total, None, None, None


def scores_of_window(output: Any, window: Tensor, form: Any) -> Tensor:
    """Scores (1, K, *window) float32 in the output of a network for a window.

    Args:
        output: what the network returned.
        window: (1, C, *window) that it was given.
        form: of the output; one that is no OutputForm takes outputs that are one tensor.

    Raises:
        ModelError: there are none, or they cannot be averaged.
    """
    sides = tuple(window.shape[2:])
    if isinstance(form, OutputForm):
        found = find_tensor(
            output, len(sides), form.output, num_classes=form.known_classes, queries=form.queries
        )
    elif isinstance(output, Tensor):
        found = output
    else:
        raise ModelError(
            f"expected one tensor (N, K, *window) for each window, the network returned "
            f"{describe(output)}. Use it without windows."
        )
    if isinstance(form, OutputForm) and found.is_floating_point():
        found = classes_first(found, sides, form.channels_last, form.known_classes)
        if not form.stretch_output:
            check_covers(found.shape[2:], sides, form.name)
    at_most_one = isinstance(form, OutputForm) and (form.known_classes or 0) > 2
    if not found.is_floating_point() or look_like_labels(found, at_most_one=at_most_one):
        raise ModelError(
            "expected scores for each class, the network returned class numbers, of which "
            "overlapping windows have no mean. Return logits or probabilities, or slide the "
            "windows yourself in call=."
        )
    return resize(found.float(), sides)


def read_stitched(form: Any, scores: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
    """Logits (N, K, *spatial) of scores of all windows together, and the form with what it showed.

    Args:
        form: of the network's output.
        scores: (N, K, *spatial) float32.
        inputs: (N, C, *spatial).
    """
    if not isinstance(form, OutputForm):
        logits, form = form.read(scores, inputs)
        return logits, form
    plain = replace(form, output=None, channels_last=False, stretch_output=True)
    logits, seen = plain.read(scores, inputs)
    return logits, replace(form, probabilities=seen.probabilities)


def deciding_read(scores: Tensor, form: OutputForm, class_index: int) -> tuple[Tensor, int]:
    """The deciding logits (N, 1 to 3, *spatial) of scores, and the place of the class among them.

    Args:
        scores: (N, 1 to 3, *spatial), those that decide about a class, or the network's only one.
        form: of the network's output, whose kind of numbers is known.
        class_index: 0 to K - 1.

    Raises:
        ModelError: NaN or infinity.
    """
    if not all_finite(scores):
        raise ModelError(
            f"expected finite logits, {form.name} returned NaN or infinity. Check its weights and "
            "the scale of the image."
        )
    multilabel = form.multilabel
    is_only_one = scores.shape[1] == 1 and not multilabel
    logits = to_classes(scores, multilabel=multilabel, probabilities=bool(form.probabilities))
    return logits, class_index if is_only_one else place_of(class_index, multilabel)


def is_by_class(form: Any) -> TypeGuard[OutputForm]:
    """Whether a form, known from a first output, reads each class by itself, larger ones larger."""
    return isinstance(form, OutputForm) and form.probabilities is not None and not form.queries
