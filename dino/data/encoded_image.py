"""Encoded images: what every kind of source finds, and what `decoding.py` decodes."""

import io
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..common.errors import printable
from ..common.file_kinds import N_BYTES, file_kind

N_KINDS = 8  # of what was passed over, in one message


class EncodedImage(NamedTuple):
    """An image that isn't decoded yet."""

    name: str  # for messages, such as "cats/1.jpg"
    read: Callable[[], bytes]  # returns the bytes of a PNG, JPEG or other image file; raises OSError if it can't
    words: tuple[str, ...] = ()  # what the image shows, in lower case, such as ("stegosaurus", "green")

    @classmethod
    def from_bytes(cls, name: str, encoded: bytes, words: tuple[str, ...] = ()) -> "EncodedImage":
        """Return an encoded image whose bytes are in memory already."""
        return cls(name, lambda: encoded, words)


class Found(NamedTuple):
    """The images of a source, and a count of what is in the source and isn't loaded."""

    images: list[EncodedImage]
    passed_over: Mapping[str, int] = MappingProxyType({})  # how many of what, such as {".txt files": 3}
    has_splits: bool = False  # whether the split that was asked for has been chosen


def counted(passed_over: Mapping[str, int]) -> str:
    """Return what was passed over as a list, the most frequent first, such as ".txt files (3), .mp4 files (1)"."""
    counts = sorted(passed_over.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(count for _, count in counts[N_KINDS:])
    words = [f"{printable(what, 80)} ({count:,})" for what, count in counts[:N_KINDS]]
    return ", ".join([*words, f"others ({rest:,})"] if rest else words)


def looks_like_image(encoded: bytes) -> bool:
    """Return whether bytes begin like an image file, which may be damaged further on."""
    from PIL import Image, UnidentifiedImageError

    kind = file_kind(encoded[:N_BYTES])
    if kind:
        return kind.is_image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(io.BytesIO(encoded)).close()
    except UnidentifiedImageError:
        return False
    except Exception:  # a broken file can make its decoder raise anything
        return True
    return True
