"""The paper's stage 2: a soft mask, learnt by gradient descent inside the sufficient region.

Minimise, over a mask m in [0, 1] on a coarse grid,

    a_fg (1 - D(p, t)) + a_bg (1 - (D(p, t) + D(1 - p, 1 - t)) / 2)
      + l1 x (area share of t) x mean(m) + tv x mean |differences of m|^exponent

where p is the probability of the class when the model sees m (enlarged) times the sufficient
region, t the target and D the soft Dice. Hasany, Mériaudeau, Petitjean, arXiv 2406.12173; the text
at hand does not give every setting, `docs/method.md` says how sure each default is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from misure._util.progress import OnStep
from misure.errors import InputError, ModelError
from misure.explanation.growth import SufficientRegion
from misure.explanation.probe import Account, Probe
from misure.explanation.reduction import MinimallySufficientRegion, top_region
from misure.explanation.run_searches import run_searches
from misure.images.regions import soft_dice
from misure.models.model import SegmentationModel
from misure.models.preprocessing import resize

_PASSES_OF_A_STEP = 3
_REGIONS_CHECKED = 20


@dataclass(frozen=True)
class PaperReduction:
    """The paper's stage 2, followed by the smallest top part of its map that suffices.

    Attributes:
        grid_size: length of the mask's short side; never more than the image's.
        num_iterations: steps of AdamW; fewer if the budget ends.
        learning_rate: of AdamW.
        foreground_weight: a_fg.
        background_weight: a_bg.
        l1_weight: l1.
        tv_weight, tv_exponent: tv and its exponent.
        initial_visibility: where the mask starts outside the target.
        smallest_visibility: smaller values of the final mask become 0.
    """

    grid_size: int = 224
    num_iterations: int = 100
    learning_rate: float = 0.01
    foreground_weight: float = 1.0
    background_weight: float = 1.0
    l1_weight: float = 0.1
    tv_weight: float = 0.0
    tv_exponent: float = 3.0
    initial_visibility: float = 0.5
    smallest_visibility: float = 0.2

    needs_gradients: ClassVar[bool] = True
    least_shown: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.grid_size < 1 or self.num_iterations < 0 or self.learning_rate <= 0:
            raise InputError(
                "expected grid_size of 1 or more, num_iterations of 0 or more and "
                f"a positive learning_rate, got {self.grid_size}, {self.num_iterations} and "
                f"{self.learning_rate}."
            )
        if self.tv_exponent < 1:
            raise InputError(f"expected tv_exponent of 1 or more, got {self.tv_exponent}.")

    def __call__(
        self,
        model: SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        accounts: Sequence[Account],
        on_step: OnStep | None = None,
    ) -> list[MinimallySufficientRegion]:
        """The smallest top part of the map learnt for each probe (see `Reduction`).

        Makes `num_iterations` forward and backward passes for each probe, then about twenty forward
        passes.
        """
        nums = [self._num_steps(*parts) for parts in zip(probes, accounts, strict=True)]
        maps: dict[int, Tensor] = {}
        with model.borrowed():
            for num in set(nums):  # those with as many steps learn together
                alike = [i for i, own in enumerate(nums) if own == num]
                learnt = self._learn(
                    model,
                    [probes[i] for i in alike],
                    [sufficient[i] for i in alike],
                    [accounts[i] for i in alike],
                    num,
                    on_step,
                )
                maps |= dict(zip(alike, learnt, strict=True))
            searches = [
                top_region(probe, maps[i], sufficient[i], accounts[i])
                for i, probe in enumerate(probes)
            ]
            found = run_searches(
                model, probes, searches, doing="checking", accounts=accounts, on_step=on_step
            )
        return [
            replace(
                result,
                stopped_by="max_passes" if num < self.num_iterations else result.stopped_by,
                saliency_map=result.order.where(bool(num) | ~grown.region, torch.nan),
            )
            for result, num, grown in zip(found, nums, sufficient, strict=True)
        ]

    def _num_steps(self, probe: Probe, account: Account) -> int:
        """The steps that the budget allows."""
        a_step = _PASSES_OF_A_STEP * len(probe.presentations)
        of_checking = _REGIONS_CHECKED * probe.num_views
        return account.affordable(self.num_iterations, a_step, kept=of_checking)

    def _learn(
        self,
        model: SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        accounts: Sequence[Account],
        num_steps: int,
        on_step: OnStep | None,
    ) -> list[Tensor]:
        """The learnt map (*spatial) float32 of each probe, at the image's own pixels."""
        spatial = tuple(probes[0].target.region.shape)
        num_ways = len(probes[0].presentations)
        scenes = [_Scene(model, probes, sufficient, way) for way in range(num_ways)]
        with torch.inference_mode(False), torch.enable_grad():
            mask = torch.nn.Parameter(self._initial_masks(probes, sufficient).to(model.device))
            optimizer = torch.optim.AdamW([mask], lr=self.learning_rate)
            for step in range(num_steps):
                if on_step:
                    on_step("shrinking", step, num_steps)

                def gradient(part: slice, scene: _Scene) -> Tensor:
                    leaf = mask[part].detach().requires_grad_()
                    logits = scene.logits(leaf, part)
                    of_masks = self._gradient(leaf, logits, scene, part)
                    for account in accounts[part]:
                        account.cost.forward_passes += 1
                        account.cost.backward_passes += int(logits.requires_grad)
                    return of_masks

                found = [
                    torch.cat(
                        model.in_batches(partial(gradient, scene=scene), len(probes), scene.spatial)
                    )
                    for scene in scenes
                ]
                mask.grad = torch.stack(found).sum(0)
                optimizer.step()
                with torch.no_grad():
                    mask.clamp_(0, 1)
        final = mask.detach()
        final = final * (final >= self.smallest_visibility)
        maps = resize(final[:, None], spatial)[:, 0].to(probes[0].target.region.device)
        return [m * found.region for m, found in zip(maps, sufficient, strict=True)]

    def _initial_masks(
        self, probes: Sequence[Probe], sufficient: Sequence[SufficientRegion]
    ) -> Tensor:
        spatial = probes[0].target.region.shape
        scale = min(1.0, self.grid_size / min(spatial))
        starts = [
            self.initial_visibility * found.region
            + (1 - self.initial_visibility) * probe.target.region
            for probe, found in zip(probes, sufficient, strict=True)
        ]
        masks = torch.stack(starts)[:, None].float()
        return resize(masks, [max(1, round(side * scale)) for side in spatial])[:, 0]

    def _gradient(self, masks: Tensor, logits: Tensor, scene: "_Scene", part: slice) -> Tensor:
        loss = self._loss(masks, logits, scene, part)
        if not loss.requires_grad:  # a network that ignores the image, and no l1
            return torch.zeros_like(masks)
        (gradient,) = torch.autograd.grad(loss, masks)
        if not bool(torch.isfinite(gradient).all()):
            raise ModelError(
                f"expected finite gradients, {scene.model.name} gave NaN or "
                "infinity. Use a preset that needs none (readable, quick, sufficient_region)."
            )
        return gradient

    def _loss(self, masks: Tensor, logits: Tensor, scene: "_Scene", part: slice) -> Tensor:
        target, considered = scene.targets[part], scene.considered[part]
        p = torch.cat(
            [
                scene.model.class_probability(logits[i : i + 1], probe.target.logit_index)
                for i, probe in enumerate(scene.probes[part])
            ]
        )
        foreground = soft_dice(p, target, considered)
        background = soft_dice(1 - p, ~target, considered)
        area_share = target.flatten(1).float().mean(1)
        losses = (
            self.foreground_weight * (1 - foreground)
            + self.background_weight * (1 - (foreground + background) / 2)
            + self.l1_weight * area_share * masks.flatten(1).mean(1)
        )
        if self.tv_weight:
            losses = losses + self.tv_weight * _total_variation(masks, self.tv_exponent)
        return losses.sum()


