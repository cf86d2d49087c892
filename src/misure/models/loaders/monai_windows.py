"""Windows as MONAI's `SlidingWindowInferer` shows them to a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from misure._util.optional import require
from misure.models.windows import PADDINGS, Windows

WINDOW_OPTIONS = (
    "roi_size",
    "sw_batch_size",
    "overlap",
    "mode",
    "sigma_scale",
    "padding_mode",
    "cval",
)


@dataclass(frozen=True)
class SlidingWindows:
    """Calls a network window by window, as MONAI's `SlidingWindowInferer` does.

    The attributes are its arguments.
    """

    roi_size: int | Sequence[int]
    sw_batch_size: int = 1
    overlap: float | Sequence[float] = 0.25
    mode: str = "constant"
    sigma_scale: float | Sequence[float] = 0.125
    padding_mode: str = "constant"
    cval: float = 0.0

    def windows(self) -> Windows | None:
        """The same windows as misure shows them; None: it has none like these."""
        if self.sigma_scale != 0.125 or self.padding_mode not in PADDINGS:
            return None
        given = self.roi_size
        size: int | tuple[int, ...] = (
            max(0, given)
            if isinstance(given, int)
            else tuple(max(0, int(side or 0)) for side in given)
        )
        overlap = self.overlap if isinstance(self.overlap, (int, float)) else tuple(self.overlap)
        return Windows(
            size=size,
            overlap=overlap,
            weights=str(self.mode).lower(),
            padding=self.padding_mode,
            padding_value=self.cval,
        )

    def __call__(self, net: Callable[[Tensor], Any], images: Tensor) -> Any:
        inferers = require("monai.inferers", extra="monai", purpose="show windows to the network")
        return inferers.sliding_window_inference(
            images,
            self.roi_size,
            self.sw_batch_size,
            net,
            overlap=self.overlap,
            mode=self.mode,
            sigma_scale=self.sigma_scale,
            padding_mode=self.padding_mode,
            cval=self.cval,
        )
