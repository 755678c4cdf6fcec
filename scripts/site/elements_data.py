"""`python -m scripts.site.elements_data` prints the data of the interactive elements, as JSON.

All of it comes from the code, the images and the pretrained network of dino: pictures are bytes in base64, and curves
are measured here.
"""

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dino.data.loading import load_images
from dino.data.sources import find_images
from dino.data.words import split_words
from dino.evaluation import nearest_neighbors
from dino.images import seeded, to_unit
from dino.noise import add_noise, mix
from dino.rosetta import PAPERS
from dino.trainer.model_file import PRETRAINED, load_model, vocabulary
from dino.web.bundle import in_base64
from scripts.site.elements import RECORDINGS
from scripts.site.formulas import set_formula

Data = dict[str, Any]


def packed(image: Tensor) -> Data:
    """Return uint8 numbers as the elements read them: the shape, and the bytes in base64."""
    assert image.dtype == torch.uint8
    return {"shape": list(image.shape), "bytes": base64.b64encode(image.contiguous().numpy().tobytes()).decode()}


def dinosaur(words: str, size: int = 32) -> Tensor:
    """Return the first picture of the embedded dinosaurs with these words: uint8, (3, size, size)."""
    return load_images(f"dinos:{words}", size)[0]


def pixels() -> Data:
    """Return the pictures of `<dino-pixels>`: two that are square, and a wide one of three dinosaurs in a row."""
    left, middle, right = map(dinosaur, ("triceratops,purple", "tyrannosaurus,teal,plain", "brontosaurus,yellow"))
    wide = torch.cat([left[..., 8:], middle, right[..., :24]], dim=-1)
    return {"pictures": {"teal": packed(middle), "purple": packed(left), "three in a row": packed(wide)}}


def noise_slider() -> Data:
    """Return three pictures and uniform noise for `<dino-noise-slider>`. Its byte k stands for (k + 0.5) / 256."""
    words = {"purple": "triceratops,purple", "teal": "tyrannosaurus,teal,plain", "yellow": "brontosaurus,yellow"}
    noise = torch.randint(0, 256, (3, 32, 32), generator=seeded("cpu", "noise slider"), dtype=torch.uint8)
    images = {name: dinosaur(wanted) for name, wanted in words.items()}
    return {"pictures": {name: packed(image) for name, image in images.items()}, "noise": packed(noise)}


RIDDLES = ("tropical fish", "owl", "frog face", "elephant", "octopus", "mushroom")
LEVELS = [k / 20 for k in range(20)] + [0.98, 1.0]


def recognize() -> Data:
    """Return the riddles of `<dino-recognize>`, and how many pictures a program recognizes at each level.

    The program is lesson 01's: it takes the clean picture that differs least, pixel by pixel. It either knows the
    level, and fades the clean pictures to that level with gray, or compares with them as they are.
    """
    names = [image.name.removesuffix(" (noto)") for image in find_images("emoji:animals,noto", "train")]
    images = load_images("emoji:animals,noto", 32)
    random, riddles = seeded("cpu", "riddles"), []
    for name in RIDDLES:
        others = [names[k] for k in torch.randperm(len(names), generator=random).tolist() if names[k] != name][:3]
        choices = [[name, *others][k] for k in torch.randperm(4, generator=random).tolist()]
        riddles.append({"name": name, "choices": choices, "picture": packed(images[names.index(name)])})
    clean = to_unit(images)
    noise = torch.rand(clean.shape, generator=seeded("cpu", "lesson 01, riddles"))

    def recognized(level: float, *, known: bool) -> float:
        at = torch.tensor(level)
        candidates = mix(clean, torch.full_like(clean, 0.5), at) if known else clean
        nearest = nearest_neighbors(mix(clean, noise, at), candidates)[1][:, 0]
        return round((nearest == torch.arange(len(clean))).float().mean().item(), 4)

    curves = {str(known).lower(): [recognized(level, known=known) for level in LEVELS] for known in (True, False)}
    return {
        "riddles": riddles,
        "levels": LEVELS,
        "knows": curves["true"],
        "doesNotKnow": curves["false"],
        "n": len(clean),
    }


def convolution() -> Data:
    """Return the gray pictures of `<dino-convolution>`."""
    words = {"stegosaurus": "stegosaurus,blue", "triceratops": "triceratops,red"}
    return {"pictures": {name: packed(gray(dinosaur(words[name]))) for name in words}}


