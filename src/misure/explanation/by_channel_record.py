"""What is written of regions by channel, a part of `explanation.json` (see `by_channel`)."""

from misure._util.records import Amount, Count, Fraction, Record


class RegionOfChannel(Record, frozen=True, kw_only=True):
    """What is shown of one channel.

    Attributes:
        number, name: of the channel.
        growth_px: how far its sufficient region reaches beyond the target, in pixels (smallest
            sides of a voxel); None: nothing of the channel is shown.
        sufficient_area_fraction: of its sufficient region, in [0, 1] of one channel.
        area_fraction: of its minimally sufficient region, in [0, 1] of one channel.
    """

    number: Count
    name: str
    growth_px: Amount | None
    sufficient_area_fraction: Fraction
    area_fraction: Fraction


class ByChannelRecord(Record, frozen=True, kw_only=True):
    """A sufficient and a minimally sufficient region with other places in each channel.

    Attributes:
        channels: what is shown of each, in their order.
        sufficient_area_fraction, area_fraction: of the sufficient and of the minimally sufficient
            region, in [0, 1] of all pixels of all channels.
        sufficient_dice, dice: with the target when the model sees each of them alone; the least of
            all baseline images.
        sufficient_dice_by_baseline_image, dice_by_baseline_image: the same for each baseline image.
        cell_px: side of the blocks of single channels whose removal was tried, in pixels (smallest
            sides of a voxel).
        num_blocks: blocks of single channels that the minimally sufficient region consists of.
        is_one_minimal: whether each of them was left out by itself and is missed.
        stopped_by: `end`, or `max_passes`: a longer search might find less. At the end of one
            `is_one_minimal` is False if what was left did not hold, shown alone or under small
            changes.
        passes: pass equivalents spent on both; they are part of the explanation's cost.
    """

    channels: list[RegionOfChannel]
    sufficient_area_fraction: Fraction
    area_fraction: Fraction
    sufficient_dice: Fraction
    dice: Fraction
    sufficient_dice_by_baseline_image: dict[str, Fraction]
    dice_by_baseline_image: dict[str, Fraction]
    cell_px: Count
    num_blocks: Count
    is_one_minimal: bool
    stopped_by: str
    passes: Count
