"""Plain-numpy geometry of the demo archive: placing atoms, frames, rotations, exact distances.

No BLAS call decides anything: products are written out as sums, and whatever is compared afterwards
(contacts, clashes) is computed from coordinates rounded to 0.001 Angstrom, in integers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def unit(vectors: Floats) -> Floats:
    """Vectors [..., 3] scaled to length 1."""
    return vectors / np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))


def cross(a: Floats, b: Floats) -> Floats:
    """Vector products [..., 3]; several times faster than numpy.cross on few vectors."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def place_atom(a: Floats, b: Floats, c: Floats, bond_angstrom: float, angle_deg: float, torsion_deg: Floats) -> Floats:
    """The atom d bound to c: distance c-d, angle b-c-d, torsion a-b-c-d; positions [n, 3], torsions [n]."""
    angle, torsion = math.radians(angle_deg), np.radians(torsion_deg)[..., None]
    along = unit(c - b)
    normal = unit(cross(b - a, along))
    across = cross(normal, along)
    sideways = math.sin(angle) * (np.cos(torsion) * across + np.sin(torsion) * normal)
    return c + bond_angstrom * (sideways - math.cos(angle) * along)


def frame(origin: Floats, first: Floats, second: Floats) -> Floats:
    """Axes as rows [..., 3, 3]: x towards `first`, y in the plane of `second`, z normal to both."""
    x = unit(first - origin)
    z = unit(cross(x, second - origin))
    return np.stack([x, cross(z, x), z], axis=-2)


def to_local(points: Floats, origin: Floats, axes: Floats) -> Floats:
    """Points [n, 3] in the coordinates of a frame [3, 3] at `origin` [3]."""
    shifted = points - origin
    return (shifted[:, None, :] * axes[None, :, :]).sum(axis=-1)


def to_global(points: Floats, origin: Floats, axes: Floats) -> Floats:
    """The reverse of `to_local`."""
    return (points[:, :, None] * axes[None, :, :]).sum(axis=1) + origin


def random_rotation(rng: np.random.Generator) -> Floats:
    """A uniformly distributed rotation [3, 3] (Shoemake's unit quaternion)."""
    u, v, w = rng.random(3)
    a, b = math.sqrt(1 - u), math.sqrt(u)
    x, y = a * math.sin(2 * math.pi * v), a * math.cos(2 * math.pi * v)
    z, s = b * math.sin(2 * math.pi * w), b * math.cos(2 * math.pi * w)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * s), 2 * (x * z + y * s)],
            [2 * (x * y + z * s), 1 - 2 * (x * x + z * z), 2 * (y * z - x * s)],
            [2 * (x * z - y * s), 2 * (y * z + x * s), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotate(points: Floats, rotation: Floats) -> Floats:
    """Points [n, 3] turned by a rotation [3, 3]."""
    return (points[:, None, :] * rotation[None, :, :]).sum(axis=-1)


def about_axis(points: Floats, origin: Floats, axis: Floats, angle_deg: float) -> Floats:
    """Points [n, 3] turned by an angle about the line through `origin` along the unit vector `axis` (Rodrigues)."""
    angle = math.radians(angle_deg)
    shifted = points - origin
    along = (shifted * axis).sum(axis=-1, keepdims=True) * axis
    return origin + along + (shifted - along) * math.cos(angle) + cross(axis, shifted) * math.sin(angle)


def thousandths(points: Floats) -> Integers:
    """Coordinates in 0.001 Angstrom, as they are written to a file."""
    return np.rint(points * 1000).astype(np.int64)


def squared_distances(one: Integers, other: Integers) -> Integers:
    """All squared distances [n, m] in (0.001 Angstrom)^2, exact."""
    total = np.zeros((len(one), len(other)), dtype=np.int64)
    for axis in range(3):
        difference = one[:, None, axis] - other[None, :, axis]
        total += difference * difference
    return total


def squared_distances_float(one: Floats, other: Floats) -> Floats:
    """All squared distances [n, m] in Angstrom^2, for choosing between candidates."""
    total = np.zeros((len(one), len(other)))
    for axis in range(3):
        difference = one[:, None, axis] - other[None, :, axis]
        total += difference * difference
    return total
