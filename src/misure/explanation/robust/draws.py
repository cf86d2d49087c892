"""Baseline images drawn at random from a stated mixture.

Each draw takes one of the kinds, all with the same probability, and then one image of that kind:

- `other_image`: another image, scaled until it covers this one, its middle taken. What the model
  finds of the class in it would be counted for or against the region: it is filled in from around
  (see `filling`). If that is half of the image, or the model finds it still, it is passed over;
- `blurred`: the image, blurred by a Gaussian whose standard deviation is 0.05 to 0.2 of the short
  side (log-uniform);
- `noise`: Gaussian, with the image's own mean and standard deviation in each channel;
- `flat`: one colour: that of `mean`, the image's own mean, or that of one of its pixels;
- `filled` and `inpainted`: made of what is shown (see `filling` and `inpainting`);
- `python:FILE.py:FUNCTION`: an in-painting function of the user's own (see `UserInpainting`).

The draws follow from the seed alone, so all regions and targets of an image meet the same.

A search that has to keep a share of all baseline images shows what it would accept on a few of
them, drawn apart (`SearchDraws`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from misure._util.suggestions import did_you_mean
from misure.errors import InputError
from misure.explanation.baselines import (
    BLUR_FRACTION,
    MADE_OF_SHOWN,
    USER,
    blur,
    make_baseline_image,
)
from misure.explanation.changes import Change, number_of
from misure.explanation.content_controls import fits, fitted_to
from misure.explanation.filling import fill_in
from misure.explanation.inpainting import MadeOfShown, require_library, user_inpainting
from misure.explanation.presentation import Presentation
from misure.explanation.probe import Account, Probe
from misure.images.regions import area_fraction, dilate
from misure.models.model import SegmentationModel

MIXTURE = ("other_image", "blurred", "noise", "flat", "filled", "inpainted")
"""Kinds that are drawn from unless others are named."""

MOST_TESTS = 20
"""Passes, at most, in which other images are tested for the class: one or two for each."""

FEW_TESTS = 6
"""The same where a search has found the region, and passes are few."""

_APART = 0xD2A  # so that these draws are not those of the small changes of the same seed
_OF_SEARCH = 0x5EA  # so that a search draws others than those on which its result is shown
_MARGIN = 0.02  # of the Dice
_VARIANTS = 4  # of each kind that varies, in a search
_OF_CLASS = 0.05  # of the target's area: as much of the class an other image may show
_OF_IMAGE_FILLED = 0.5  # of an other image, as much as may be filled in
_BLUR_RANGE = 2.0  # the strengths reach from a half to twice that of `blurred`


@dataclass(frozen=True, eq=False)
class BaselineDraw:
    """A baseline image that was drawn.

    Attributes:
        kind: its name.
        key: of its outcome: what has the same key is the same baseline image.
        presentation: shows a region on it.
    """

    kind: str
    key: tuple[object, ...]
    presentation: Presentation


@dataclass(eq=False)
class BaselineDraws:
    """The baseline images of a target, drawn one after the other.

    Attributes:
        model: tells whether another image shows the class.
        probe: the target; its own baseline images do not matter.
        kinds: that are drawn from.
        other_images: to draw from, each (C, *any) float; read when they are drawn.
        seed: of all draws.
        account: where the passes of testing other images are counted.
        left_out: kinds of which nothing can be drawn, and why.
        num_tested: passes made so far to test other images.
        most_tests: such passes, at most.
    """

    model: SegmentationModel
    probe: Probe
    kinds: Sequence[str] = MIXTURE
    other_images: Sequence[Tensor] = ()
    seed: int = 0
    account: Account = field(default_factory=Account)
    left_out: dict[str, str] = field(default_factory=dict)
    num_tested: int = 0
    most_tests: int = MOST_TESTS

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in MIXTURE and not kind.startswith(USER):
                raise InputError(
                    f"expected kinds among {', '.join(MIXTURE)} and {USER}FILE.py:FUNCTION, got "
                    f"{kind!r}.{did_you_mean(kind, MIXTURE)}"
                )
        if "inpainted" in self.kinds:
            require_library()  # before any pass is made
        users = [kind for kind in self.kinds if kind.startswith(USER)]
        self._makers = {kind: user_inpainting(kind.removeprefix(USER)) for kind in users}
        order = np.random.default_rng([_APART, self.seed]).permutation(len(self.other_images))
        self._untested = order.tolist()[: self.most_tests]
        self._num_tried = 0
        self._others: list[tuple[int, Tensor]] = []
        self._turns: dict[int, int] = {}
        if "other_image" in self.kinds and not self._untested:
            self.left_out["other_image"] = "no other images are given"
        self._check_some_left()

    @property
    def most_passes(self) -> int:
        """Forward passes, at most, for testing other images from now on."""
        if "other_image" not in self.kinds:
            return 0
        return min(2 * len(self._untested), self.most_tests - self.num_tested)

    def draw(self, number: int) -> BaselineDraw:
        """The draw of this number (0, 1, ...); they are asked for in this order."""
        rng = np.random.default_rng([_APART, self.seed, number])
        while True:
            kinds = [kind for kind in self.kinds if kind not in self.left_out]
            kind = kinds[int(rng.integers(len(kinds)))]
            drawn = self._of_kind(kind, number, rng)
            if drawn is not None:
                return drawn

    def can_draw(self, kind: str) -> bool:
        """Whether there is a baseline image of a kind; of `other_image` this may take passes."""
        if kind == "other_image" and kind not in self.left_out:
            self._other_image(0)
        return kind not in self.left_out

    def of_kind(self, kind: str, number: int) -> Presentation:
        """A baseline image of a kind that can be drawn, apart; the same of the same number.

        Args:
            kind: one of `kinds`.
            number: 0 or more.
        """
        if kind == "other_image":
            number %= max(1, len(self._others))  # the first of them, so that few are tested
        rng = np.random.default_rng([_OF_SEARCH, self.seed, number])
        drawn = self._of_kind(kind, number, rng)
        if drawn is None:
            raise InputError(f"expected a kind of baseline image that can be drawn, got {kind}.")
        return drawn.presentation

    def _of_kind(self, kind: str, number: int, rng: np.random.Generator) -> BaselineDraw | None:
        if kind == "other_image":
            return self._other_image(self._turns.setdefault(number, len(self._turns)))
        if kind in MADE_OF_SHOWN:
            return self._made(kind, MADE_OF_SHOWN[kind])
        if kind.startswith(USER):
            return self._made_by_user(kind, rng)
        return _MAKERS[kind](self, rng)

    def _drawn(
        self,
        kind: str,
        key: tuple[object, ...],
        baseline_image: Tensor,
        made: MadeOfShown | None = None,
    ) -> BaselineDraw:
        own = self.probe.presentations[0]
        shown = Presentation(own.image, baseline_image, own.edge_px, kind, own.sampling, made)
        return BaselineDraw(kind, (kind, *key), shown)

    def _made(self, kind: str, made: MadeOfShown, *key: object) -> BaselineDraw:
        return self._drawn(kind, key, self._baseline_image("mean"), made)

    def _made_by_user(self, kind: str, rng: np.random.Generator) -> BaselineDraw:
        made = self._makers[kind]
        if not made.takes_seed:
            return self._made(kind, made)
        made = made.with_seed(int(rng.integers(2**31)))
        return self._made(kind, made, made.seed)

    def _baseline_image(self, kind: str, seed: int = 0) -> Tensor:
        own = self.probe.presentations[0]
        mean = self.model.preprocessing.mean_colour_of(own.image)
        return make_baseline_image(kind, own.image, mean=mean, seed=seed, sampling=own.sampling)

    def _blurred(self, rng: np.random.Generator) -> BaselineDraw:
        own = self.probe.presentations[0]
        fraction = BLUR_FRACTION * _BLUR_RANGE ** rng.uniform(-1, 1)
        return self._drawn("blurred", (fraction,), blur(own.image, fraction, own.sampling))

    def _noise(self, rng: np.random.Generator) -> BaselineDraw:
        seed = int(rng.integers(2**31))
        return self._drawn("noise", (seed,), self._baseline_image("noise", seed))

    def _flat(self, rng: np.random.Generator) -> BaselineDraw:
        image = self.probe.presentations[0].image
        pixels, which = image.flatten(1), int(rng.integers(3))
        place = int(rng.integers(pixels.shape[1]))
        colour = (self._baseline_image("mean").flatten(1)[:, 0], pixels.mean(1), pixels[:, place])
        chosen = colour[which]
        flat = chosen.view(-1, *[1] * (image.ndim - 1)).expand_as(image)
        return self._drawn("flat", tuple(chosen.tolist()), flat)

    def _other_image(self, turn: int) -> BaselineDraw | None:
        """The other image without the class whose turn it is; None if all that are tested show it.

        Where they do not suffice, they come again.
        """
        image = self.probe.presentations[0].image
        while self._untested and turn >= len(self._others):
            if self.most_tests - self.num_tested < 2:
                self._untested.clear()
                break
            number = self._untested.pop(0)
            self._num_tried += 1
            other = self.other_images[number]
            if fits(other, image):
                without = self._without_class(fitted_to(other, image))
                self._others += [] if without is None else [(number, without)]
        if not self._others:
            self.left_out["other_image"] = (
                f"none of the {self._num_tried} tried fits this one and loses the class when it is "
                "filled in"
            )
            self._check_some_left()
            return None
        number, without = self._others[turn % len(self._others)]
        return self._drawn("other_image", (number,), without)

    def _without_class(self, other: Tensor) -> Tensor | None:
        """Another image, what the model finds of the class filled in; None if it finds it still.

        None too if it is the image itself. Takes one or two passes.
        """
        if torch.equal(other, self.probe.presentations[0].image):
            return None
        region = self._class_region(other)
        if not bool(region.any()):
            return other
        wide = dilate(region, self.probe.sampling)
        if area_fraction(wide) > _OF_IMAGE_FILLED:
            return None
        empty = self._baseline_image("mean")
        filled = fill_in(other[None], (~wide)[None].to(other), empty[None], self.probe.sampling)[0]
        without = torch.where(wide, filled, other)
        still = int(self._class_region(without).sum())
        return without if still <= _OF_CLASS * self.probe.num_target_pixels else None

    def _class_region(self, image: Tensor) -> Tensor:
        """What the model finds of the class (*spatial) bool in another image; takes a pass."""
        with torch.no_grad():
            decided = self.model.deciding_logits(image[None], [self.probe.target.logit_index])
        self.num_tested += 1
        self.account.cost.forward_passes += 1
        return self.model.class_region(*decided[0])[0].to(image.device)

    def _check_some_left(self) -> None:
        if not set(self.kinds) - set(self.left_out):
            reasons = "; ".join(f"{kind}: {why}" for kind, why in self.left_out.items())
            raise InputError(
                "expected a kind of baseline image that can be drawn, got none "
                f"({reasons or 'no kinds are named'}). Name more of {', '.join(MIXTURE)}."
            )


_VARYING = ("other_image", "blurred", "noise", "flat")

_MAKERS: dict[str, Callable[[BaselineDraws, np.random.Generator], BaselineDraw]] = {
    "blurred": BaselineDraws._blurred,
    "noise": BaselineDraws._noise,
    "flat": BaselineDraws._flat,
}


@dataclass(eq=False)
class SearchDraws:
    """The baseline images on which a search shows what it would accept.

    Each kind comes once before those that vary come again, in an order that follows from the seed
    and the region.

    Attributes:
        draws: makes the baseline images.
        num: on how many a region has to hold, at most.
    """

    draws: BaselineDraws
    num: int

    def __post_init__(self) -> None:
        self._latest: tuple[tuple[str, int], Presentation] | None = None

    def changes(self, region: Tensor) -> list[Change]:
        """The baseline images of a region (*spatial) bool, in the order of being shown."""
        rng = np.random.default_rng([_OF_SEARCH, self.draws.seed, number_of(region)])
        kinds = [kind for kind in self.draws.kinds if self.draws.can_draw(kind)]
        order: list[str] = []
        while kinds and len(order) < self.num:
            order += [kinds[i] for i in rng.permutation(len(kinds)).tolist()]
            kinds = [kind for kind in kinds if kind in _VARYING]
        numbers = rng.integers(_VARIANTS, size=len(order)).tolist()
        return [
            DrawnBaselineImage(kind, number if kind in _VARYING else 0, self)
            for kind, number in zip(order[: self.num], numbers, strict=False)
        ]

    def presentation(self, kind: str, number: int) -> Presentation:
        """A baseline image of a kind; the same of the same number."""
        if self._latest is None or self._latest[0] != (kind, number):
            self._latest = (kind, number), self.draws.of_kind(kind, number)
        return self._latest[1]


@dataclass(frozen=True)
class DrawnBaselineImage(Change):
    """A baseline image that a search drew; it is made when it is shown.

    A region has to reach `_MARGIN` more there than its threshold: what a search finds has just the
    Dice that it has to have, and would miss it on the next image as often as not.

    Attributes:
        kind, number: which.
        made_by: makes it.
    """

    tolerance: ClassVar[float] = -_MARGIN
    kind: str
    number: int
    made_by: SearchDraws = field(compare=False, repr=False)

    def presentation(self, _presentation: Presentation) -> Presentation:
        return self.made_by.presentation(self.kind, self.number)
