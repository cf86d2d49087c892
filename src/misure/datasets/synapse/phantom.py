"""Phantoms: made-up abdomens in the form of the raw Synapse files.

A body of fat, muscle and bones with thirteen organs at plausible places and Hounsfield units, no
two cases alike. They are for trying what runs on the real files, which need a registration; no
result on them says anything about patients. All files made from them say that they are phantoms.

Coordinates: u from the body's right (-1) to its left, v from front (-1) to back, both relative to
its outline; z from feet (-1) to head.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from misure.datasets.synapse.labels import BTCV_LABELS

_SCALE = np.array([0.85, 0.62, 0.61])  # of u, v, z, in halves of the field of view

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Organ:
    """A shape with a Hounsfield unit.

    Attributes:
        name: as in `BTCV_LABELS`.
        hu, hu_spread: mean over cases, and standard deviation among them.
        ellipsoids: (centre, radii) of parts, in u, v, z.
        tube: points of its middle line, in u, v, z.
        radius: of the tube, in halves of the field of view.
    """

    name: str
    hu: float
    hu_spread: float
    ellipsoids: tuple[tuple[Point, Point], ...] = ()
    tube: tuple[Point, ...] = ()
    radius: float = 0.0


ORGANS = (
    Organ(
        "inferior vena cava", 130, 12, tube=((-0.12, 0.24, -1), (-0.14, 0.18, 0.8)), radius=0.055
    ),
    Organ("aorta", 165, 18, tube=((0.05, 0.25, -1), (0.07, 0.25, 0.2), (0.1, 0.3, 1)), radius=0.06),
    Organ("right kidney", 170, 15, (((-0.4, 0.4, -0.15), (0.15, 0.22, 0.34)),)),
    Organ("left kidney", 170, 15, (((0.4, 0.4, -0.05), (0.15, 0.22, 0.34)),)),
    Organ("right adrenal gland", 75, 8, (((-0.22, 0.28, 0.24), (0.045, 0.08, 0.09)),)),
    Organ("left adrenal gland", 75, 8, (((0.24, 0.28, 0.3), (0.045, 0.08, 0.09)),)),
    Organ("spleen", 120, 8, (((0.62, 0.26, 0.42), (0.17, 0.38, 0.34)),)),
    Organ(
        "stomach",
        45,
        18,
        (((0.32, -0.25, 0.5), (0.24, 0.3, 0.3)), ((0.08, -0.4, 0.22), (0.26, 0.16, 0.13))),
    ),
    Organ(
        "liver",
        110,
        8,
        (((-0.42, -0.05, 0.4), (0.36, 0.56, 0.5)), ((-0.08, -0.4, 0.52), (0.34, 0.26, 0.26))),
    ),
    Organ(
        "portal and splenic vein",
        150,
        12,
        tube=((-0.3, -0.02, 0.36), (-0.08, 0.06, 0.16), (0.2, 0.12, 0.24), (0.48, 0.2, 0.36)),
        radius=0.026,
    ),
    Organ(
        "pancreas",
        95,
        8,
        tube=((-0.16, -0.04, 0.04), (0.0, -0.1, 0.14), (0.2, -0.02, 0.22), (0.42, 0.08, 0.3)),
        radius=0.05,
    ),
    Organ("gallbladder", 12, 5, (((-0.3, -0.42, 0.02), (0.1, 0.15, 0.18)),)),
    Organ("esophagus", 45, 6, tube=((0.06, 0.08, 0.6), (0.03, 0.12, 1)), radius=0.04),
)
"""In the order they are painted: later ones lie on earlier ones."""


def make_phantom(
    seed: int, case: int, size_px: int = 128, num_slices: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    """Hounsfield units (D, H, W) int16 of an abdomen, and its labels (D, H, W) uint8 of BTCV.

    Laid out feet to head, front up, right side on the left.

    Args:
        seed, case: decide everything random.
        size_px: H and W, 32 or more.
        num_slices: D, 8 or more.
    """
    rng = np.random.default_rng((seed, case))
    position = _coordinates(rng, num_slices, size_px)
    hu, inner = _body(rng, position)
    labels = np.zeros(hu.shape, np.uint8)
    for organ in ORGANS:
        moved = position - rng.normal(0, [0.02, 0.02, 0.03])[:, None, None, None]
        region = _region(organ, moved, rng.uniform(0.9, 1.12)) & inner
        hu[region] = organ.hu + rng.normal(0, organ.hu_spread)
        labels[region] = BTCV_LABELS.index(organ.name)
    blurred = gaussian_filter(hu, (0.4, 0.7, 0.7))  # voxels on an edge hold both
    texture = gaussian_filter(rng.normal(0, 1, hu.shape), 1.0) * 40
    noisy = blurred + texture + rng.normal(0, 8, hu.shape)
    return noisy.round().clip(-1024, 2000).astype(np.int16), labels


def _coordinates(rng: np.random.Generator, num_slices: int, size_px: int) -> np.ndarray:
    """(3, D, H, W): u, v, z of every voxel, bent a little so that no shape is exact."""
    z, y, x = np.meshgrid(
        *(np.linspace(-1, 1, num) for num in (num_slices, size_px, size_px)), indexing="ij"
    )
    x, y = x + rng.normal(0, 0.02), y + rng.normal(0, 0.02)
    position = np.stack([x / (_SCALE[0] * rng.uniform(0.92, 1.05)), y / (_SCALE[1]), z])
    position[1] /= rng.uniform(0.92, 1.1)
    position[2] = z + rng.normal(0, 0.05)
    bent = position.copy()
    for axis in range(3):
        for other in range(3):
            phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(2, 6)
            bent[axis] += 0.018 * np.sin(waves * position[other] + phase)
    return bent


def _body(rng: np.random.Generator, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hounsfield units (D, H, W) of all but the organs, and where organs can be (bool)."""
    u, v, z = position
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    hu: np.ndarray = np.full(u.shape, -1000.0)
    fat, inside = rng.uniform(0.86, 0.92), rng.uniform(0.78, 0.82)
    hu[radius <= 1] = rng.normal(-105, 5)
    hu[radius <= fat] = rng.normal(55, 5)
    ribs = (np.sin(7 * angle + 5 * z) > 0.55) & (z > 0) & (np.abs(radius - 0.83) < 0.025)
    hu[ribs] = 320
    inner = radius <= inside
    hu[inner] = rng.normal(-95, 5)
    lungs = inner & (z > 1.02 - 0.45 * radius**2) & (np.abs(u) > 0.12)
    hu[lungs] = -850
    hu[inner & _ellipsoid(position, [0.1, -0.25, 1.15], [0.38, 0.42, 0.32])] = 120  # heart
    for _ in range(45):  # bowel
        centre = rng.uniform([-0.65, -0.65, -1], [0.65, 0.2, 0.1])
        part = inner & _ellipsoid(position, centre, rng.uniform(0.08, 0.17, 3))
        hu[part] = rng.normal(30, 12)
        gas = _ellipsoid(position, centre - [0, 0.05, 0], [0.05, 0.05, 0.05])
        hu[part & gas & (rng.random() < 0.3)] = -900
    hu[_spine(hu, position, rng)] = 60
    return hu, inner & ~_ellipsoid(position, [0, 0.5, 0], [0.15, 0.2, 99])


