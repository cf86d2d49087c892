"""Removal: which blocks of a region can be left out, found with forward passes alone.

The region is divided into square blocks. Groups of blocks are removed first, then smaller and
smaller groups, then single blocks, as in delta debugging (Zeller and Hildebrandt,
doi:10.1109/32.988498). A block that the model does not miss stays removed. Run to its end, no
single block of the result can be removed: it is *1-minimal* at that block size. (Several blocks
together might still be removable.)
"""

from math import ceil

import torch
from torch import Tensor

from misure._util.records import Record
from misure.explanation.probe import Account, Probe, Query, Search
from misure.images.grid import Grid, lot_of

AT_ONCE = 16
"""Removals tried in one batch."""


class Minimality(Record, frozen=True, kw_only=True):
    """How far a region can still be reduced, block by block.

    Attributes:
        cell_px: side of a block.
        cells_left: blocks of the returned region.
        cells_tested: how many of them were removed by themselves and the rest shown.
        removable: for how many of those the target was still preserved. With as many tested as
            are left and none removable, the region is 1-minimal at this size.
        passes: forward passes spent on it; they are part of the explanation's cost.
    """

    cell_px: int
    cells_left: int
    cells_tested: int
    removable: int
    passes: int

    @property
    def is_one_minimal(self) -> bool:
        """Whether every block was tested and none could be removed."""
        return self.cells_tested == self.cells_left and self.removable == 0


Removed = tuple[Tensor, int, bool]
"""The region (*spatial) bool, its number of blocks, whether each was tested and is needed."""


def remove_blocks(
    probe: Probe,
    region: Tensor,
    importance: Tensor,
    cell_px: int,
    account: Account | None = None,
) -> Search[Removed]:
    """The part (*regions) of a region that is left when no block of it can be removed any more.

    Args:
        probe: the target that must be preserved.
        region: (*regions) bool, one that suffices.
        importance: (*regions) float: the least important blocks are removed first.
        cell_px: side of a block.
        account: whose limit is kept; when it is spent, blocks may be left that can go. None: there
            is no limit.
    """
    grid = Grid(region, cell_px, probe.sampling_of_regions)
    score = grid.sums(importance).flatten()
    kept = grid.inside.clone()
    lot = lot_of(len(score), score.device)  # equal ones go in no particular order
    least_first = lot[score[lot].argsort(stable=True)].tolist()
    order = [i for i in least_first if bool(kept.view(-1)[i])]
    size = ceil(len(order) / AT_ONCE)
    account = account or Account()
    while order:
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        removed = yield from _sweep(probe, grid, kept, groups, account)
        order = [i for i in order if i not in removed]
        if account.was_short:
            return grid.region(kept), len(order), False
        if size == 1 and not removed:
            break
        size = max(1, size // 2)
    return grid.region(kept), len(order), True


def _sweep(
    probe: Probe,
    grid: Grid,
    kept: Tensor,
    groups: list[list[int]],
    account: Account,
) -> Search[set[int]]:
    """Removes from `kept` the groups that are not needed; returns their cell numbers.

    A batch tries each group by itself. Those that are not needed one by one are then removed
    together; if that is too much, the first half of them, and so on.
    """
    gone: set[int] = set()
    waiting = list(groups)
    while waiting:
        num = account.affordable(min(AT_ONCE, len(waiting)), probe.num_views)
        batch, waiting = waiting[:num], waiting[num:]
        if not batch:
            break
        regions = [grid.region(_without(kept, group)) for group in batch]
        replies = yield Query(regions, content_controls=True)
        free = [g for g, reply in zip(batch, replies, strict=True) if probe.suffices(reply)]
        while free:
            together = [i for group in free for i in group]
            if len(free) == 1:  # just shown by itself
                holds = True
            elif account.affords(probe.num_views):
                region = grid.region(_without(kept, together))
                (reply,) = yield Query([region], content_controls=True)
                holds = probe.suffices(reply)
            else:
                break
            if holds:
                kept.copy_(_without(kept, together))
                gone.update(together)
                break
            free = free[: len(free) // 2]
    return gone


def _without(kept: Tensor, cells: list[int]) -> Tensor:
    rest = kept.clone()
    rest.view(-1)[cells] = False
    return rest


def measure_minimality(
    probe: Probe, region: Tensor, cell_px: int, num_tests: int, seed: int = 0
) -> Search[Minimality]:
    """How far a region can still be reduced, by removing each of some blocks by itself.

    Args:
        probe: the target that must be preserved.
        region: (*spatial) bool, one that suffices.
        cell_px: side of a block.
        num_tests: blocks to test, a random sample if the region has more.
        seed: of the sample.
    """
    grid = Grid(region, cell_px, probe.sampling)
    cells = grid.inside.flatten().nonzero().flatten().tolist()
    generator = torch.Generator().manual_seed(seed)
    sample = [cells[i] for i in torch.randperm(len(cells), generator=generator).tolist()]
    tested, removable = sample[:num_tests], 0
    for start in range(0, len(tested), AT_ONCE):
        batch = tested[start : start + AT_ONCE]
        regions = [grid.region(_without(grid.inside, [cell])) for cell in batch]
        replies = yield Query(regions, content_controls=True)
        removable += sum(probe.suffices(reply) for reply in replies)
    return Minimality(
        cell_px=cell_px,
        cells_left=len(cells),
        cells_tested=len(tested),
        removable=removable,
        passes=len(tested) * probe.num_views,
    )