def receptive_field() -> Data:
    """Return the picture of `<dino-receptive-field>`."""
    return {"picture": packed(dinosaur("stegosaurus,green"))}


def gray(image: Tensor) -> Tensor:
    """Return the mean of the channels, in one channel: uint8, (1, H, W)."""
    return image.float().mean(dim=0, keepdim=True).round().to(torch.uint8)


def descent() -> Data:
    """Return what `<dino-descent>` needs of a network with two weights, `denoised = scale * noisy + shift`.

    Its loss over some images is a sum of means, each times a power of the weights, so that the page can compute the
    loss and its slopes anywhere.
    """
    dinosaurs = load_images("dinos:600", 16, part="training")
    clean = to_unit(dinosaurs)
    noisy, _ = add_noise(clean, generator=seeded("cpu", "descent"))
    means = {
        "noisy": noisy, "clean": clean, "noisySquared": noisy * noisy, "noisyTimesClean": noisy * clean,
        "cleanSquared": clean * clean,
    }  # fmt: skip
    shown = mix(clean[:1], torch.rand(1, 3, 16, 16, generator=seeded("cpu", "shown")), torch.tensor(0.4))[0]
    return {
        "means": {name: round(values.double().mean().item(), 8) for name, values in means.items()},
        "noisy": packed((shown * 255).round().to(torch.uint8)),
        "clean": packed(dinosaurs[0]),
    }


def recorded_run() -> Data:
    """Return the recording of `scripts.site.recorded_run`: its numbers, and its image as a data URL."""
    image = base64.b64encode((RECORDINGS / "run.webp").read_bytes()).decode()
    recording = json.loads((RECORDINGS / "run.json").read_text(encoding="utf-8"))
    return {"recording": recording, "image": f"data:image/webp;base64,{image}"}


MODEL = "pretrained-32"


def network() -> Data:
    """Return the name of the pretrained network, and how many megabytes a page loads for it."""
    return {"name": MODEL, "megabytes": round(len(in_base64(PRETRAINED[MODEL].read_bytes())) / 1e6, 1)}


def live_row() -> Data:
    """Return what `<dino-live-row>` asks for at first, and what else it proposes. The network knows all the words."""
    examples = ["purple triceratops", "green stegosaurus", "sleepy pink brontosaurus", "teal pteranodon with a hat"]
    known = set(vocabulary(load_model(MODEL)[1]))
    assert all(known.issuperset(split_words(request)) for request in examples)
    return {"network": network(), "examples": examples}


def sampler() -> Data:
    """Return what `<dino-sampler>` needs: only the network."""
    return {"network": network()}


def two_levels() -> Data:
    """Return the pictures of `<dino-two-levels>`."""
    words = {
        "triceratops": "triceratops,purple",
        "stegosaurus": "stegosaurus,green",
        "brontosaurus": "brontosaurus,blue",
    }
    return {"network": network(), "pictures": {name: packed(dinosaur(words[name])) for name in words}}


def redraw() -> Data:
    """Return a sketch to begin with, for `<dino-redraw>`: a clumsy dinosaur of four flat shapes."""
    rows, columns = torch.meshgrid(torch.arange(32) + 0.5, torch.arange(32) + 0.5, indexing="ij")

    def ellipse(row: float, column: float, height: float, width: float) -> Tensor:
        return ((rows - row) / height) ** 2 + ((columns - column) / width) ** 2 < 1

    sketch = torch.full((3, 32, 32), 255, dtype=torch.uint8)
    body, head = ellipse(18, 14, 5.5, 8), ellipse(12, 23, 4, 4.5)
    legs = (rows > 20) & (rows < 27) & (((columns - 9.5).abs() < 2) | ((columns - 18.5).abs() < 2))
    sketch[:, body | head | legs] = torch.tensor([[70], [160], [80]], dtype=torch.uint8)
    sketch[:, ellipse(11, 24.5, 1, 1)] = 0
    return {"network": network(), "sketch": packed(sketch)}


def guidance() -> Data:
    """Return what `<dino-guidance>` asks for at first."""
    return {"network": network(), "words": "green stegosaurus"}


def inpaint() -> Data:
    """Return the pictures of `<dino-inpaint>`, of which a part is kept."""
    words = {
        "stegosaurus": "stegosaurus,teal",
        "triceratops": "triceratops,orange",
        "brontosaurus": "brontosaurus,blue",
    }
    return {"network": network(), "pictures": {name: packed(dinosaur(words[name])) for name in words}}


