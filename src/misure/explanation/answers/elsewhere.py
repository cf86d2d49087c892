"""Elsewhere: other places of an image where the form of a piece can be hidden."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from misure.explanation.answers.pieces import Piece

_DRAWS = 16  # places that controls are chosen from, by their distance to the target
_LARGE_PX = 1_000_000  # in larger images places are drawn and looked at before all are counted
_LOOKED_AT = 400


def elsewhere(
    piece: Piece, target: np.ndarray, distance: np.ndarray, number: int, seed: Sequence[int]
) -> list[Piece]:
    """The form of a piece at places where it touches neither the target nor where it was.

    A few places are drawn; of these, the ones whose distance to the target is most like its own.

    Args:
        piece: the form, and where it was.
        target: (*spatial) bool, stays shown.
        distance: (*spatial), of each pixel to the target.
        number: of places; fewer if it does not fit at as many.
        seed: of the draw.
    """
    if not number:
        return []
    wanted, generator = max(_DRAWS, number), np.random.default_rng(seed)
    forbidden = target.copy()
    forbidden[piece.box] |= piece.mask
    places = _looked_for(piece, forbidden, wanted, generator) if target.size > _LARGE_PX else []
    if len(places) < wanted:
        every = piece.places_elsewhere(forbidden)
        places = [tuple(every[i]) for i in generator.permutation(len(every))[:wanted]]
    moved = [piece.moved(place) for place in places]
    own = piece.least(distance)
    return sorted(moved, key=lambda other: abs(other.least(distance) - own))[:number]


def _looked_for(
    piece: Piece, forbidden: np.ndarray, wanted: int, generator: np.random.Generator
) -> list[tuple[int, ...]]:
    """Different places, drawn until enough of them touch nothing forbidden, or tries run out."""
    widened = ndimage.binary_dilation(forbidden, np.ones((3,) * forbidden.ndim, bool))
    ends = np.array(forbidden.shape) - piece.mask.shape + 1
    found: dict[tuple[int, ...], None] = {}
    for place in generator.integers(ends, size=(_LOOKED_AT, len(ends))).tolist():
        if len(found) == wanted:
            break
        if not widened[piece.moved(place).box][piece.mask].any():
            found[tuple(place)] = None
    return list(found)
