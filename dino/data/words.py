"""Words: what images show. From the words of each image to a vocabulary and a table of zeros and ones, and back."""

import difflib
import re
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..common.errors import DinoError, DinoWarning, printable

if TYPE_CHECKING:  # the command line checks what was asked for before it imports torch
    import torch
    from torch import Tensor

    from .encoded_image import EncodedImage

MAX_WORD = 40  # characters of a word
# Words that say nothing about an image.
EMPTY_WORDS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "is",
        "it",
        "its",
        "of",
        "on",
        "or",
        "that",
        "the",
        "this",
        "to",
        "with",
        "without",
    ]
)
# Words in the names of columns that hold no description.
NOT_DESCRIBING = frozenset(
    ["file", "path", "url", "uri", "link", "id", "hash", "md5", "sha", "sha256", "license", "author", "source", "date"]
)
# Other names for the words of the embedded dinosaurs.
SYNONYMS = {
    "rex": "tyrannosaurus", "trex": "tyrannosaurus", "longneck": "brontosaurus", "pterodactyl": "pteranodon",
    "spots": "spotted", "dotted": "spotted", "stripes": "striped", "stripy": "striped", "sleeping": "sleepy",
    "smiling": "happy", "ribbon": "bow", "violet": "purple", "turquoise": "teal",
}  # fmt: skip


@lru_cache(maxsize=10_000)  # the values of a column repeat
def split_words(text: str) -> tuple[str, ...]:
    """Return the words of a text in lower case, without those that say nothing about an image, such as "with"."""
    words = re.findall(r"[^\W_]+", text.lower())
    # Interned: the words of large sets repeat, and each is kept once.
    return tuple(sys.intern(word) for word in words if word not in EMPTY_WORDS and len(word) <= MAX_WORD)


