"""Model cards: the page of a model on the Hugging Face hub, which says what it is, and how to draw with it.

The hub reads the metadata at the top, in YAML. Its library writes that, so that any name is quoted as it must be.
"""

from pathlib import Path
from typing import Any

from ..data.embedded import is_embedded
from ..data.hub import is_hub_name
from ..data.words import short_request
from ..trainer.model_file import vocabulary, word_sets
from ..trainer.model_hub import LIBRARY
from ..trainer.run_folder import describe

SAMPLES = "samples/generated.png"  # the grid, beside the card
TASK = "unconditional-image-generation"  # the hub's name for it; asking by words is this model's own way

PAGE = """---
{header}
---

# {title}

A small diffusion model. It was trained with Dino Diffusion (`dino`), a course in which you build an image generator
from convolutions and ReLUs.

![{n_images} generated images]({samples})

These are the first {n_images} images that it drew, not the best ones. `dino sample hf:{name}` draws the same.

## Draw with it

```sh
dino sample hf:{name}{ask}
```

```python
import dino

model, metadata = dino.load_model("hf:{name}")
images = dino.generate(model, 16, image_shape=dino.image_shape(metadata))
dino.save_grid(images, "sixteen.png")
```

## What it is, and how it was trained

{facts}

All settings of the run are in `config.json`.{credits}

## What it can't do

It draws only what its training images show, at about their size, and knows no language{beyond}. A model can memorize
training images, so a generated image may be close to one of them. `dino evaluate hf:{name}` measures that, if you have
the images.
"""
CREDITS = {  # what dino/data/NOTICE.md asks for, by embedded set
    "emoji": "The training images are drawings from Noto Emoji (Google, Apache-2.0), Twemoji (Twitter and "
    "contributors, CC-BY 4.0) and Fluent Emoji (Microsoft, MIT).",
}


def public(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata of weights without paths on this machine, which are nobody else's business.

    Of the training images, and of the weights that the run started from, the name is left.
    """
    config = metadata["config"]
    paths = {name: Path(config.get(name, "")) for name in ("data", "start_from")}
    names = {name: path.name for name, path in paths.items() if path.is_absolute()}
    return metadata | {"config": config | names} if names else metadata


def default_license(metadata: dict[str, Any]) -> str:
    """Return the license of weights that nobody chose one for: dino's own for embedded images, otherwise "unknown"."""
    return "mit" if is_embedded(metadata["config"].get("data", "")) else "unknown"


def card(name: str, weights: Path, metadata: dict[str, Any], *, n_images: int, license: str) -> str:
    """Return the card of a model, in Markdown.

    Args:
        name: USER/NAME on the hub.
        weights: its weights file.
        metadata: of that file.
        n_images: the number of images in its grid, which is at `SAMPLES`.
        license: of the weights, as the hub spells it, such as "mit".
    """
    from huggingface_hub import ModelCardData

    data, words = metadata["config"].get("data", ""), vocabulary(metadata)
    request = next((short_request(words, has) for has in word_sets(metadata).tolist() if any(has)), "".join(words[:1]))
    header = ModelCardData(
        license=license, library_name=LIBRARY, pipeline_tag=TASK, tags=["diffusion", "image-generation", LIBRARY],
        datasets=[data] if "/" in data and is_hub_name(data) else None,
    )  # fmt: skip
    return PAGE.format(
        header=header.to_yaml(),
        title=name.partition("/")[2],
        name=name,
        n_images=n_images,
        samples=SAMPLES,
        ask=f' --ask "{request}"' if words else "",
        facts="\n".join(f"- **{label}**: {fact}" for label, fact in describe(weights).items()),
        credits="".join(f" {credit}" for kind, credit in CREDITS.items() if data.partition(":")[0] == kind),
        beyond=" beyond the words above" if words else "",
    )
