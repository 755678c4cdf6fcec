"""Tables of the papers' symbols. Their only source is `PAPERS` in dino/rosetta.py, as it is of `<dino-rosetta>`."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)  # of the table of numbers


def papers(kind: str) -> str:
    """Return a table with a row for each paper: its two "ends", or its "steps".

    Raises:
        KeyError: if there is no such kind of table.
    """
    from dino.rosetta import PAPERS  # imports torch, which most pages don't need

    columns = {
        "ends": {
            "": lambda paper: "here" if paper.name == "this course" else paper.name,
            "the image is at": lambda paper: paper.image_at,
            "noise is at": lambda paper: paper.noise_at,
            "the mix": lambda paper: _formula(paper.mix),
        },
        "steps": {
            "paper": lambda paper: paper.name,
            "its noisy picture": lambda paper: _formula(paper.noisy),
            "its level": lambda paper: _formula(_level(paper.symbol, paper.level)) + _way(paper.to_level),
            "its network predicts": lambda paper: paper.predicts,
            "one step": lambda paper: paper.step,
        },
    }[kind]
    return _table(list(columns), [[column(paper) for column in columns.values()] for paper in PAPERS])


def levels() -> str:
    """Return a table with the numbers of some noise levels in the papers' units."""
    import torch

    from dino.rosetta import PAPERS, to_log_snr

    by_name = {paper.name: paper for paper in PAPERS}
    units = [(by_name[name].symbol, by_name[name].to_level) for name in ("EDM", "DDPM")]
    units.append((r"\log \text{SNR}", to_log_snr))
    t = torch.tensor(LEVELS, dtype=torch.float64)
    numbers = [list(map(_number, unit(t).tolist())) for _, unit in units]
    heads = [r"noise level \(t\)", *(_formula(symbol) for symbol, _ in units)]
    return _table(heads, [list(row) for row in zip(map(str, LEVELS), *numbers, strict=True)], align="---:")


def _table(heads: list[str], rows: list[list[str]], align: str = "---") -> str:
    lines = [heads, [align] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _formula(latex: str) -> str:
    return rf"\({latex}\)"


def _level(symbol: str, level: str) -> str:
    """Return a formula for the level. A paper's t can't be named in a formula with ours."""
    return level if symbol == "t" else f"{symbol} = {level}"


def _way(to_level: "Callable[[Tensor], Tensor]") -> str:
    """Return where the sampler's way begins and ends, unless it begins at infinity."""
    from torch import tensor

    start, end = to_level(tensor([1.0, 0.0])).tolist()
    return "" if math.isinf(start) else f", from {start:g} to {end:g}"


def _number(value: float) -> str:
    """Return a number with as many digits as a reader needs."""
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return f"{value:.4f}" if 0 < abs(value) < 0.01 else f"{round(value, 3) + 0:g}"  # + 0 turns -0 into 0
