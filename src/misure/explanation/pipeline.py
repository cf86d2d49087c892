"""The stages of an explanation, for all targets of images of one shape together."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self, TypeVar

import torch
from msgspec import structs
from torch import Tensor

from misure._util.progress import OnStep
from misure._util.seeds import seed_device
from misure._version import __version__
from misure.explanation.acceptance import hold_under_changes
from misure.explanation.budget import TargetBudget
from misure.explanation.by_channel import FoundByChannel, find_by_channel, make_record
from misure.explanation.by_channel_record import ByChannelRecord
from misure.explanation.content_controls import CONTENT_CONTROLS, make_content_controls
from misure.explanation.dust import narrow_fraction
from misure.explanation.evidence import (
    PresentedSufficiency,
    content_dices,
    dice_by_presentation,
    dice_under_small_changes,
    hidden_dice,
    other_baseline_images,
    sufficiency_by_presentation,
)
from misure.explanation.explanation import Explanation
from misure.explanation.growth import SufficientRegion, find_sufficient_regions
from misure.explanation.nested import (
    NestedRegion,
    find_nested_regions,
    saliency_map_of,
)
from misure.explanation.outcome_map import outcome_scores
from misure.explanation.presentation import make_presentations
from misure.explanation.presets import Preset
from misure.explanation.probe import Account, Probe, Query, Search
from misure.explanation.question import SUFFICIENT, Question
from misure.explanation.record import (
    CostRecord,
    CurvePoint,
    ExplanationRecord,
    MinimallySufficientRegionRecord,
    SufficientRegionRecord,
    TargetRecord,
    sizes_in_mm,
)
from misure.explanation.reduction import MinimallySufficientRegion
from misure.explanation.removal import Minimality, measure_minimality, remove_blocks
from misure.explanation.robust.draws import FEW_TESTS, MIXTURE, BaselineDraws, SearchDraws
from misure.explanation.robust.measured import Robustness, robustness_of
from misure.explanation.run_searches import run_searches
from misure.explanation.show import try_regions
from misure.images.grid import GRAINS, default_grain_px
from misure.images.regions import area_fraction, component_numbers
from misure.images.spacing import in_mm
from misure.models.cost import Cost
from misure.models.device import to_device
from misure.models.model import SegmentationModel
from misure.models.target import Target

OnRegionOf = Callable[[int, str, Tensor, float], None]
"""`OnRegion` with the number of the target before the rest."""

_MINIMALITY_BLOCKS = 32  # on the short side, where no minimality_cell_px is asked for

_Reduced = tuple[MinimallySufficientRegion, Minimality | None]
"""What `one_minimal` leaves of a region, and how far it can still be reduced."""

_ByChannel = tuple[FoundByChannel, ByChannelRecord]


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """How targets are to be explained.

    Attributes:
        model, preset, dice_threshold, seed, on_step: as of `explain`.
        other_image: (C, *any) for the transfer Dice; None: the image turned.
        other_image_name: how results name it.
        spacing_mm: sides of a pixel or voxel of the images; None: not known.
        other_images: among the baseline images of `robust` (see `misure.robustness`).
        on_region: called with the number of a target and what is found for it (see `explain`).
    """

    model: SegmentationModel
    preset: Preset
    dice_threshold: float
    seed: int
    other_image: Tensor | None = None
    other_image_name: str = ""
    spacing_mm: tuple[float, ...] | None
    on_step: OnStep | None
    other_images: Sequence[Tensor] = ()
    on_region: OnRegionOf | None = None

    def run(self, images: Sequence[Tensor], targets: Sequence[Target]) -> list[Explanation]:
        """The explanation of each target; all images of one shape."""
        model, preset, on_step = self.model, self.preset, self.on_step
        start = time.perf_counter()
        with torch.inference_mode(False), model.borrowed():
            seed_device(model.device, self.seed)  # undone by `borrowed`
            tell = self.on_region
            budgets = [
                TargetBudget(preset, partial(tell, number) if tell else None)
                for number in range(len(targets))
            ]
            accounts = [budget.account for budget in budgets]
            probes = list(self.probes(images, targets, accounts))
            sufficient = find_sufficient_regions(
                model, probes, growth=preset.growth, accounts=accounts, on_step=on_step
            )
            for account, grown in zip(accounts, sufficient, strict=True):
                account.tell_result(grown.region, grown.dice)
            presented = self._presented(probes, budgets)
            for budget in budgets:
                budget.begin_reduction()
            found = preset.reduction(model, probes, sufficient, accounts, on_step)
            reduced = self._reduced(probes, found, budgets)
            for account, (minimal, _) in zip(accounts, reduced, strict=True):
                account.tell_result(minimal.region, minimal.dice)
            families = self._families(probes, budgets, sufficient, reduced)
            by_channel = self._by_channel(probes, budgets, sufficient, reduced)
            of_each = zip(
                probes, budgets, sufficient, reduced, families, presented, by_channel, strict=True
            )
            on_cpu = {id(image): image.cpu() for image in images}  # one copy for all its targets
            explanations = [
                replace(self._put_together(*parts), image=on_cpu[id(image)])
                for image, parts in zip(images, of_each, strict=True)
            ]
        return with_seconds(explanations, time.perf_counter() - start)

    def probes(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Target],
        accounts: Sequence[Account],
        question: Question = SUFFICIENT,
    ) -> Iterator[Probe]:
        """A probe for each target, which asks this question.

        Its account counts the passes that testing other images takes.
        """
        preset, device = self.preset, self.model.device
        is_excluded = preset.max_content_dice < 1 and not question.hides
        excluded = CONTENT_CONTROLS if is_excluded else ()
        parts_of_image: dict[int, dict[str, Any]] = {}
        for image, target, account in zip(images, targets, accounts, strict=True):
            if id(image) not in parts_of_image:
                own = to_device(image, device)
                present = partial(
                    make_presentations,
                    self.model,
                    own,
                    edge_px=preset.edge_px,
                    seed=self.seed,
                    spacing_mm=self.spacing_mm,
                )
                others = other_baseline_images(preset.names_of_baseline_images)
                parts_of_image[id(image)] = {
                    "presentations": present(baseline_image=preset.baseline_image),
                    "hidden_presentation": present(baseline_image=preset.hidden_baseline_image)[0]
                    if preset.asks_hidden and not question.hides
                    else None,
                    "other_presentations": tuple(
                        way for kind in others for way in present(baseline_image=kind)
                    ),
                    "content_controls": make_content_controls(
                        own,
                        other_image=self.other_image,
                        name=self.other_image_name,
                        seed=self.seed,
                    ),
                }
            probe = Probe(
                target.to(device),
                dice_threshold=self.dice_threshold,
                question=question,
                excluded_contents=excluded,
                max_content_dice=preset.max_content_dice,
                max_hidden_dice=preset.max_hidden_dice,
                num_changes=preset.num_changes,
                seed=self.seed,
                spacing_mm=self.spacing_mm,
                **parts_of_image[id(image)],
            )
            yield self._with_draws(probe, account) if preset.draws_of_accepting else probe

    def _with_draws(self, probe: Probe, account: Account) -> Probe:
        """The probe, with baseline images on which a region has to hold."""
        left_out = self.preset.names_of_baseline_images
        if not self.preset.robust:
            left_out += ["other_image", "inpainted"]  # these take passes, and a library
        kinds = [kind for kind in MIXTURE if kind not in left_out]
        draws = BaselineDraws(
            self.model,
            probe,
            kinds,
            self._other_images[0],
            self.seed,
            account,
            most_tests=FEW_TESTS,
        )
        return replace(probe, draws=SearchDraws(draws, self.preset.draws_of_accepting))

    @property
    def _other_images(self) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """The other images that a search may see, and those on which its result is shown."""
        if len(self.other_images) < 2:
            return self.other_images, self.other_images
        return self.other_images[::2], self.other_images[1::2]

    def robustness(self, probe: Probe, region: Tensor, account: Account) -> Robustness | None:
        """The robustness of what a search found; None if it is not asked for.

        Args:
            probe: the target, and what is asked of the region.
            region: (*spatial) bool.
            account: where the passes are counted.
        """
        return robustness_of(
            self.model,
            probe,
            region,
            account,
            at_least=self.preset.robust,
            other_images=self._other_images[1],
            on_step=self.on_step,
        )

    def _presented(
        self, probes: Sequence[Probe], budgets: Sequence[TargetBudget]
    ) -> list[list[PresentedSufficiency]]:
        if not self.preset.compare_presentations:
            return [[] for _ in probes]
        return sufficiency_by_presentation(
            self.model,
            probes,
            growth=self.preset.growth,
            seed=self.seed,
            accounts=[budget.begin_comparing() for budget in budgets],
            on_step=self.on_step,
        )

    def _reduced(
        self,
        probes: Sequence[Probe],
        minimal: Sequence[MinimallySufficientRegion],
        budgets: Sequence[TargetBudget],
    ) -> list[_Reduced]:
        accounts = [budget.begin_removing() for budget in budgets]
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
        budgets: Sequence[TargetBudget],
        sufficient: Sequence[SufficientRegion],
        reduced: Sequence[_Reduced],
    ) -> list[list[NestedRegion]]:
        accounts = [budget.begin_nesting() for budget in budgets]
        searches = [
            self._nest(probe, account, limit, minimal)
            for probe, account, limit, (minimal, _) in zip(
                probes, accounts, sufficient, reduced, strict=True
            )
        ]
        return run_searches(
            self.model,
            probes,
            searches,
            doing="nesting",
            accounts=accounts,
            on_step=self.on_step,
        )

    def _by_channel(
        self,
        probes: Sequence[Probe],
        budgets: Sequence[TargetBudget],
        sufficient: Sequence[SufficientRegion],
        reduced: Sequence[_Reduced],
    ) -> list[_ByChannel | None]:
        """The regions by channel of each probe and their record; None: they are not asked for."""
        if not self.preset.are_apart:
            return [None] * len(probes)
        accounts = [budget.begin_by_channel() for budget in budgets]
        apart = [replace(probe, by_channel=True) for probe in probes]
        cell_px = self.minimality_cell_px(probes[0])
        searches = [
            find_by_channel(probe, self.preset.reduction, grown, minimal, cell_px, account)
            for probe, grown, (minimal, _), account in zip(
                apart, sufficient, reduced, accounts, strict=True
            )
        ]
        found = run_searches(
            self.model,
            apart,
            searches,
            doing="by channel",
            accounts=accounts,
            on_step=self.on_step,
        )
        return [
            (one, make_record(self.model, probe, one, account))
            for one, probe, account in zip(found, apart, accounts, strict=True)
        ]

    def _remove(
        self, probe: Probe, minimal: MinimallySufficientRegion, account: Account
    ) -> Search[_Reduced]:
        """The region with what `one_minimal` removes of it, and how far it can still be reduced."""
        preset, cell_px = self.preset, self.minimality_cell_px(probe)
        if not preset.one_minimal:
            if not preset.num_minimality_tests:
                return minimal, None
            num = preset.num_minimality_tests
            return minimal, (
                yield from measure_minimality(probe, minimal.region, cell_px, num, self.seed)
            )
        region, num_blocks, is_one_minimal = yield from remove_blocks(
            probe, minimal.region, minimal.order, cell_px, account
        )
        (reply,) = yield Query([region], alone=True, content_controls=True)
        if not probe.suffices(reply):  # it held in a batch, but not alone
            return minimal, None
        (holds,) = yield from hold_under_changes(probe, [region], alone=True)
        if not holds:
            return minimal, None
        minimality = Minimality(
            cell_px=cell_px,
            cells_left=num_blocks,
            cells_tested=num_blocks if is_one_minimal else 0,
            removable=0,
            passes=account.cost.forward_passes,
        )
        stopped_by = minimal.stopped_by if is_one_minimal else "max_passes"
        return replace(minimal, region=region, dice=reply.dice, stopped_by=stopped_by), minimality

    def minimality_cell_px(self, probe: Probe) -> int:
        """Side of the blocks whose removal is tried, in units of the smallest side of a voxel."""
        spatial = probe.target.region.shape
        usual = default_grain_px(spatial, probe.sampling) * GRAINS // _MINIMALITY_BLOCKS
        return self.preset.minimality_cell_px or usual

    def _nest(
        self,
        probe: Probe,
        account: Account,
        sufficient: SufficientRegion,
        minimal: MinimallySufficientRegion,
    ) -> Search[list[NestedRegion]]:
        own = NestedRegion(probe.dice_threshold, minimal.region, minimal.dice)
        if not self.preset.thresholds:
            return []
        return (
            yield from find_nested_regions(
                own,
                sufficient.region | minimal.region,
                minimal.order,
                minimal.grain_px,
                self.preset.thresholds,
                sampling=probe.sampling,
                account=account,
                num_views=len(probe.presentations),
            )
        )

    def _put_together(
        self,
        probe: Probe,
        budget: TargetBudget,
        sufficient: SufficientRegion,
        reduced: _Reduced,
        family: list[NestedRegion],
        presented: list[PresentedSufficiency],
        by_channel: _ByChannel | None,
    ) -> Explanation:
        minimal, minimality = reduced
        is_reduced = int(minimal.region.sum()) < int(sufficient.region.sum())
        shared = self._measured(probe, budget.account, minimal, is_reduced=is_reduced)
        target = probe.target.to("cpu")
        values = ExplanationRecord(
            image="",
            sufficient_region=SufficientRegionRecord(
                growth_px=sufficient.growth_px,
                area_fraction=area_fraction(sufficient.region),
                dice=sufficient.dice,
                growth=self.preset.settings()["growth"],
                stopped_by=sufficient.stopped_by,
                growth_mm=in_mm(sufficient.growth_px, probe.spacing_mm),
                **sizes_in_mm(sufficient.region, probe.spacing_mm),
            ),
            minimally_sufficient_region=shared.pop("region"),
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
            by_channel=None if by_channel is None else by_channel[1],
            model_settings=self.model.settings(),
            slice_index=None,
            cost=CostRecord.of(budget.cost),
            **shared,
        )
        found = None if by_channel is None else by_channel[0]
        return Explanation(
            target=target,
            sufficient_region=sufficient.region.cpu(),
            minimally_sufficient_region=minimal.region.cpu(),
            saliency_map=self._saliency_map(probe, budget, minimal, family),
            sufficient_region_by_channel=None if found is None else found.sufficient.cpu(),
            minimally_sufficient_region_by_channel=None if found is None else found.minimal.cpu(),
            values=values,
        )

    def measure(self, image: Tensor, target: Target, region: Tensor) -> dict[str, Any]:
        """What is recorded of a region that no search found (see `check_region`).

        Args:
            image: (C, *spatial) float.
            target: for which the region is to suffice.
            region: (*spatial) bool.
        """
        start, account = time.perf_counter(), Account()
        with torch.inference_mode(False), self.model.borrowed():
            seed_device(self.model.device, self.seed)
            (probe,) = self.probes([image], [target], [account])
            own = to_device(region, self.model.device)
            self._tell("checking the region", 0, 2)
            replies = try_regions(self.model, [(probe, own)])
            account.add(replies)
            shown = MinimallySufficientRegion(
                own, own.float(), replies[0].dice, stopped_by="no_search"
            )
            self._tell("checking the region", 1, 2)
            measured = self._measured(probe, account, shown, is_reduced=False)
        cost = Cost(account.cost.forward_passes, account.cost.backward_passes)
        cost.seconds = time.perf_counter() - start
        return measured | {"cost": CostRecord.of(cost)}

    def _tell(self, doing: str, done: int, total: int) -> None:
        if self.on_step:
            self.on_step(doing, done, total)

    def _measured(
        self, probe: Probe, account: Account, found: MinimallySufficientRegion, *, is_reduced: bool
    ) -> dict[str, Any]:
        """What is recorded of a region alike, whoever found it; progress is told at each pass."""
        if self.on_step:
            account.on_add = partial(self.on_step, "measuring", 0, None)
            account.on_add()
        region, settings = found.region, self.preset.settings()
        dices = content_dices(self.model, probe, region, account)
        transfer_dice = dices.pop("other_image")
        controls = probe.content_controls or make_content_controls(probe.presentations[0].image)
        return {
            "misure_version": __version__,
            "model": self.model.name,
            "preset": self.preset.name,
            "baseline_image": settings["baseline_image"],
            "dice_threshold": probe.dice_threshold,
            "seed": self.seed,
            "target": TargetRecord.of(probe.target.to("cpu"), probe.spacing_mm),
            "region": self._region_record(probe, account, found, is_reduced=is_reduced),
            "silhouette_dice": max(dices.values()),
            "silhouette_dice_by_content": dices,
            "transfer_dice": transfer_dice,
            "transfer_from": controls.transfer_from,
            "transfer_resized": controls.is_resized,
            "robustness": self.robustness(probe, region, account),
            "settings": settings,
            "shape": list(region.shape),
            "spacing_mm": None if probe.spacing_mm is None else list(probe.spacing_mm),
        }

    def _saliency_map(
        self,
        probe: Probe,
        budget: TargetBudget,
        minimal: MinimallySufficientRegion,
        family: list[NestedRegion],
    ) -> Tensor:
        """The map (*spatial) float32 on the CPU, from all outcomes unless a map was learnt."""
        if minimal.saliency_map is not None:
            learnt = minimal.saliency_map.float()
            return (saliency_map_of(family, learnt) if family else learnt).cpu()
        spatial, device = probe.target.region.shape, minimal.region.device
        scores, is_known = outcome_scores(budget.shown, spatial, probe.sampling)
        if not bool(minimal.region.any()):  # all is known, and nothing of it is needed
            scores, is_known = torch.ones_like(scores), torch.ones_like(is_known)
        own = NestedRegion(probe.dice_threshold, minimal.region, minimal.dice)
        return saliency_map_of(family or [own], scores.to(device), is_known.to(device)).cpu()

    def _region_record(
        self,
        probe: Probe,
        account: Account,
        minimal: MinimallySufficientRegion,
        *,
        is_reduced: bool,
    ) -> MinimallySufficientRegionRecord:
        """What is recorded of a region; it is shown in other ways as evidence."""
        ways, target = probe.presentations, probe.target.region
        num_pixels = int(minimal.region.sum())
        num_outside = int((minimal.region & ~target).sum())
        dices, of_whole_image = dice_under_small_changes(self.model, probe, minimal.region, account)
        return MinimallySufficientRegionRecord(
            area_fraction=area_fraction(minimal.region),
            relative_area=num_pixels / int(target.sum()),
            outside_target_fraction=num_outside / max(1, num_pixels),
            dice=minimal.dice,
            hidden_dice=hidden_dice(self.model, probe, minimal.region, account),
            dice_by_baseline_image=(
                dice_by_presentation(self.model, probe, ways, minimal.region, account)
                if len(ways) > 1
                else {ways[0].name: minimal.dice}
            ),
            dice_on_other_baseline_images=dice_by_presentation(
                self.model, probe, probe.other_presentations, minimal.region, account
            ),
            dice_under_small_changes=dices,
            whole_image_under_small_changes=of_whole_image,
            grain_px=minimal.grain_px,
            num_parts=int(component_numbers(minimal.region.cpu()).max()),
            narrow_fraction=narrow_fraction(minimal.region.cpu(), probe.sampling),
            stopped_by=minimal.stopped_by,
            is_reduced=is_reduced,
            **sizes_in_mm(minimal.region, probe.spacing_mm),
        )


class _Costed(Protocol):
    """What took passes: an explanation or a hidden region."""

    @property
    def values(self) -> Any: ...

    def with_values(self, **changes: Any) -> Self: ...


_C = TypeVar("_C", bound=_Costed)


def with_seconds(results: Sequence[_C], seconds: float) -> list[_C]:
    """The same results, the seconds shared out in proportion to their passes."""
    costs = [result.values.cost for result in results]
    total = sum(cost.pass_equivalents for cost in costs)
    return [
        result.with_values(
            cost=structs.replace(cost, seconds=seconds * cost.pass_equivalents / total)
        )
        for result, cost in zip(results, costs, strict=True)
    ]