def words_of_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words that describe the image of a row of a table: those of all its texts, except names and addresses.

    Args:
        row: the columns by name. Only texts, and lists of texts, give words.
    """
    texts: list[str] = []
    for name, value in row.items():
        if not set(re.findall(r"[a-z]+", str(name).lower())) & NOT_DESCRIBING:
            texts += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    return tuple(dict.fromkeys(word for text in texts for word in split_words(text)))


def choose_vocabulary(images: "Sequence[EncodedImage]", max_words: int) -> tuple[str, ...]:
    """Return the words to train with: those that tell images apart, the most frequent first.

    Words of a single image, and words of every image, are left out.

    Args:
        images: with their words.
        max_words: how many words to keep; 0 if none are wanted.

    Warns:
        DinoWarning: if there are more words.
    """
    counts = Counter(word for image in images for word in set(image.words))
    useful = sorted((word for word, n in counts.items() if 1 < n < len(images)), key=lambda word: (-counts[word], word))
    if max_words and (dropped := useful[max_words:]):
        examples = ", ".join(dropped[:8]) + (", ..." if len(dropped) > 8 else "")
        message = (
            f"{len(useful):,} words describe these images. The {max_words:,} most frequent are learned, not {examples}"
        )
        warnings.warn(DinoWarning(message, settings={"max_words": None}), stacklevel=3)
    return tuple(useful[:max_words])


def to_multi_hot(images: "Sequence[EncodedImage]", vocabulary: Sequence[str]) -> "Tensor":
    """Return a table of zeros and ones: which image has which word. uint8, shape (N, n_words)."""
    import torch

    columns = {word: column for column, word in enumerate(vocabulary)}
    table = torch.zeros(len(images), len(vocabulary), dtype=torch.uint8)
    n_columns, cells = len(vocabulary), table.numpy().reshape(-1)
    for row, image in enumerate(images):
        for word in image.words:
            if word in columns:
                cells[row * n_columns + columns[word]] = 1
    return table


def mirrored_columns(vocabulary: Sequence[str]) -> list[int]:
    """Return the order of the columns for mirrored images: "left" and "right" change places if both are words."""
    order = list(range(len(vocabulary)))
    if "left" in vocabulary and "right" in vocabulary:
        left, right = vocabulary.index("left"), vocabulary.index("right")
        order[left], order[right] = right, left
    return order


# ---- requests -------------------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """The words of the vocabulary that an image shall show, and those that it shall not."""

    words: tuple[str, ...]
    unwanted: tuple[str, ...] = ()


# "without a hat", up to the next "with", "but", comma or period.
WITHOUT = re.compile(r"\b(?:without|not|no)\b(.*?)(?:\bbut\b|(?=\bwith\b|[,;.]|$))", flags=re.DOTALL)


def parse_request(request: str, vocabulary: Sequence[str]) -> Request:
    """Return the words of the vocabulary that a text such as "a green stegosaurus without a hat" asks for.

    Plurals, synonyms and beginnings of at least four letters ("stego") are understood.

    Raises:
        DinoError: if the model knows no words at all, or none of these.

    Warns:
        DinoWarning: if some of the words are unknown. They are ignored.
    """
    if not vocabulary:
        raise DinoError("this model was trained without words, so it can't be asked for anything")
    text = re.sub(r"(?<=\bt)[- ](?=rex\b)", "", request.lower())  # "t-rex" is one word
    found = {word: _find(word, vocabulary) for word in split_words(WITHOUT.sub(" ", text))}
    unwanted = {word: _find(word, vocabulary) for part in WITHOUT.findall(text) for word in split_words(part)}
    known = tuple(dict.fromkeys(word for word in found.values() if word))
    unknown = [word for word, match in (found | unwanted).items() if not match]
    if not known:
        raise DinoError(
            f"the model knows none of the words in '{printable(request, 80)}'. It knows: {', '.join(vocabulary)}"
        )
    if unknown:
        nearest = {word: difflib.get_close_matches(word, vocabulary, 2, 0.5) for word in unknown}
        hints = [printable(w, 40) + (f" (nearest: {' or '.join(near)})" if near else "") for w, near in nearest.items()]
        warnings.warn(DinoWarning(f"the model doesn't know {', '.join(hints)}"), stacklevel=2)
    return Request(known, tuple(dict.fromkeys(word for word in unwanted.values() if word)))


def short_request(vocabulary: Sequence[str], has: Sequence[float]) -> str:
    """Return a request for an image in its two rarest words, which say most: "blue brontosaurus".

    Args:
        vocabulary: the words, the most frequent first.
        has: 1 for each word of the image, and 0 for the others.
    """
    shown = [word for word, is_shown in zip(vocabulary, has, strict=True) if is_shown]
    return " ".join(reversed(shown[-2:]))


def complete(
    asked: "Tensor", unwanted: "Tensor", word_sets: "Tensor", *, generator: "torch.Generator | None" = None
) -> "Tensor":
    """Complete short requests to the words of whole images. A network draws best if it knows all the words.

    Each request is completed with the words of a real image, chosen at random, as far as they fit: a word fits if some
    image has it together with each word of the request. So "green stegosaurus" becomes striped or plain, awake or
    sleepy, but never blue.

    Args:
        asked: which words are asked for, zeros and ones, shape (N, n_words). A row of zeros asks for nothing, and
            becomes the words of an image.
        unwanted: words to leave out, of the same shape.
        word_sets: the words of M images, shape (M, n_words). If there are none, nothing is added.
        generator: where the random numbers come from, on the CPU. By default torch's global one.

    Returns:
        The words to draw, shape (N, n_words).
    """
    import torch

    if not len(word_sets):
        return asked
    excluded = (word_sets.T @ word_sets == 0).to(asked)
    fits = asked @ excluded == 0
    chosen = word_sets[torch.randint(len(word_sets), (len(asked),), generator=generator)]
    return torch.maximum(asked, chosen * fits * (1 - unwanted))


def _find(word: str, vocabulary: Sequence[str]) -> str | None:
    """Return the word of the vocabulary that a word means, if there is one."""
    for candidate in (word, word.removesuffix("s"), word.removesuffix("es")):
        for name in (candidate, SYNONYMS.get(candidate)):
            if name in vocabulary:
                return name
    beginnings = [known for known in vocabulary if len(word) >= 4 and known.startswith(word)]
    return beginnings[0] if len(beginnings) == 1 else None
