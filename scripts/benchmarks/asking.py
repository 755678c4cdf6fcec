"""Asking: how often a model draws what it was asked for, against the guidance.

    python -m scripts.benchmarks.asking runs/dinos-1 --json docs/benchmarks/asking.json

A small classifier learns the words of the training images and looks at what the model draws. Its own accuracy on
held-out images is part of the report: nothing that it says of generated images is more certain than that. Each request
has a kind and a color, and every other one has a pattern and an accessory, too.
"""

import random
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from tqdm import tqdm

from dino.common.grids import labeled_grid, save_image
from dino.common.plots import STYLE
from dino.data.loading import LabeledImages, load_labeled_images
from dino.data.words import complete
from dino.few_steps import FEW
from dino.images import seeded, to_unit
from dino.reports.evaluate import ALL_EQUAL, GROUP, distances
from dino.reports.report import Report, environment, in_words, number, table
from dino.reports.report import write as write_report
from dino.trainer.batched_sampling import Wishes, generate_batched
from dino.trainer.model_file import image_shape, load_model, vocabulary, word_sets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The words of the embedded dinosaurs, by attribute. An image has at most one word of each.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "kind": ("brontosaurus", "stegosaurus", "triceratops", "tyrannosaurus", "parasaurolophus", "pteranodon"),
    "color": ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink"),
    "pattern": ("plain", "spotted", "striped"),
    "accessory": ("hat", "scarf", "bow"),
}
GUIDANCES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0)
N_PASSES, BATCH = 12, 64  # of the classifier's training


# ---- the classifier -------------------------------------------------------------------------------------------------


