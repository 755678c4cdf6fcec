"""Flat shapes with smooth edges, painted from signed distances.

A shape is an array with a distance for each pixel, in units of the drawing: negative inside the shape, 0 on its edge,
positive outside. `union` and `melt` join shapes, `inside` cuts one with another, and a `Canvas` paints them from back
to front.

Everything here is addition, multiplication, division and square roots, whose every bit is the same on every machine.
Sine, cosine and powers are not, so there are none: the same drawing gives the same pixels anywhere.
"""

import numpy as np
from numpy.typing import NDArray

Shape = NDArray[np.float64]
Color = tuple[float, float, float]
Point = tuple[float, float]

EDGE = 4  # an edge has this many steps between outside and inside, so that an image has few colors and compresses well


class Canvas:
    """A square white picture, and the shapes that can be painted on it.

    Args:
        size: side of the picture, in pixels.
        scale: pixels for each unit of the drawing.
        left, top: the position of the picture's upper left corner in the drawing. y grows downward.

    Attributes:
        pixels: the colors, in 0 to 255, (size, size, 3).
        painted: the pixels that a shape has touched, (size, size), bool.
    """

    def __init__(self, size: int, scale: float = 1.0, left: float = 0.0, top: float = 0.0) -> None:
        self.scale = scale
        centers = (np.arange(size) + 0.5) / scale
        self.x = np.broadcast_to(centers + left, (size, size))
        self.y = np.broadcast_to((centers + top)[:, None], (size, size))
        self.pixels = np.full((size, size, 3), 255.0)
        self.painted = np.zeros((size, size), dtype=bool)

    def paint(self, shape: Shape, color: Color) -> None:
        """Paint a shape over what is there."""
        cover = np.floor(np.clip(0.5 - shape * self.scale, 0, 1) * EDGE + 0.5) / EDGE
        self.pixels += cover[..., None] * (np.array(color) - self.pixels)
        self.painted |= cover > 0

    def ellipse(self, x: float, y: float, width: float, height: float, slope: float = 0.0) -> Shape:
        """Return an ellipse with these half axes. The first axis falls by `slope` for each unit to the right."""
        cosine = 1 / np.sqrt(1 + slope * slope)
        sine = slope * cosine
        right, down = self.x - x, self.y - y
        u, v = (cosine * right + sine * down) / width, (cosine * down - sine * right) / height
        # The distance to first order: the value of the ellipse's equation over the length of its gradient.
        radius = np.sqrt(u * u + v * v)
        u, v = u / width, v / height
        return radius * (radius - 1) / (np.sqrt(u * u + v * v) + 1e-9)

    def limb(self, points: list[Point], radii: list[float]) -> Shape:
        """Return a thick line through points, with a radius at each of them and round ends."""
        shape = np.full_like(self.x, np.inf)
        for (x0, y0), (x1, y1), r0, r1 in zip(points, points[1:], radii, radii[1:], strict=False):
            along_x, along_y = x1 - x0, y1 - y0
            right, down = self.x - x0, self.y - y0
            share = (right * along_x + down * along_y) / (along_x * along_x + along_y * along_y + 1e-9)
            share = np.clip(share, 0, 1)
            u, v = right - share * along_x, down - share * along_y
            shape = np.minimum(shape, np.sqrt(u * u + v * v) - (r0 + share * (r1 - r0)))
        return shape

    def polygon(self, points: list[Point], rounding: float = 0.0) -> Shape:
        """Return a polygon, grown by `rounding` with round corners."""
        squared, within = np.full_like(self.x, np.inf), np.zeros(self.x.shape, dtype=bool)
        for (x0, y0), (x1, y1) in zip(points, [points[-1], *points], strict=False):
            along_x, along_y = x1 - x0, y1 - y0
            right, down = self.x - x0, self.y - y0
            share = (right * along_x + down * along_y) / (along_x * along_x + along_y * along_y + 1e-9)
            share = np.clip(share, 0, 1)
            u, v = right - share * along_x, down - share * along_y
            squared = np.minimum(squared, u * u + v * v)
            # A ray to the right crosses this edge, and so changes sides.
            below, above = self.y >= y0, self.y < y1
            left_of = along_x * down > along_y * right
            within ^= (below & above & left_of) | (~below & ~above & ~left_of)
        distance = np.sqrt(squared)
        return np.where(within, -distance, distance) - rounding


def union(*shapes: Shape) -> Shape:
    """Return all points that are in any of the shapes."""
    joined = shapes[0]
    for shape in shapes[1:]:
        joined = np.minimum(joined, shape)
    return joined


def melt(*shapes: Shape, by: float = 3.0) -> Shape:
    """Join shapes like drops of wax: seams within a distance of `by` are filled."""
    joined = shapes[0]
    for shape in shapes[1:]:
        near = np.maximum(by - np.abs(joined - shape), 0) / by
        joined = np.minimum(joined, shape) - near * near * by / 4
    return joined


def inside(shape: Shape, border: Shape, margin: float = 0.0) -> Shape:
    """Return the part of a shape that lies inside `border`, at least `margin` from its edge."""
    return np.maximum(shape, border + margin)


def curve(start: Point, bend: Point, end: Point, n: int = 9) -> list[Point]:
    """Return n points of a quadratic Bezier curve, which leaves toward `bend` and arrives from there."""
    points = []
    for i in range(n):
        t = i / (n - 1)
        a, b, c = (1 - t) * (1 - t), 2 * t * (1 - t), t * t
        points.append((a * start[0] + b * bend[0] + c * end[0], a * start[1] + b * bend[1] + c * end[1]))
    return points


def taper(first: float, last: float, n: int = 9) -> list[float]:
    """Return n radii that go evenly from the first to the last."""
    return [first + (last - first) * i / (n - 1) for i in range(n)]
