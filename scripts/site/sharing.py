"""Metadata for programs that show a shared page: its title, its description and an image.

`python -m scripts.site.sharing` makes the image, docs/images/sharing.png, of dinosaurs of the data set.
"""

import re
from html import escape
from typing import TYPE_CHECKING

from scripts.site.paths import DOCS, ROOT

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE = "images/sharing.png"
ALT = "Rows of cartoon dinosaurs in many colors, and: Dino Diffusion. Build an image generator from scratch"
WIDTH, HEIGHT = 1200, 630  # what programs that show pages recommend
MAX_SIZE = 150_000  # bytes
ROWS, COLUMNS, SIDE = 3, 8, 144  # of dinosaurs, and the side of each in pixels
INK, FAINT = (29, 39, 37), (77, 90, 87)


def with_metadata(html: str, title: str, description: str, path: str, site_url: str, to_root: str) -> str:
    """Return a page with the metadata of the Open Graph protocol.

    Args:
        html: of the page.
        title, description: what it is about.
        path: of the page below the site.
        site_url: the address of the site. Without it, the image's address is relative, and the page has none.
        to_root: the relative path from the page to the root of the site, such as "../".
    """
    base = site_url.rstrip("/") + "/" if site_url else to_root
    properties = {
        "og:type": "website", "og:site_name": "Dino Diffusion", "og:title": title, "og:description": description,
        "og:url": f"{base}{path}" if site_url else "", "og:image": f"{base}{IMAGE}", "og:image:alt": ALT,
        "og:image:width": str(WIDTH), "og:image:height": str(HEIGHT),
    }  # fmt: skip
    lines = [f'<meta property="{name}" content="{escape(value)}">' for name, value in properties.items() if value]
    lines.append('<meta name="twitter:card" content="summary_large_image">')
    return re.sub("</head>", lambda end: "".join(lines) + end[0], html, count=1)


def draw() -> "Image":
    """Draw the image: dinosaurs of the data set, evenly spread, and what the course is."""
    from PIL import Image, ImageDraw, ImageFont

    from dino.common.grids import grid
    from dino.data.loading import load_images
    from dino.images import to_unit

    dinosaurs = load_images("dinos", 64)
    n = ROWS * COLUMNS
    chosen = dinosaurs[[k * len(dinosaurs) // n for k in range(n)]]
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    for k, one in enumerate(chosen):
        drawn = grid(to_unit(one[None])).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        row, column = divmod(k, COLUMNS)
        image.paste(drawn, ((WIDTH - COLUMNS * SIDE) // 2 + column * SIDE, 8 + row * SIDE))
    pen = ImageDraw.Draw(image)
    pen.text((WIDTH // 2, 500), "Dino Diffusion", INK, ImageFont.load_default(76), anchor="mm")
    pen.text((WIDTH // 2, 575), "Build an image generator from scratch", FAINT, ImageFont.load_default(38), anchor="mm")
    return image


def main() -> None:
    """Make the image, and print its size."""
    path = DOCS / IMAGE
    draw().quantize(128).save(path, "PNG", optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} KB")
    if path.stat().st_size > MAX_SIZE:
        raise SystemExit(f"the image has more than {MAX_SIZE // 1000} KB")


if __name__ == "__main__":
    main()