class Classifier(nn.Module):
    """Returns for each attribute a score for each of its words, and one for none of them."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128)
        layers = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, stride=2, padding=1), nn.ReLU())
            for a, b in pairwise(widths)
        ]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.heads = nn.ModuleDict(
            {name: nn.Linear(16 * widths[-1], len(words) + 1) for name, words in ATTRIBUTES.items()}
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.body(images - 0.5)
        return {name: head(features) for name, head in self.heads.items()}


def answers(labeled: LabeledImages) -> dict[str, Tensor]:
    """Return the number of the word of each attribute for each image; the last number means none of them."""
    columns = {word: column for column, word in enumerate(labeled.vocabulary)}
    found = {}
    for name, words in ATTRIBUTES.items():
        has = labeled.words[:, [columns[word] for word in words]]
        found[name] = torch.cat([has, 1 - has.sum(1, keepdim=True)], dim=1).argmax(1)
    return found


def train_classifier(labeled: LabeledImages) -> Classifier:
    """Train a classifier on labeled images. A little noise keeps it from looking at single pixels."""
    torch.manual_seed(0)
    classifier, right = Classifier(), answers(labeled)
    images = to_unit(labeled.images)
    n_steps = N_PASSES * len(images) // BATCH
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=n_steps)
    for _ in tqdm(range(n_steps), "training the classifier", leave=False, disable=None):
        chosen = torch.randint(len(images), (BATCH,))
        scores = classifier(images[chosen] + 0.02 * torch.randn(BATCH, *images.shape[1:]))
        loss = torch.stack([F.cross_entropy(scores[name], right[name][chosen]) for name in ATTRIBUTES]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.eval()


@torch.no_grad()
def recognized(classifier: Classifier, images: Tensor) -> dict[str, Tensor]:
    """Return what the classifier sees in images: for each attribute a number as in `answers`."""
    scores = [classifier(part) for part in images.split(256)]
    return {name: torch.cat([score[name] for score in scores]).argmax(1) for name in ATTRIBUTES}


# ---- asking ---------------------------------------------------------------------------------------------------------


def make_requests(n: int) -> list[dict[str, str]]:
    """Return n requests: attributes and words."""
    chance = random.Random("requests")
    return [
        {name: chance.choice(words) for name, words in ATTRIBUTES.items() if name in ("kind", "color") or k % 2}
        for k in range(n)
    ]


def measure(path: Path, n: int, n_seeds: int) -> tuple[Report, dict[float, Tensor], list[str]]:
    """Draw images with every guidance, and count how many show what was asked for.

    Args:
        path: a run folder or a weights file of a model that was trained on dinosaurs.
        n: how many images for each guidance and seed.
        n_seeds: how many times to repeat it with other noise.

    Returns:
        The report; the first images of each guidance; and what was asked of these.
    """
    model, metadata = load_model(path)
    size, source = image_shape(metadata)[-1], metadata["config"]["data"]
    training, held_out = (load_labeled_images(source, size, part=part) for part in ("training", "held out"))
    classifier = train_classifier(training)
    seen, right = recognized(classifier, to_unit(held_out.images)), answers(held_out)
    own = {name: (seen[name] == right[name]).float().mean().item() for name in ATTRIBUTES}

    requests, words = make_requests(n), vocabulary(metadata)
    asked = torch.tensor([[float(word in request.values()) for word in words] for request in requests])
    condition = complete(asked, torch.zeros_like(asked), word_sets(metadata), generator=seeded("cpu", "complete"))
    real = load_labeled_images(source, size).images
    rows, shown = [], {}
    for guidance in GUIDANCES:
        drawn = [
            generate_batched(
                model, n, image_shape=image_shape(metadata), seed=seed,
                wishes=Wishes(condition, guidance),
            )
            for seed in range(n_seeds)
        ]  # fmt: skip
        hits: dict[str, list[bool]] = {name: [] for name in ATTRIBUTES}
        for images in drawn:
            seen = recognized(classifier, images)
            for k, request in enumerate(requests):
                for name, word in request.items():
                    hits[name].append(int(seen[name][k]) == ATTRIBUTES[name].index(word))
        distance = distances(torch.cat(drawn), real, min(GROUP, n))
        share = {name: sum(found) / len(found) if found else None for name, found in hits.items()}
        rows.append({"guidance": guidance, "found": share, "distance": distance["ratio"]})
        shown[guidance] = drawn[0][:8]
    report = environment(torch.device("cpu")) | {
        "model": str(path), "data": source, "size": size, "images": n, "seeds": n_seeds, "classifier": own,
        "rows": rows, "unknown": {},
    }  # fmt: skip
    for name in ATTRIBUTES:
        if rows[0]["found"][name] is None:
            report["unknown"][f"found.{name}"] = "no request has one"
    if rows[0]["distance"] is None:
        report["unknown"]["distance"] = ALL_EQUAL
    return report, shown, [" ".join(request.values()) for request in requests[:8]]


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each guidance, and one for the classifier on held-out images."""
    rows: list[tuple[str, ...]] = [("guidance", *ATTRIBUTES, "distance")]
    for row in report["rows"]:
        found = (number(row["found"][name], ".0%") for name in ATTRIBUTES)
        rows.append((f"{row['guidance']:g}", *found, number(row["distance"], ".2f")))
    own = (f"{report['classifier'][name]:.1%}" for name in ATTRIBUTES)
    return table([*rows, ("real images", *own, "1.00")])


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    sentences = {
        "found": f"how often the classifier sees what was asked for, in {report['images']} images, {report['seeds']} "
        "times; every request has a kind and a color, and every other one a pattern and an accessory",
        "real images": "the accuracy of the classifier itself, on held-out images",
        "distance": f"to real images, in units of the distance between real images, in groups of {GROUP}",
        "steps": f"{FEW}, warped",
        "words": "the rest of each request is completed as `dino sample` does",
    }
    return sentences | ({"unknown": in_words(report["unknown"])} if report["unknown"] else {})


def plot(report: Report) -> "Figure":
    """Plot the shares and the distance against the guidance."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    guidances = [row["guidance"] for row in report["rows"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name in ATTRIBUTES:
            if report["rows"][0]["found"][name] is not None:
                left.plot(guidances, [100 * row["found"][name] for row in report["rows"]], "o-", label=name)
        left.set(xlabel="guidance", ylabel="percent drawn as asked")
        left.legend()
        if report["rows"][0]["distance"] is not None:
            right.plot(guidances, [row["distance"] for row in report["rows"]], "o-")
        right.set(xlabel="guidance", ylabel="distance to real images")
    return figure


def main(
    model: Annotated[Path, typer.Argument(help="A run folder or a weights file.")],
    n: Annotated[int, typer.Option("-n", help="Images for each guidance and seed.")] = 256,
    seeds: Annotated[int, typer.Option(help="How many times to repeat it, with other noise.")] = 3,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("asking.json"),
) -> None:
    """Measure how often a model draws what it was asked for."""
    report, shown, asked = measure(model, n, seeds)
    typer.echo(markdown(report))
    report |= {"command": f"python -m scripts.benchmarks.asking {model} -n {n} --seeds {seeds}"}
    for path in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {path}")
    rows = torch.cat(list(shown.values()))
    grid = labeled_grid(rows, [f"guidance {guidance:g}" for guidance in shown])
    typer.echo(f"wrote {save_image(grid, out.with_name(f'{out.stem}-grid.png'))}: {'; '.join(asked)}")


if __name__ == "__main__":
    typer.run(main)