def few_steps() -> Data:
    """Return what `<dino-few-steps>` needs: only the network."""
    return {"network": network()}


def rosetta() -> Data:
    """Return the papers of `<dino-rosetta>`, whose sliders have their symbols as MathML, and a picture.

    The log-SNR is the symbol of many papers. It is a slider of its own.
    """
    shown = [
        {
            "name": paper.name,
            "symbol": set_formula(paper.symbol),
            "spoken": paper.spoken,
            "coordinates": paper.coordinates.__name__,
            "predicts": paper.predicts,
        }
        for paper in PAPERS
    ]
    log_snr = {"name": "log-SNR", "symbol": set_formula(r"\lambda"), "spoken": "lambda"}
    return {"network": network(), "papers": [*shown, log_snr], "picture": packed(dinosaur("triceratops,purple"))}


def projection() -> Data:
    """Return the two clouds of `<dino-projection>`, those of the figure in lesson 05: 12 points each, [x, y]."""
    random = torch.Generator().manual_seed(4)
    a = torch.randn(12, 2, generator=random) * torch.tensor([1.0, 0.4])
    b = torch.randn(12, 2, generator=random) * torch.tensor([0.5, 0.8]) + torch.tensor([1.6, 1.0])
    return {
        name: [[round(x, 4) for x in point] for point in cloud.tolist()] for name, cloud in {"a": a, "b": b}.items()
    }


N_INDEXED, N_COLUMNS, N_UNSEEN = (
    1_200,
    40,
    300,
)  # training pictures to search, and in a row; held-out ones to compare with
SPRITE_QUALITY = 75


def neighbors() -> Data:
    """Return training pictures for `<dino-neighbors>`, as one WebP, and how far unseen pictures usually are from them.

    The distances are between the 5th and the 95th percentile, and those of the pictures as the WebP has them.
    """
    training = load_images("dinos", 32, part="training")[:N_INDEXED]
    webp = as_webp(training)
    unseen = to_unit(load_images("dinos", 32, part="held out")[:N_UNSEEN])
    distances = nearest_neighbors(unseen, to_unit(from_webp(webp)))[0]
    low, middle, high = torch.quantile(distances, torch.tensor([0.05, 0.5, 0.95])).tolist()
    return {
        "network": network(),
        "sprite": f"data:image/webp;base64,{base64.b64encode(webp).decode()}",
        "n": N_INDEXED,
        "columns": N_COLUMNS,
        "shape": list(training.shape[1:]),
        "usual": {"low": round(low, 4), "middle": round(middle, 4), "high": round(high, 4)},
    }


def as_webp(images: Tensor) -> bytes:
    """Return pictures as the cells of one WebP, `N_COLUMNS` in a row: uint8, (N, 3, H, W)."""
    rows = [torch.cat(list(row), dim=-1) for row in images.split(N_COLUMNS)]
    file = io.BytesIO()
    Image.fromarray(torch.cat(rows, dim=-2).permute(1, 2, 0).numpy()).save(
        file, "WEBP", quality=SPRITE_QUALITY, method=6
    )
    return file.getvalue()


def from_webp(webp: bytes) -> Tensor:
    """Return the pictures in a WebP that `as_webp` made: uint8, (N, 3, H, W)."""
    with Image.open(io.BytesIO(webp)) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    size = pixels.shape[2] // N_COLUMNS
    cells = pixels.unfold(1, size, size).unfold(2, size, size)  # (3, rows, columns, size, size), a view
    return cells.permute(1, 2, 0, 3, 4).flatten(0, 1).contiguous()


ELEMENTS: dict[str, Callable[[], Data]] = {
    "dino-pixels": pixels,
    "dino-noise-slider": noise_slider,
    "dino-recognize": recognize,
    "dino-convolution": convolution,
    "dino-receptive-field": receptive_field,
    "dino-descent": descent,
    "dino-recorded-run": recorded_run,
    "dino-live-row": live_row,
    "dino-sampler": sampler,
    "dino-two-levels": two_levels,
    "dino-redraw": redraw,
    "dino-guidance": guidance,
    "dino-inpaint": inpaint,
    "dino-few-steps": few_steps,
    "dino-rosetta": rosetta,
    "dino-projection": projection,
    "dino-neighbors": neighbors,
}


def main() -> None:
    """Print the data of all elements as one line of JSON."""
    print(json.dumps({name: make() for name, make in ELEMENTS.items()}))


if __name__ == "__main__":
    main()
