"""The stages of an explanation, for all targets of images of one shape together."""

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
from misure.explanation.probe import Account, OnStep, Probe, Query, Search
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
        model, preset, on_step = self.model, self.preset, self.on_step
        start = time.perf_counter()
        with torch.inference_mode(False), model.borrowed():
            seed_device(model.device, self.seed)  # undone by `borrowed`
            probes = list(self._probes(images, targets))
            accounts = [Account(reserved_passes=self._reserved_passes(probe)) for probe in probes]
            sufficient = find_sufficient_regions(
                model, probes, growth=preset.growth, accounts=accounts, on_step=on_step
            )
            presented = self._presented(probes)
            found = preset.reduction(model, probes, sufficient, accounts, on_step)
            reduced = self._reduced(probes, found)
            minimal = [region for region, _ in reduced]
            families = self._families(probes, accounts, sufficient, minimal)
            explanations = [
                self._put_together(*parts)
                for parts in zip(
                    probes,
                    accounts,
                    sufficient,
                    minimal,
                    families,
                    [minimality for _, minimality in reduced],
                    presented,
                    strict=True,
                )
            ]
        return _with_seconds(explanations, time.perf_counter() - start)

    def _probes(self, images: Sequence[Tensor], targets: Sequence[Target]) -> Iterator[Probe]:
        preset, device = self.preset, self.model.device
        parts_of_image: dict[int, dict[str, Any]] = {}
        for image, target in zip(images, targets, strict=True):
            if id(image) not in parts_of_image:
                own = to_device(image, device)
                parts_of_image[id(image)] = {
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
            yield Probe(
                target.to(device),
                dice_threshold=self.dice_threshold,
                excluded_contents=CONTENT_CONTROLS if preset.max_content_dice < 1 else (),
                max_content_dice=preset.max_content_dice,
                **parts_of_image[id(image)],
            )

    def _reserved_passes(self, probe: Probe) -> int:
        """What the nested regions and the evidence will take of the budget."""
        num_presentations = len(probe.presentations)
        nested = (1 + passes_of_family(self.preset.thresholds)) * num_presentations
        contents = len(CONTENT_CONTROLS) * (1 + bool(probe.excluded_contents))
        return nested + contents + num_presentations * (num_presentations > 1)

    def _presented(self, probes: Sequence[Probe]) -> list[list[PresentedSufficiency]]:
        if not self.preset.compare_presentations:
            return [[] for _ in probes]
        return sufficiency_by_presentation(
            self.model, probes, growth=self.preset.growth, seed=self.seed, on_step=self.on_step
        )

    def _reduced(
        self, probes: Sequence[Probe], minimal: Sequence[MinimallySufficientRegion]
    ) -> list[tuple[MinimallySufficientRegion, Minimality | None]]:
        accounts = [Account() for _ in probes]  # these passes are not part of the cost
        searches = [self._remove(*parts) for parts in zip(probes, minimal, accounts, strict=True)]
        return run_searches(
            self.model,
            probes,
            searches,
            doing="removing",
            accounts=accounts,
            on_step=self.on_step,
        )

    def _families(
        self,
        probes: Sequence[Probe],
        accounts: Sequence[Account],
        sufficient: Sequence[SufficientRegion],
        minimal: Sequence[MinimallySufficientRegion],
    ) -> list[list[NestedRegion]]:
        searches = [self._nest(*parts) for parts in zip(probes, sufficient, minimal, strict=True)]
        return run_searches(
            self.model,
            probes,
            searches,
            doing="nesting",
            accounts=accounts,
            on_step=self.on_step,
        )

    def _remove(
        self, probe: Probe, minimal: MinimallySufficientRegion, account: Account
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
        minimality = Minimality(
            cell_px=cell_px,
            cells_left=num_blocks,
            cells_tested=num_blocks,
            removable=0,
            passes=account.cost.forward_passes,
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
        account: Account,
        sufficient: SufficientRegion,
        minimal: MinimallySufficientRegion,
        family: list[NestedRegion],
        minimality: Minimality | None,
        presented: list[PresentedSufficiency],
    ) -> Explanation:
        dices = content_dices(self.model, probe, minimal.region, account)
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
            minimally_sufficient_region=self._minimal_record(probe, account, minimal),
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
            cost=CostRecord.of(account.cost),
        )
        return Explanation(
            target=target,
            sufficient_region=sufficient.region.cpu(),
            minimally_sufficient_region=minimal.region.cpu(),
            saliency_map=saliency_map.cpu(),
            values=values,
        )

    def _minimal_record(
        self, probe: Probe, account: Account, minimal: MinimallySufficientRegion
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
                dice_by_presentation(self.model, probe, minimal.region, account)
                if len(ways) > 1
                else {ways[0].name: minimal.dice}
            ),
            grain_px=minimal.grain_px,
            num_parts=int(component_numbers(minimal.region.cpu()).max()),
            stopped_by=minimal.stopped_by,
        )


def _with_seconds(explanations: Sequence[Explanation], seconds: float) -> list[Explanation]:
    """The same explanations, the seconds shared out in proportion to their passes."""
    passes = [explanation.cost.pass_equivalents for explanation in explanations]
    return [
        explanation.with_values(
            cost=structs.replace(explanation.values.cost, seconds=seconds * share / sum(passes))
        )
        for explanation, share in zip(explanations, passes, strict=True)
    ]
