"""An image that is not decoded yet. Free of torch, so that a source that can't be loaded is reported at once."""

from collections.abc import Callable
from typing import NamedTuple


class EncodedImage(NamedTuple):
    """An image that is not decoded yet."""

    name: str  # for messages
    read: Callable[[], bytes]  # returns the encoded bytes; raises OSError if they can't be read