class _Scene:
    """The probes at the resolution at which the network sees them, in one presentation, stacked."""

    def __init__(
        self,
        model: SegmentationModel,
        probes: Sequence[Probe],
        sufficient: Sequence[SufficientRegion],
        way: int,
    ) -> None:
        own = tuple(probes[0].target.region.shape)
        seen = model.preprocessing.resized_shape(own)
        self.model, self.probes = model, probes
        self.spatial = seen if prod(seen) < prod(own) else own
        presentations = [probe.presentations[way] for probe in probes]
        self.images = self._stack([p.image for p in presentations])
        self.baseline_images = self._stack([p.baseline_image for p in presentations])
        self.made_of_shown = presentations[0].made_of_shown
        self.sampling = presentations[0].sampling
        self.limits = self._stack(
            [
                presentation.visibility(found.region)[None]
                for presentation, found in zip(presentations, sufficient, strict=True)
            ]
        )[:, 0]
        self.targets = self._stack_regions([t.target.region for t in probes])
        self.considered = self._stack_regions([probe.considered for probe in probes])

    def _stack(self, tensors: list[Tensor]) -> Tensor:
        return resize(torch.stack(tensors).to(self.model.device, torch.float32), self.spatial)

    def _stack_regions(self, regions: list[Tensor]) -> Tensor:
        share = self._stack([region[None] for region in regions])[:, 0]
        largest = share.flatten(1).amax(1).view(-1, *[1] * (share.ndim - 1))
        return share > (0.5 * largest)  # of a tiny region too something is left

    def logits(self, masks: Tensor, part: slice) -> Tensor:
        """Logits when the model sees the masks."""
        visibility = resize(masks[:, None], self.spatial) * self.limits[part, None]
        images, baseline_images = self.images[part], self.baseline_images[part]
        if self.made_of_shown is not None:
            baseline_images = self.made_of_shown(
                images, visibility[:, 0], baseline_images, self.sampling
            )
        return self.model(torch.lerp(baseline_images, images, visibility))


def _total_variation(masks: Tensor, exponent: float) -> Tensor:
    """Mean |difference of neighbours|^exponent along every axis, of masks (N, *spatial)."""
    return sum(
        masks.diff(dim=axis).abs().pow(exponent).flatten(1).mean(1) for axis in range(1, masks.ndim)
    )  # type: ignore[return-value]
