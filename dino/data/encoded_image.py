"""Encoded images: what every kind of source finds, and what `decoding.py` decodes."""

from collections.abc import Callable
from typing import NamedTuple


class EncodedImage(NamedTuple):
    """An image that isn't decoded yet."""

    name: str  # for messages, such as "cats/1.jpg"
    read: Callable[[], bytes]  # returns the bytes of a PNG, JPEG or other image file; raises OSError if it can't
    words: tuple[str, ...] = ()  # what the image shows, in lower case, such as ("stegosaurus", "green")

    @classmethod
    def from_bytes(cls, name: str, encoded: bytes, words: tuple[str, ...] = ()) -> "EncodedImage":
        """Return an encoded image whose bytes are in memory already."""
        return cls(name, lambda: encoded, words)
