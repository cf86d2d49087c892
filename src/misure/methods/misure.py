"""Misure's own methods: presets of `explain`, as the other methods see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from misure._util.docstrings import Option, meanings
from misure.explanation.explain import choose_preset, explain, explain_all
from misure.explanation.explanation import Explanation
from misure.explanation.presets import DEFAULT_PRESET, PRESETS, describe_preset, make_preset
from misure.methods.method import METHODS, Method, check_value
from misure.methods.result import RawMap
from misure.models.model import SegmentationModel
from misure.models.target import Target

_PAPER = "Hasany, Mériaudeau, Petitjean 2024, arXiv 2406.12173"
_DEFAULTS: dict[str, Any] = {"dice_threshold": 0.9, "baseline_image": "mean"}
_OF_EXPLAIN = ("dice_threshold", "preset", "other_image", "other_image_name", "spacing_mm")
"""Options that `explain` takes itself; all others are the preset's."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RegionMethod(Method):
    """A method that finds regions: a preset of `explain`.

    Attributes:
        preset: name of the preset; None: the default, `readable`.
    """

    kind: str = "regions"
    preset: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Option -> default, without the options of the preset."""
        return dict(_DEFAULTS)

    @property
    def finds_regions(self) -> bool:
        """Whether its result is an `Explanation`: it is."""
        return True

    def describe_options(self) -> list[Option]:
        """Every option with its default and meaning, those of the preset included."""
        told, defaults = meanings(explain.__doc__), _DEFAULTS | {"preset": self.preset}
        own = [Option(name, defaults.get(name), told.get(name, "")) for name in _OF_EXPLAIN]
        return [*own, *describe_preset(PRESETS[self.preset or DEFAULT_PRESET])]

    def check_options(self, _model: SegmentationModel, options: Mapping[str, Any]) -> None:
        """Raises an InputError if the preset knows no such option, or none of this type."""
        if "dice_threshold" in options:
            check_value("dice_threshold", options["dice_threshold"], 0.9)
        make_preset(self._preset_name(options), _of_preset(options))

    def check(self, model: SegmentationModel, options: Mapping[str, Any]) -> None:
        """Raises an InputError if the method cannot explain this model with these options."""
        super().check(model, options)
        choose_preset(model, options.get("preset", self.preset), _of_preset(options))

    def make_map(
        self,
        model: SegmentationModel,
        image: Tensor,
        target: Target,
        seed: int,
        options: Mapping[str, Any],
    ) -> RawMap:
        """The map of an explanation, whose minimality is not tested unless asked for."""
        given = {"preset": self.preset, "num_minimality_tests": 0, **options}
        explanation = explain(model, image, target, seed=seed, **given)
        return RawMap(explanation.saliency_map, explanation=explanation)

    def explain_many(
        self,
        model: SegmentationModel,
        image: Tensor,
        targets: Sequence[Target],
        *,
        seed: int = 0,
        **options: Any,
    ) -> list[Explanation]:
        """The explanation of each of several targets of one image, found in common batches.

        Args:
            model: the model to explain.
            image: (C, *spatial) float.
            targets: what to explain.
            seed: of all random numbers.
            options: see `describe_options`.

        Raises:
            InputError: bad arguments, or a target that the model does not predict.
            ModelError: the network fails.
        """
        given = {"preset": self.preset, **options}
        return explain_all(model, image, targets, seed=seed, **given)

    def _preset_name(self, options: Mapping[str, Any]) -> str:
        name: str | None = options.get("preset", self.preset)
        return name or DEFAULT_PRESET


def _of_preset(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _OF_EXPLAIN}


for _method in (
    RegionMethod(
        name="misure",
        summary="Regions of few, broad parts that suffice: the preset `readable`.",
        source=f"after {_PAPER}",
    ),
    RegionMethod(
        name="misure_paper",
        summary="The preset `paper`: a soft mask by gradient descent, then its smallest top part "
        "that suffices.",
        source=_PAPER,
        needs_gradients=True,
        preset="paper",
    ),
    RegionMethod(
        name="sufficient_region",
        summary="Stage 1 alone: the sufficient region, and in it the order of the outcomes.",
        source=f"{_PAPER}, stage 1",
        preset="sufficient_region",
    ),
):
    METHODS.register(_method.name, _method, __name__)
