"""The job: from probes to explanations, all targets of images of one shape together."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from msgspec import structs
from torch import Tensor

from misure._util.seeds import seed_device
from misure._version import __version__
from misure.explanation.content_controls import CONTENT_CONTROLS, make_content_controls
from misure.explanation.evidence import (
    PresentedSufficiency,
    content_dices,
    dice_by_presentation,
    sufficiency_by_presentation,
)
from misure.explanation.explanation import Explanation
from misure.explanation.growth import SufficientRegion, find_sufficient_regions
from misure.explanation.nested import (
    NestedRegion,
    find_nested_regions,
    passes_of_family,
    saliency_map_of,
)
from misure.explanation.presentation import make_presentations
from misure.explanation.presets import Preset
from misure.explanation.probe import OnStep, Probe, Query, Search
from misure.explanation.record import (
    CostRecord,
    CurvePoint,
    ExplanationRecord,
    MinimallySufficientRegionRecord,
    SufficientRegionRecord,
    TargetRecord,
)
from misure.explanation.reduction import MinimallySufficientRegion
from misure.explanation.removal import Minimality, measure_minimality, remove_blocks
from misure.explanation.run_searches import run_searches
from misure.images.grid import GRAINS, default_grain_px
from misure.images.regions import area_fraction, component_numbers
from misure.models.cost import Cost
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.target import Target

_MINIMALITY_BLOCKS = 32  # on the short side, where no minimality_cell_px is asked for


@dataclass(frozen=True)
class Explainer:
    """How targets are to be explained."""

    model: SegmentationModel
    preset: Preset
    dice_threshold: float
    seed: int
    other_image: Tensor | None
    on_step: OnStep | None

    def run(self, images: Sequence[Tensor], targets: Sequence[Target]) -> list[Explanation]:
        """The explanation of each target; all images of one shape."""
        model, on_step = self.model, self.on_step
        start = time.perf_counter()
        with torch.inference_mode(False), model.borrowed():
            seed_device(model.device, self.seed)  # undone by `borrowed`
            probes = list(self._trials(images, targets))
            growth = self.preset.growth
            large = find_sufficient_regions(model, probes, growth=growth, on_step=on_step)
            presented: list[list[PresentedSufficiency]] = [[] for _ in probes]
            if self.preset.compare_presentations:
                presented = sufficiency_by_presentation(
                    model, probes, growth=growth, seed=self.seed, on_step=on_step
                )
            small = self.preset.reduction(model, probes, large, on_step)
            apart = [replace(probe, cost=Cost()) for probe in probes]  # its passes do not count
            removals = [self._remove(*one) for one in zip(apart, small, strict=True)]
            reduced = run_searches(model, apart, removals, doing="removing", on_step=on_step)
            growths = [
                self._nest(probe, sufficient, minimal)
                for probe, sufficient, (minimal, _) in zip(probes, large, reduced, strict=True)
            ]
            families = run_searches(model, probes, growths, doing="nesting", on_step=on_step)
            found = [
                self._put_together(probe, sufficient, minimal, family, minimality, ways)
                for probe, sufficient, (minimal, minimality), family, ways in zip(
                    probes, large, reduced, families, presented, strict=True
                )
            ]
        seconds = time.perf_counter() - start
        passes = [explanation.values.cost.pass_equivalents for explanation in found]
        return [
            explanation.with_values(
                cost=structs.replace(explanation.values.cost, seconds=seconds * share / sum(passes))
            )
            for explanation, share in zip(found, passes, strict=True)
        ]

    def _trials(self, images: Sequence[Tensor], targets: Sequence[Target]) -> Iterator[Probe]:
        preset, device = self.preset, self.model.device
        of_image: dict[int, dict[str, Any]] = {}
        for image, target in zip(images, targets, strict=True):
            if id(image) not in of_image:
                own = to_device(image, device)
                of_image[id(image)] = {
                    "presentations": make_presentations(
                        self.model,
                        own,
                        baseline_image=preset.baseline_image,
                        edge_px=preset.edge_px,
                        seed=self.seed,
                    ),
                    "content_controls": make_content_controls(
                        own, other_image=self.other_image, seed=self.seed
                    ),
                }
            parts = of_image[id(image)]
            is_controlled = preset.max_content_dice < 1
            num_ways = len(parts["presentations"])
            yield Probe(
                target.to(device),
                dice_threshold=self.dice_threshold,
                excluded_contents=CONTENT_CONTROLS if is_controlled else (),
                max_content_dice=preset.max_content_dice,
                reserved_passes=(1 + passes_of_family(preset.thresholds)) * num_ways
                + len(CONTENT_CONTROLS) * (1 + is_controlled)
                + num_ways * (num_ways > 1),
                **parts,
            )

    def _remove(
        self, probe: Probe, minimal: MinimallySufficientRegion
    ) -> Search[tuple[MinimallySufficientRegion, Minimality | None]]:
        """The region with what `one_minimal` removes of it, and how far it can still be reduced."""
        preset, spatial = self.preset, probe.target.region.shape
        cell_px = preset.minimality_cell_px or (
            default_grain_px(spatial) * GRAINS // _MINIMALITY_BLOCKS
        )
        if not preset.one_minimal:
            if not preset.num_minimality_tests:
                return minimal, None
            num = preset.num_minimality_tests
            return minimal, (
                yield from measure_minimality(probe, minimal.region, cell_px, num, self.seed)
            )
        region, num_blocks, _ = yield from remove_blocks(
            probe, minimal.region, minimal.saliency_map, cell_px
        )
        (reply,) = yield Query([region], alone=True, content_controls=True)
        if not probe.suffices(reply):  # it held in a batch, but not alone
            return minimal, None
        passes = probe.cost.forward_passes
        minimality = Minimality(
            cell_px=cell_px,
            cells_left=num_blocks,
            cells_tested=num_blocks,
            removable=0,
            passes=passes,
        )
        return replace(minimal, region=region, dice=reply.dice), minimality

    def _nest(
        self, probe: Probe, sufficient: SufficientRegion, minimal: MinimallySufficientRegion
    ) -> Search[list[NestedRegion]]:
        own = NestedRegion(probe.dice_threshold, minimal.region, minimal.dice)
        if not self.preset.thresholds:
            return []
        return (
            yield from find_nested_regions(
                own,
                sufficient.region,
                minimal.saliency_map,
                minimal.grain_px,
                self.preset.thresholds,
            )
        )

    def _put_together(
        self,
        probe: Probe,
        sufficient: SufficientRegion,
        minimal: MinimallySufficientRegion,
        family: list[NestedRegion],
        minimality: Minimality | None,
        presented: list[PresentedSufficiency],
    ) -> Explanation:
        dices = content_dices(self.model, probe, minimal.region)
        transfer_dice = dices.pop("other_image")
        settings, target = self.preset.settings(), probe.target.to("cpu")
        saliency_map = minimal.saliency_map
        if family:
            saliency_map = saliency_map_of(family, minimal.saliency_map)
        values = ExplanationRecord(
            misure_version=__version__,
            image="",
            model=self.model.name,
            preset=self.preset.name,
            baseline_image=settings["baseline_image"],
            dice_threshold=probe.dice_threshold,
            seed=self.seed,
            target=TargetRecord.of(target),
            sufficient_region=SufficientRegionRecord(
                growth_px=sufficient.growth_px,
                area_fraction=area_fraction(sufficient.region),
                dice=sufficient.dice,
                growth=settings["growth"],
            ),
            minimally_sufficient_region=self._minimal_record(probe, minimal),
            sufficiency_curve=[
                CurvePoint(
                    dice_threshold=nested.dice_threshold,
                    area_fraction=area_fraction(nested.region),
                    dice=nested.dice,
                )
                for nested in family
            ],
            minimality=minimality,
            sufficiency_by_presentation=presented,
            silhouette_dice=max(dices.values()),
            transfer_dice=transfer_dice,
            silhouette_dice_by_content=dices,
            settings=settings,
            model_settings=self.model.settings(),
            slice_index=None,
            cost=CostRecord.of(probe.cost),
        )
        return Explanation(
            target=target,
            sufficient_region=sufficient.region.cpu(),
            minimally_sufficient_region=minimal.region.cpu(),
            saliency_map=saliency_map.cpu(),
            values=values,
        )

    def _minimal_record(
        self, probe: Probe, minimal: MinimallySufficientRegion
    ) -> MinimallySufficientRegionRecord:
        """What is recorded of the minimal region; it is shown with each of several baselines."""
        ways, target = probe.presentations, probe.target.region
        num_pixels = int(minimal.region.sum())
        num_outside = int((minimal.region & ~target).sum())
        return MinimallySufficientRegionRecord(
            area_fraction=area_fraction(minimal.region),
            relative_area=num_pixels / int(target.sum()),
            outside_target_fraction=num_outside / max(1, num_pixels),
            dice=minimal.dice,
            dice_by_baseline_image=(
                dice_by_presentation(self.model, probe, minimal.region)
                if len(ways) > 1
                else {ways[0].name: minimal.dice}
            ),
            grain_px=minimal.grain_px,
            num_parts=int(component_numbers(minimal.region.cpu()).max()),
            stopped_by=minimal.stopped_by,
        )
