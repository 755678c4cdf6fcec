"""Cartoon dinosaurs, each drawn from six words and a number.

    pixels = draw(Dinosaur("stegosaurus", "green", "striped", "happy", "left", "hat"), seed=7)

The words say what to draw. The seed varies everything else: proportions, pose, place and shades.
Lengths are in units of a drawing about 64 wide, in which x grows to the right, y grows downward, and everyone faces
right.
"""

import random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .shapes import Canvas, Color, Point, Shape, curve, inside, melt, taper, union

COLORS: dict[str, Color] = {
    "red": (226, 84, 76),
    "orange": (245, 148, 62),
    "yellow": (248, 206, 70),
    "green": (112, 186, 90),
    "teal": (52, 176, 168),
    "blue": (82, 144, 226),
    "purple": (150, 106, 208),
    "pink": (244, 140, 176),
}
# What goes with each color: that of plates, frills and crests, and that of hats, scarves and bows. They follow from the
# word for the color, because a network that can't know a color draws a mixture of all that it has seen.
GOES_WITH = {
    "red": ("yellow", "blue"),
    "orange": ("teal", "purple"),
    "yellow": ("red", "blue"),
    "green": ("yellow", "pink"),
    "teal": ("orange", "red"),
    "blue": ("yellow", "red"),
    "purple": ("pink", "yellow"),
    "pink": ("purple", "teal"),
}
PATTERNS = ("plain", "spotted", "striped")
MOODS = ("awake", "happy", "sleepy")
FACINGS = ("left", "right")
ACCESSORIES = ("hat", "scarf", "bow")

GROUND = 58.0  # where feet stand
MARGIN = 2.0  # white around the drawing
INK: Color = (38, 34, 52)
DUSK: Color = (46, 30, 84)  # what shadows are tinted with
CREAM: Color = (255, 250, 232)
HORN: Color = (206, 164, 112)
WHITE: Color = (255, 255, 255)


class Dinosaur(NamedTuple):
    """The words of one dinosaur. `accessory` may be empty."""

    kind: str
    color: str
    pattern: str
    mood: str
    facing: str
    accessory: str


def draw(dinosaur: Dinosaur, seed: int, size: int = 64) -> NDArray[np.uint8]:
    """Draw a dinosaur on white, as large as fits or a little smaller.

    Args:
        dinosaur: what to draw.
        seed: determines everything that the words leave open.
        size: side of the picture, in pixels.

    Returns:
        (size, size, 3). The same for the same arguments, on every machine.
    """
    # Drawn twice: once small, on a canvas with space all around, to see how far the drawing reaches; then in place.
    rough = Canvas(64, 0.5, left=-32, top=-32)
    Artist(rough, dinosaur, seed).draw()
    columns, rows = np.flatnonzero(rough.painted.any(0)), np.flatnonzero(rough.painted.any(1))
    left, right, top, bottom = (
        2.0 * int(i) - 32 for i in (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1)
    )  # fmt: skip
    width, height, space = right - left, bottom - top, 64 - 2 * MARGIN

    chance = random.Random(f"place {seed}").random
    scale = min(space / width, space / height, 1.12) * (0.9 + 0.1 * chance())
    across, down = space - width * scale, space - height * scale  # how far the drawing can still move
    x = MARGIN + across * (0.25 + 0.5 * chance())
    flies = dinosaur.kind == "pteranodon"
    y = MARGIN + (down * (0.3 + 0.4 * chance()) if flies else down - min(down, 3.0) * chance())

    canvas = Canvas(size, scale * size / 64, left - x / scale, top - y / scale)
    Artist(canvas, dinosaur, seed).draw()
    pixels = (canvas.pixels + 0.5).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, ::-1]) if dinosaur.facing == "left" else pixels


def mix(first: Color, second: Color, share: float) -> Color:
    """Return the color that has `share` of the second one in it."""
    a, b = first, second
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


