"""To go when runs and comparisons ask the method itself."""

from collections.abc import Mapping
from typing import Any

from misure.methods.method import METHODS
from misure.methods.misure import RegionMethod
from misure.models.model import SegmentationModel

PRESET_OF: dict[str, str | None] = {
    name: entry.preset for name, entry in METHODS.shipped.items() if isinstance(entry, RegionMethod)
}


def check_own_options(method: str, model: SegmentationModel, options: Mapping[str, Any]) -> None:
    """Raises an InputError if the method cannot explain this model with these options."""
    METHODS[method].check(model, options)
