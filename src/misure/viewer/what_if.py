"""What if: a person says what the network may see, and one pass says what it then draws."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from misure._util.progress import OnStep
from misure.errors import InputError
from misure.explanation.check import CheckedRegion, check_region
from misure.explanation.content_controls import fitted_to
from misure.explanation.presentation import make_presentation
from misure.images.regions import area_fraction
from misure.models.segmentation import drawn_region
from misure.models.target import Target
from misure.viewer.cache import Cache
from misure.viewer.opened import Opened
from misure.viewer.session import Session

_KEPT_MB = 300
_MOST_EDGE_PX = 256
OF_IMAGE = "image:"
"""What stands before the number of an image of the session that is a baseline image."""


@dataclass(frozen=True, eq=False, kw_only=True)
class WhatIf:
    """What was shown, and what the network drew.

    Attributes:
        id: its name in addresses.
        image, object, baseline, edge_px: what was asked for.
        region: (*spatial) bool on the CPU, what was visible.
        shown: (C, *spatial) float on the CPU, what the network saw.
        drawn: (*spatial) bool on the CPU, what it gives to the object's class, or to the object.
        dice: of that with the object.
    """

    id: str
    image: int
    object: int
    baseline: str
    edge_px: int
    region: Tensor
    shown: Tensor
    drawn: Tensor
    dice: float

    def record(self) -> dict[str, Any]:
        """What the page is told."""
        return {
            "id": self.id,
            "image": self.image,
            "object": self.object,
            "baseline": self.baseline,
            "edge_px": self.edge_px,
            "dice": self.dice,
            "area_fraction": area_fraction(self.region),
            "drawn_fraction": area_fraction(self.drawn),
            "passes": 1,
        }


class WhatIfs:
    """The last of them.

    Args:
        session: whose images are shown.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._num = session, 0
        self._kept: Cache[str, WhatIf] = Cache(_KEPT_MB)

    @property
    def num_bytes(self) -> int:
        """What those that are kept take."""
        return self._kept.num_bytes

    def get(self, name: str) -> WhatIf:
        """One of them.

        Raises:
            LookupError: there is no such any more.
        """
        kept = self._kept.get(name)
        if kept is None:
            raise LookupError("expected the id of a what-if that is kept, got another. Ask again.")
        return kept

    def show(
        self, opened: Opened, object_number: int, region: Tensor, baseline: str, edge_px: int
    ) -> WhatIf:
        """Shows a region; called on the thread of the network.

        Args:
            opened: the image.
            object_number: whose class is looked at.
            region: (*spatial) bool, what is visible.
            baseline: name of what stands elsewhere, or `image:J` for another image of the session.
            edge_px: width of the soft edge.

        Raises:
            InputError: no such baseline image or edge.
            LookupError: no such object or image.
        """
        if not 0 <= edge_px <= _MOST_EDGE_PX:
            raise InputError(f"expected edge_px from 0 to {_MOST_EDGE_PX}, got {edge_px}.")
        target = opened.target(object_number)
        shown = self._shown(opened, region, baseline, edge_px)
        drawn = drawn_region(opened.drawn.model, shown, target)
        self._num += 1
        made = WhatIf(
            id=f"w{self._num}",
            image=opened.number,
            object=object_number,
            baseline=baseline,
            edge_px=edge_px,
            region=region,
            shown=shown.cpu(),
            drawn=drawn.cpu(),
            dice=_dice(target, drawn),
        )
        size = 2 * region.numel() + 4 * shown.numel()
        self._kept.put(made.id, made, size)
        return made

    def check(
        self, opened: Opened, made: WhatIf, dice_threshold: float, preset: str, on_step: OnStep
    ) -> CheckedRegion:
        """Measures a region as a search does; called on the thread of the network.

        It is shown on the baseline image, and with the edge, of the what-if. `on_step` is called
        between passes, and may raise.
        """
        return check_region(
            opened.drawn.model,
            opened.pixels,
            opened.target(made.object),
            made.region,
            dice_threshold=dice_threshold,
            preset=preset,
            spacing_mm=opened.spacing_mm,
            baseline_image=self.baseline_image(opened, made.baseline),
            edge_px=made.edge_px,
            on_step=on_step,
        )

    def _shown(self, opened: Opened, region: Tensor, baseline: str, edge_px: int) -> Tensor:
        """The image (C, *spatial) that the network is to see."""
        pixels = opened.pixels
        presentation = make_presentation(
            opened.drawn.model,
            pixels,
            baseline_image=self.baseline_image(opened, baseline),
            edge_px=edge_px,
            spacing_mm=opened.spacing_mm,
        )
        return presentation.show_regions([region.to(pixels.device)])[0]

    def baseline_image(self, opened: Opened, baseline: str) -> str | Tensor:
        """The name of a baseline image; or another image, scaled and cropped to this one.

        Raises:
            InputError: it has other channels or axes, or runs code.
            LookupError: no such image.
        """
        if not baseline.startswith(OF_IMAGE):
            if "," in baseline or ":" in baseline:  # python: would run a file
                raise InputError(f"expected one baseline image, got {baseline[:50]!r}.")
            return baseline
        number = baseline.removeprefix(OF_IMAGE)
        if not number.isdecimal() or len(number) > 9:
            raise InputError(f"expected image:J, got {baseline[:50]!r}.")
        self._session.check_number(int(number))
        return fitted_to(self._session.open(int(number)).pixels, opened.pixels)


def _dice(target: Target, drawn: Tensor) -> float:
    """Dice of the object with what was drawn, as a search counts it."""
    return target.dice(drawn.to(target.region.device))