class Artist:
    """Paints one dinosaur on a canvas.

    Attributes:
        skin, dark, dim, light: the color of the body, and its darker and lighter tones.
        accent, accent_light: another color, for plates, frills and crests.
        extra: a third color, for the accessory.
    """

    def __init__(self, canvas: Canvas, dinosaur: Dinosaur, seed: int) -> None:
        self.canvas, self.dinosaur = canvas, dinosaur
        self.random = random.Random(f"artist {seed}").random  # floats only: their stream is the same in every Python
        red, green, blue = COLORS[dinosaur.color]
        bright, warm = self.jitter(6), self.jitter(3)
        self.skin = (min(255.0, red + bright + warm), min(255.0, green + bright), min(255.0, blue + bright - warm))
        self.dark, self.dim = mix(self.skin, DUSK, 0.34), mix(self.skin, DUSK, 0.22)
        self.light = mix(self.skin, CREAM, 0.62)
        accent, extra = (COLORS[name] for name in GOES_WITH[dinosaur.color])
        self.accent = mix(accent, WHITE, 0.08)
        self.accent_light = mix(self.accent, WHITE, 0.4)
        self.extra = mix(extra, DUSK, 0.12)

    def draw(self) -> None:
        """Paint the dinosaur."""
        KINDS[self.dinosaur.kind](self)

    def jitter(self, by: float) -> float:
        """Return a random number between -by and by."""
        return (self.random() * 2 - 1) * by

    # ---- parts that several kinds share ------------------------------------------------------------------------------

    def leg(self, x: float, hip: float, radius: float, *, lean: float = 0.0, far: bool = False) -> None:
        """Paint a leg from the hip to a flat foot. A far leg is dark, stands a little higher, and shows no toes."""
        canvas, ground = self.canvas, GROUND - 1.2 * far
        shaft = canvas.limb([(x, hip), (x + lean, ground - radius)], [radius * 1.15, radius])
        foot = canvas.ellipse(x + lean + radius * 0.25, ground - radius * 0.6, radius * 1.3, radius * 0.95)
        shape = np.maximum(melt(shaft, foot, by=2), canvas.y - ground)
        canvas.paint(shape, self.dark if far else self.skin)
        for toe in () if far else (-0.3, 0.85):
            toe_shape = canvas.ellipse(x + lean + toe * radius, ground - radius * 0.4, radius * 0.46, radius * 0.46)
            canvas.paint(toe_shape, self.light)

    def belly(self, torso: Shape, x: float, y: float, width: float, height: float, slope: float = 0.0) -> None:
        """Paint the light part of a torso."""
        self.canvas.paint(inside(self.canvas.ellipse(x, y, width, height, slope), torso, 0.3), self.light)

    def pattern(self, body: Shape, spots: list[tuple[Point, float]], stripes: list[tuple[Point, Point, float]]) -> None:
        """Paint spots, stripes or nothing on a body.

        Args:
            body: what the pattern stays within.
            spots: the center and the radius of each spot.
            stripes: the wide end of each stripe, its narrow end, and its radius.
        """
        canvas = self.canvas
        if self.dinosaur.pattern == "spotted":
            shapes = [canvas.ellipse(x + self.jitter(0.3), y + self.jitter(0.3), r, r) for (x, y), r in spots]
        elif self.dinosaur.pattern == "striped":
            shapes = [canvas.limb([wide, narrow], [r, 0.6 * r]) for wide, narrow, r in stripes]
        else:
            return
        canvas.paint(inside(union(*shapes), body, 0.2), self.dark)

    def eye(self, x: float, y: float, radius: float) -> None:
        """Paint the eye: a dark disk with a gleam, or a lid. Nothing in it is left to chance: it has few pixels."""
        canvas = self.canvas
        if self.dinosaur.mood == "sleepy":
            lid = curve((x - radius * 1.2, y - 0.3), (x, y + 1.3 * radius), (x + radius * 1.2, y - 0.3), 7)
            canvas.paint(canvas.limb(lid, [radius * 0.4] * 7), INK)
            return
        canvas.paint(canvas.ellipse(x, y, radius, radius * 1.1), INK)
        canvas.paint(canvas.ellipse(x + radius * 0.32, y - radius * 0.4, radius * 0.38, radius * 0.38), WHITE)

    def smile(self, start: Point, end: Point, drop: float = 1.9, width: float = 0.62) -> None:
        """Paint a mouth from its corner to the tip of the snout, open if the dinosaur is happy."""
        if self.dinosaur.mood == "happy":
            drop, width = drop + 0.8, width + 0.6
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + drop)
        self.canvas.paint(self.canvas.limb(curve(start, middle, end, 7), [width] * 7), mix(self.dark, INK, 0.6))

    def cheek(self, x: float, y: float, radius: float = 1.8) -> None:
        """Paint the rosy cheek of a happy dinosaur."""
        if self.dinosaur.mood == "happy":
            rosy = mix(self.skin, (255, 90, 120), 0.55)
            self.canvas.paint(self.canvas.ellipse(x - 1.5, y + 0.8, radius * 1.25, radius), rosy)

    def accessory(self, top: Point, size: float, collar: tuple[Point, Point], thick: float) -> None:
        """Paint the hat or bow on top of the head, or the scarf.

        Args:
            top: where a hat sits.
            size: of a hat or bow; 1 is usual.
            collar: the two ends of a scarf, across the neck.
            thick: its radius.
        """
        if self.dinosaur.accessory == "hat":
            self._hat(*top, size)
        elif self.dinosaur.accessory == "bow":
            self._bow(top[0] - 2 * size, top[1] + 0.6, size)
        elif self.dinosaur.accessory == "scarf":
            self._scarf(*collar, thick)

    def _hat(self, x: float, y: float, size: float) -> None:
        canvas, size = self.canvas, 1.15 * size
        tip = (x - 1.2, y - 8.8 * size)
        canvas.paint(canvas.polygon([(x - 6 * size, y + 1.4), tip, (x + 5.4 * size, y + 0.8)], 1.0), self.extra)
        canvas.paint(canvas.ellipse(*tip, 2.4 * size, 2.4 * size), mix(self.extra, INK, 0.3))

    def _bow(self, x: float, y: float, size: float) -> None:
        canvas, size = self.canvas, 1.2 * size
        for side, rise in ((-5.2, 0.0), (5.2, -0.4)):
            ends = [(x + side * size, y + (rise - 3.9) * size), (x + side * size, y + (rise + 3.3) * size)]
            canvas.paint(canvas.polygon([(x, y), *ends], 0.6), self.extra)
        canvas.paint(canvas.ellipse(x, y - 0.4, 1.7 * size, 1.9 * size), mix(self.extra, INK, 0.35))

    def _scarf(self, start: Point, end: Point, thick: float) -> None:
        (x0, y0), (x1, y1) = start, end
        thick *= 1.1
        hanging = [(x0 * 0.35 + x1 * 0.65, y0 * 0.35 + y1 * 0.65), (x0 * 0.45 + x1 * 0.55 - 1.5, max(y0, y1) + 8.5)]
        around = [start, ((x0 + x1) / 2 + 0.5, (y0 + y1) / 2 + 1.2), end]
        self.canvas.paint(self.canvas.limb(hanging, [thick, thick * 1.15]), mix(self.extra, INK, 0.2))
        self.canvas.paint(self.canvas.limb(around, [thick, thick * 1.1, thick]), self.extra)

    def snout(self, x: float, y: float, radius: float, reach: float, drop: float, *, wide: float, high: float) -> Shape:
        """Return a round head with a snout in front.

        Args:
            x, y, radius: of the head.
            reach, drop: from the middle of the head to the middle of the snout, in radii.
            wide, high: half axes of the snout, in radii.
        """
        skull = self.canvas.ellipse(x, y, radius, radius * 0.86)
        nose = self.canvas.ellipse(x + radius * reach, y + radius * drop, radius * wide, radius * high)
        return melt(skull, nose)

    # ---- the kinds ---------------------------------------------------------------------------------------------------

    def brontosaurus(self) -> None:
        """Four legs, a long neck and a long tail."""
        canvas, jitter = self.canvas, self.jitter
        x, y, width, height = 28.0, 40 + jitter(1), 15 + jitter(1.5), 10.5 + jitter(1)
        hx, hy, head = 51 + jitter(2), 13 + jitter(2.5), 8.6 + jitter(0.5)
        tail = curve((x - 9, y + 1), (x - 20, y + 12), (2 + jitter(2), y - 4 + jitter(6)))
        neck = curve((x + 8, y - 1), (x + 20, y - 1 + jitter(2)), (hx - 3.5, hy + 2))
        for hip in (x - 6.5, x + 10.5):
            self.leg(hip, y + 4, 4.2, far=True)
        torso = canvas.ellipse(x, y, width, height)
        trunk = melt(torso, canvas.limb(tail, taper(7.5, 1.2)), canvas.limb(neck, taper(7.5, 4.6)), by=5)
        body = melt(trunk, self.snout(hx, hy, head, 0.62, 0.26, wide=0.78, high=0.6))
        canvas.paint(body, self.skin)
        self.belly(torso, x + 1, y + height * 0.86, width * 0.82, height * 0.62)
        spots = [((x - 10, y - 3), 3.0), ((x - 2, y - 4.5), 3.4), ((x + 6, y - 3), 3.0), ((x + 14, y - 9), 2.6)]
        self.pattern(body, spots, [((x + d, y - 13), (x + d * 0.9 - 0.5, y + 0.5), 2.1) for d in (-14, -7, 0, 7)])
        for hip in (x - 10, x + 6):
            self.leg(hip, y + 5, 4.5)
        self.cheek(hx + 1.5, hy + head * 0.42)
        self.smile((hx + head * 0.45, hy + head * 0.5), (hx + head * 1.2, hy + head * 0.3))
        self.eye(hx + 2.2, hy - head * 0.08, 3.1)
        self.accessory((hx - 2, hy - head * 0.84), 1.05, ((hx - 8.5, hy + 13), (hx + 2.2, hy + 13.8)), 2.5)

    def stegosaurus(self) -> None:
        """Four legs, a high back with plates, and spikes on the tail."""
        canvas, jitter = self.canvas, self.jitter
        x, y, width, height = 29.0, 40 + jitter(1), 16 + jitter(1.2), 12.5 + jitter(1)
        hx, hy, head = 50.5 + jitter(1), 40 + jitter(2.5), 9.4 + jitter(0.5)
        tail = curve((x - 9, y), (x - 18, y + 7), (4.5 + jitter(1.5), y - 5 + jitter(4)))
        tip_x, tip_y = tail[-1]
        for foot, rise in ((-2.5, -7.0), (1.8, -7.8)):
            spike = [(tip_x + foot + 1, tip_y + 1), (tip_x + foot - 1.5, tip_y + rise), (tip_x + foot + 4, tip_y - 0.2)]
            canvas.paint(canvas.polygon(spike, 0.5), self.accent)
        for hip in (x - 6, x + 11):
            self.leg(hip, y + 4, 4.2, far=True)
        for place, size in zip((-0.92, -0.46, 0.0, 0.46, 0.92), (5.4, 8.6, 10.8, 9.6, 6.6), strict=True):
            foot_y = y - height * float(np.sqrt(1 - place * place * 0.72)) + 1.5
            self._plate(x - 1 + place * width, foot_y, size * (1 + jitter(0.08)), lean=place * 2.2)
        torso = canvas.ellipse(x, y, width, height)
        trunk = melt(torso, canvas.limb(tail, taper(8, 1.3)), canvas.limb([(x + 9, y), (hx - 4, hy)], [8, 6]), by=5)
        body = melt(trunk, self.snout(hx, hy, head, 0.65, 0.3, wide=0.74, high=0.58))
        canvas.paint(body, self.skin)
        self.belly(torso, x + 1, y + height * 0.86, width * 0.82, height * 0.6)
        spots = [((x - 11, y - 1.5), 2.8), ((x - 4, y - 4.5), 3.2), ((x + 4, y - 4), 3.2), ((x + 11.5, y - 1), 2.8)]
        self.pattern(body, spots, [((x + d, y - 14), (x + d * 0.9, y + 0.5), 2.1) for d in (-14, -7, 0, 7, 14)])
        for hip in (x - 10, x + 7):
            self.leg(hip, y + 5, 4.4)
        self.cheek(hx + 1.5, hy + head * 0.46)
        self.smile((hx + head * 0.42, hy + head * 0.5), (hx + head * 1.2, hy + head * 0.34))
        self.eye(hx + 2.2, hy - head * 0.06, 3.2)
        self.accessory((hx - 1, hy - head * 0.84), 1.05, ((hx - 9.5, hy - 6.5), (hx - 7.5, hy + 7.5)), 2.5)

    def _plate(self, x: float, y: float, size: float, lean: float) -> None:
        """Paint one of the plates on the back of a stegosaurus."""
        shoulder, top = y - size * 0.5, (x + lean, y - size * 1.2)
        left = [(x - size * 0.42, y + 2), (x - size * 0.56 + lean * 0.6, shoulder)]
        right = [(x + size * 0.56 + lean * 0.6, shoulder), (x + size * 0.42, y + 2)]
        self.canvas.paint(self.canvas.polygon([*left, top, *right], 0.8), self.accent)

    def triceratops(self) -> None:
        """Four legs, a large head with a frill and three horns."""
        canvas, jitter = self.canvas, self.jitter
        x, y, width, height = 25.5, 41 + jitter(1), 15 + jitter(1.2), 11.8 + jitter(1)
        hx, hy, head = 47.5 + jitter(1), 39 + jitter(2), 9.6 + jitter(0.5)
        tail = curve((x - 9, y), (x - 16, y + 7), (3.5 + jitter(1.5), y - 1 + jitter(4)))
        for hip in (x - 6, x + 11):
            self.leg(hip, y + 4, 4.4, far=True)
        torso = canvas.ellipse(x, y, width, height)
        body = melt(torso, canvas.limb(tail, taper(7.5, 1.6)), canvas.limb([(x + 9, y), (hx - 4, hy)], [8, 7]), by=5)
        canvas.paint(body, self.skin)
        self.belly(torso, x + 1, y + height * 0.86, width * 0.82, height * 0.6)
        spots = [((x - 12, y - 1), 2.7), ((x - 6, y - 5), 3.0), ((x + 2, y - 5), 3.2), ((x - 3, y + 1.5), 2.7)]
        self.pattern(body, spots, [((x + d, y - 13), (x + d * 0.9, y + 0.5), 2.1) for d in (-14, -7.5, -1, 5.5)])
        for hip in (x - 10, x + 6.5):
            self.leg(hip, y + 5, 4.6)
        frill_x, frill_y, frill = hx - 4.5, hy - 5.5, 12.6 + jitter(0.7)
        self._frill(frill_x, frill_y, frill)
        self._horn(hx - 1, hy - head * 0.6, 4, -11.5, 2.6)
        canvas.paint(self.snout(hx, hy, head, 0.66, 0.34, wide=0.7, high=0.56), self.skin)
        self._horn(hx + head * 1.0, hy + 0.8, 2.6, -5.6, 2.3)
        self._horn(hx + 4.6, hy - head * 0.55, 5.6, -10.0, 2.6)
        self.cheek(hx + 0.8, hy + head * 0.44, 2.0)
        self.smile((hx + head * 0.35, hy + head * 0.55), (hx + head * 1.15, hy + head * 0.42))
        self.eye(hx + 1.6, hy - head * 0.02, 3.2)
        top = (frill_x + 1.5, frill_y - frill * 0.86)
        self.accessory(top, 1.05, ((hx - 8.5, hy + 8.2), (hx + 2.5, hy + 10)), 2.6)

    def _frill(self, x: float, y: float, radius: float) -> None:
        """Paint the frill of a triceratops: a disk with a scalloped edge."""
        canvas = self.canvas
        edge = ((-0.97, 0.25), (-0.94, -0.34), (-0.6, -0.8), (-0.05, -1.0), (0.5, -0.87), (-0.72, 0.7))
        scallops = [canvas.ellipse(x + radius * right, y + radius * down, 2.7, 2.7) for right, down in edge]
        canvas.paint(union(canvas.ellipse(x, y, radius, radius), *scallops), self.accent)
        canvas.paint(canvas.ellipse(x + 0.8, y + 0.6, radius * 0.7, radius * 0.7), self.accent_light)

    def _horn(self, x: float, y: float, right: float, down: float, radius: float) -> None:
        """Paint a curved horn, dark enough to be seen on white."""
        line = curve((x, y), (x + right * 0.7, y + down * 0.25), (x + right, y + down), 6)
        self.canvas.paint(self.canvas.limb(line, taper(radius, 0.9, 6)), HORN)

    def tyrannosaurus(self) -> None:
        """Two legs, tiny arms, and a large head with teeth."""
        canvas, jitter = self.canvas, self.jitter
        x, y = 28 + jitter(1), 40 + jitter(1)
        hx, hy, head = 41.5 + jitter(1.5), 18 + jitter(1.5), 11.4 + jitter(0.6)
        tail = curve((x - 4, y + 5), (x - 15, y + 12), (3.5 + jitter(2), y + 1 + jitter(5)))
        neck = curve((x + 1, y - 4), (x + 4, y - 14), (hx - 4, hy + 2), 6)
        self.leg(x + 8, y + 4, 4.2, lean=1.5, far=True)
        canvas.paint(canvas.limb([(x + 11, y - 6), (x + 17, y - 4), (x + 18.4, y - 6.5)], [2.2, 1.7, 1.3]), self.dark)
        chest = canvas.ellipse(x, y, 11.5 + jitter(0.8), 13 + jitter(0.8))
        torso = melt(chest, canvas.ellipse(x - 1, y + 5, 11, 9))
        trunk = melt(torso, canvas.limb(tail, taper(9.5, 1.4)), canvas.limb(neck, taper(9.5, 8, 6)), by=5)
        face = self.snout(hx, hy, head, 0.72, 0.24, wide=0.8, high=0.6)
        canvas.paint(melt(trunk, face, by=4), self.skin)
        self.belly(torso, x + 7.5, y + 2, 6.2, 12)
        spots = [((x - 1.5, y - 12), 2.8), ((x - 6.5, y - 5.5), 3.0), ((x - 8, y + 2.5), 2.8), ((x - 0.5, y - 3), 2.8)]
        stripes = [((x - 13, y - 11 + d), (x - 0.5, y - 9.5 + d * 0.92), 2.1) for d in (-5, 2.5, 10)]
        on_tail = [((x - 16, y + 4), (x - 13, y + 12), 1.9)]
        self.pattern(inside(trunk, -face), spots, [*stripes, *on_tail])
        canvas.paint(canvas.ellipse(x - 1, y + 8, 6.6, 7.8), self.skin)
        self.leg(x - 0.5, y + 9, 4.6)
        canvas.paint(canvas.limb([(x + 7.5, y - 5), (x + 13, y - 2), (x + 14.6, y - 4.5)], [2.7, 2.0, 1.5]), self.dim)
        self._jaw((hx + head * 0.1, hy + head * 0.5), (hx + head * 1.38, hy + head * 0.36))
        self.cheek(hx + 0.2, hy + head * 0.34, 1.9)
        canvas.paint(canvas.ellipse(hx + head * 1.22, hy - head * 0.06, 0.75, 0.75), self.dark)
        self.eye(hx + 2.6, hy - head * 0.16, 3.5)
        self.accessory((hx - 2, hy - head * 0.84), 1.15, ((x - 2.5, y - 12), (x + 12.8, y - 10.5)), 2.7)

    def _jaw(self, start: Point, end: Point) -> None:
        """Paint a mouth with two teeth."""
        for share in (0.42, 0.78):
            x = start[0] + (end[0] - start[0]) * share
            y = start[1] + (end[1] - start[1]) * share + 0.9
            self.canvas.paint(self.canvas.polygon([(x - 1.6, y), (x, y + 3.0), (x + 1.6, y - 0.1)], 0.25), WHITE)
        self.smile((start[0], start[1] - 0.3), end, 1.6, 0.7)

    def parasaurolophus(self) -> None:
        """Two strong legs, two arms, and a long crest that sweeps back."""
        canvas, jitter = self.canvas, self.jitter
        x, y = 27.0, 38 + jitter(1)
        hx, hy, head = 45.5 + jitter(1.2), 22 + jitter(1.8), 9.2 + jitter(0.5)
        tail = curve((x - 5, y + 3), (x - 16, y + 9), (2 + jitter(2), y - 3 + jitter(5)))
        neck = curve((x + 8, y - 4), (x + 14, y - 8), (hx - 2.5, hy + 2), 6)
        crest = curve((hx + 3, hy - 3.5), (hx - 4, hy - 13), (hx - 18.5 + jitter(1.2), hy - 11 + jitter(1.5)))
        self.leg(x + 5, y + 5, 4.0, lean=1.5, far=True)
        canvas.paint(canvas.limb([(x + 13, y + 1), (x + 17, y + 8), (x + 18, y + 12)], [2.9, 2.4, 2.2]), self.dark)
        canvas.paint(canvas.limb(crest, taper(4.6, 2.9)), self.accent)
        torso = canvas.ellipse(x + 1, y + 1, 14 + jitter(1), 11 + jitter(0.8), -0.42)
        trunk = melt(torso, canvas.limb(tail, taper(8, 1.3)), canvas.limb(neck, taper(7.5, 5.6, 6)), by=5)
        body = melt(trunk, self.snout(hx, hy, head, 0.9, 0.34, wide=0.62, high=0.4))
        canvas.paint(body, self.skin)
        self.belly(torso, x + 7, y + 8, 12, 6.5, -0.5)
        spots = [((x - 9, y), 2.7), ((x - 3, y - 4.5), 3.0), ((x + 4, y - 7.5), 3.0), ((x + 4.5, y), 2.7)]
        stripes = [
            ((x + d - 2.5, y - 11.5 - d * 0.35), (x + d * 0.9 + 1.5, y + 1 - d * 0.35), 2.1) for d in (-12, -5, 2, 9)
        ]
        self.pattern(body, spots, stripes)
        canvas.paint(canvas.ellipse(x - 3, y + 8, 6.4, 7.6), self.skin)
        self.leg(x - 3, y + 9, 4.5)
        canvas.paint(
            canvas.limb([(x + 9.5, y + 2), (x + 12.5, y + 10), (x + 13.8, y + 13.5)], [3.2, 2.6, 2.3]), self.dim
        )
        self.cheek(hx + 1.5, hy + head * 0.46)
        self.smile((hx + head * 0.55, hy + head * 0.5), (hx + head * 1.38, hy + head * 0.42), 1.3)
        self.eye(hx + 2.4, hy - head * 0.02, 3.1)
        self.accessory((hx + 2.6, hy - head * 0.86), 1.0, ((hx - 10.5, hy + 7.5), (hx + 0.5, hy + 12)), 2.5)

    def pteranodon(self) -> None:
        """Two wings, a long beak and a pointed crest."""
        canvas, jitter = self.canvas, self.jitter
        x, y = 31.0, 37 + jitter(1)
        hx, hy, head = 44 + jitter(1), 29 + jitter(1.5), 8 + jitter(0.4)
        up = jitter(3)  # how far the wings are down
        fingers = [(x + 19, 13 + up), (x + 16, 21 + up)]
        far_wing = self._wing((x + 2, y - 3), (x + 6, 12 + up), (x + 20, 4 + up), fingers, (x + 12, y - 2))
        canvas.paint(canvas.polygon(far_wing, 0.7), self.dark)
        for foot in (x - 5, x - 0.5):
            canvas.paint(canvas.limb([(foot, y + 6), (foot - 4, y + 12.5)], [2.0, 1.5]), self.dark)
        crest = curve((hx, hy - 3), (hx - 7, hy - 6), (hx - 15.5, hy - 11.5 + jitter(1)), 7)
        canvas.paint(canvas.limb(crest, taper(4.8, 1.3, 7)), self.accent)
        torso = canvas.ellipse(x, y + 1, 12 + jitter(0.6), 7.8 + jitter(0.5), -0.45)
        tail = canvas.limb([(x - 7, y + 4), (x - 16, y + 9)], [5, 1.0])
        trunk = melt(torso, tail, canvas.limb([(x + 6, y - 3), (hx - 2, hy + 2)], [6.4, 5.4]), by=4)
        beak = mix((255, 186, 60), self.light, 0.15)
        lower = canvas.polygon([(hx + 2, hy + 1.5), (hx + 16.5, hy + 6.4), (hx + 2, hy + 6.4)], 0.7)
        upper = canvas.polygon([(hx + 3, hy - 2.6), (hx + 11, hy - 0.4), (hx + 19.5, hy + 4.6), (hx + 3, hy + 4)], 0.8)
        canvas.paint(lower, mix(beak, (120, 60, 30), 0.3))
        canvas.paint(melt(trunk, canvas.ellipse(hx, hy, head, head * 0.88)), self.skin)
        self.belly(torso, x + 4, y + 5.4, 10, 4.6, -0.5)
        canvas.paint(upper, beak)
        self._near_wing(x, y, up)
        self.cheek(hx - 0.5, hy + head * 0.52)
        self.eye(hx + 1.6, hy - head * 0.06, 3.1)
        self.accessory((hx + 1.0, hy - head * 0.82), 1.05, ((hx - 8.2, hy + 2.5), (hx - 0.5, hy + 9.8)), 2.5)

    def _near_wing(self, x: float, y: float, up: float) -> None:
        """Paint the near wing of a pteranodon, with the pattern on its skin."""
        canvas, half = self.canvas, up * 0.6
        fingers = [(x - 24, 18 + up), (x - 18, 27 + half)]
        wing = canvas.polygon(
            self._wing((x + 6, y - 1), (x - 1, 9 + up), (x - 27, 6 + up), fingers, (x - 6, y + 4)), 0.8
        )
        fingers = [(x - 20, 18.5 + up), (x - 15.5, 25.5 + half)]
        skin = self._wing((x + 1.5, y - 3), (x - 4, 15 + up), (x - 21, 11 + up), fingers, (x - 6, y + 0.5))
        canvas.paint(wing, self.skin)
        canvas.paint(inside(canvas.polygon(skin, 0.5), wing, 0.5), self.light)
        spots = [
            ((x - 16.5, 13 + up), 2.9), ((x - 8, 16 + up), 3.0), ((x - 11, 24 + half), 2.8),
            ((x - 2.5, 25 + half), 2.8),
        ]  # fmt: skip
        stripes = [
            ((x - 12.5, 4 + up), (x - 20, 20 + up), 2.0), ((x - 5, 7 + up), (x - 13.5, 27 + half), 2.0),
            ((x + 1, 13 + up), (x - 6, 32 + half), 2.0),
        ]  # fmt: skip
        self.pattern(wing, spots, stripes)

    def _wing(self, shoulder: Point, bend: Point, tip: Point, fingers: list[Point], root: Point) -> list[Point]:
        """Return the outline of a wing: its front edge to the tip, then a scalloped edge by the fingers to the root."""
        points, last = curve(shoulder, bend, tip, 8), tip
        for finger in (*fingers, root):
            x, y = (last[0] + finger[0]) / 2, (last[1] + finger[1]) / 2
            hollow = (x + (shoulder[0] - x) * 0.3, y + (shoulder[1] - y) * 0.3)
            points += curve(last, hollow, finger, 6)[1:]
            last = finger
        return points


KINDS = {
    "brontosaurus": Artist.brontosaurus,
    "stegosaurus": Artist.stegosaurus,
    "triceratops": Artist.triceratops,
    "tyrannosaurus": Artist.tyrannosaurus,
    "parasaurolophus": Artist.parasaurolophus,
    "pteranodon": Artist.pteranodon,
}
