"""The budget of one target: which part of `max_passes` each stage of an explanation may spend.

Every pass that is made for the target counts. What must follow is kept back before a stage begins,
so a stage can only spend what no other stage needs. Without `max_passes` only one thing is limited:
the search of stage 2, which then keeps within its usual number of passes.
"""

from misure.explanation.evidence import NUM_COMPARED
from misure.explanation.growth import LEAST_SHOWN
from misure.explanation.nested import passes_of_family
from misure.explanation.presets import Preset
from misure.explanation.probe import Account, OnRegion
from misure.explanation.shown import Shown
from misure.models.cost import Cost

_SHARE_OF_REMOVING = 0.25  # of what is not kept back, for `one_minimal`


class TargetBudget:
    """What may be spent on one target, and what has been.

    Args:
        preset: says what is done, and how much it may take.
        on_region: called with what both stages find, as they find it.

    Attributes:
        account: of the growth, the search, the nested regions and the evidence, one after another.
    """

    def __init__(self, preset: Preset, on_region: OnRegion | None = None) -> None:
        self._preset, self._total = preset, preset.max_passes
        if self._total is not None:
            self._total -= preset.passes_by_channel
        self._comparing, self._removing, self._apart = Account(), Account(), Account()
        removing = preset.passes_of_minimality
        if preset.one_minimal and preset.max_passes is not None:
            spare = preset.max_passes - preset.least_passes
            spare -= spare // 2 * preset.are_apart
            removing += max(0, int(_SHARE_OF_REMOVING * spare))
        self.account = Account(reserved_passes=self._after_growth() + self._least_comparing())
        if self._total is not None:
            self.account.limit = self._total - removing
        self.account.on_region, self.account.finding = on_region, "sufficient_region"

    @property
    def cost(self) -> Cost:
        """All passes that were made so far; without seconds."""
        accounts = (self.account, self._comparing, self._removing, self._apart)
        costs = [account.cost for account in accounts]
        return Cost(
            sum(cost.forward_passes for cost in costs), sum(cost.backward_passes for cost in costs)
        )

    @property
    def shown(self) -> Shown:
        """All that was shown as the preset says, so that its outcomes can be compared."""
        return self.account.shown.with_those_of(self._removing.shown)

    def begin_comparing(self) -> Account:
        """The account of growing the target in other presentations, which comes after the growth.

        It may take half of what is left.
        """
        if self.account.limit is not None:
            self.account.reserved_passes = self._after_growth()
            left = self.account.passes_left(self.account.limit)
            self._comparing.limit = max(self._least_comparing(), left // 2)
        return self._comparing

    def begin_reduction(self) -> None:
        """Lets the account be spent on the search of stage 2."""
        self.account.reserved_passes = self._preset.reserved_passes
        self.account.was_short = False
        self.account.finding = "minimally_sufficient_region"
        if self.account.limit is not None:
            self.account.limit -= self._comparing.cost.pass_equivalents

    def begin_removing(self) -> Account:
        """The account of testing the minimality; it may take what the search has left over."""
        preset, account = self._preset, self.account
        if preset.one_minimal:  # else blocks are only tried, and stay
            self._removing.on_region, self._removing.finding = account.on_region, account.finding
            self._removing.least_px = account.least_px
        if self._total is not None:
            nested = passes_of_family(preset.thresholds) * preset.num_presentations
            following = nested + preset.passes_of_evidence
            self._removing.limit = self._total - self.cost.pass_equivalents - following
        # what is left is shown once more
        self._removing.reserved_passes = preset.passes_of_accepting
        return self._removing

    def begin_nesting(self) -> Account:
        """The account, to be spent on the nested regions, of which nobody is told."""
        self.account.on_region = None
        self.account.reserved_passes = self._preset.passes_of_evidence
        if self._total is not None:
            apart = self._comparing.cost.pass_equivalents + self._removing.cost.pass_equivalents
            self.account.limit = self._total - apart
        return self.account

    def begin_by_channel(self) -> Account:
        """The account of regions by channel; with a limit it may take all that is left over."""
        self._apart.limit = self._preset.passes_by_channel
        if self._preset.max_passes is not None:
            following = self._preset.passes_of_evidence
            self._apart.limit = self._preset.max_passes - self.cost.pass_equivalents - following
        return self._apart

    def _after_growth(self) -> int:
        """Pass equivalents that the search needs at least, and what follows it."""
        preset = self._preset
        return preset.reduction.least_shown * preset.num_views + preset.reserved_passes

    def _least_comparing(self) -> int:
        return LEAST_SHOWN * NUM_COMPARED if self._preset.compare_presentations else 0