def _spine(hu: np.ndarray, position: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paints muscles beside the spine and the spine; returns the canal (D, H, W) bool."""
    for side in (-1, 1):
        hu[_ellipsoid(position, [side * 0.24, 0.66, 0], [0.2, 0.16, 99])] = 58
        hu[_ellipsoid(position, [side * 0.2, 0.42, -0.7], [0.09, 0.13, 0.6])] = 60
    z = position[2]
    body = _ellipsoid(position, [0, 0.5, 0], [0.14, 0.18, 99])
    marrow = _ellipsoid(position, [0, 0.5, 0], [0.115, 0.145, 99])
    hu[body] = 420
    hu[marrow] = rng.normal(190, 20)
    hu[body & (np.sin(9 * z) > 0.9)] = 80  # discs
    hu[_ellipsoid(position, [0, 0.74, 0], [0.1, 0.1, 99])] = 350
    hu[_ellipsoid(position, [0, 0.84, 0], [0.03, 0.07, 99])] = 350
    return _ellipsoid(position, [0, 0.73, 0], [0.06, 0.06, 99])


def _region(organ: Organ, position: np.ndarray, size: float) -> np.ndarray:
    region: np.ndarray = np.zeros(position.shape[1:], bool)
    for centre, radii in organ.ellipsoids:
        region |= _ellipsoid(position, centre, np.multiply(radii, size))
    for start, end in zip(organ.tube, organ.tube[1:], strict=False):
        region |= _distance_to_line(position, start, end) <= organ.radius * size
    return region


def _ellipsoid(
    position: np.ndarray, centre: np.ndarray | Point | list[float], radii: np.ndarray | list[float]
) -> np.ndarray:
    apart = position - np.reshape(centre, (3, 1, 1, 1))
    inside: np.ndarray = ((apart / np.reshape(radii, (3, 1, 1, 1))) ** 2).sum(0) <= 1
    return inside


def _distance_to_line(position: np.ndarray, start: Point, end: Point) -> np.ndarray:
    """In halves of the field of view, to the line between two points."""
    scale = _SCALE.reshape(3, 1, 1, 1)
    first, last = np.array(start) * _SCALE, np.array(end) * _SCALE
    along, apart = last - first, position * scale - first.reshape(3, 1, 1, 1)
    part = np.tensordot(along, apart, 1) / (along @ along)
    nearest = apart - along.reshape(3, 1, 1, 1) * part.clip(0, 1)
    distance: np.ndarray = np.sqrt((nearest**2).sum(0))
    return distance
