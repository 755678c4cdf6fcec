"""Space for decoded images: how much a set needs, what there is, and where the images go.

A decoded image of 32 x 32 pixels in color takes 3,072 bytes, whatever its file takes. All of them go into the cache on
the disk. For training they are copied to where the network is, the main memory or that of a GPU, if they take at most
half of what is free there. The other half is for the network and for other programs. Larger sets stay in the file of
the cache, which is mapped into memory: each batch is read from there, and the system keeps as much of the file in
memory as it has to spare.
"""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from ..common.errors import DinoError
from ..common.memory import free_disk, free_memory, size_in_words

SHARE = 0.5  # of the free memory, which the images may take
MARGIN = 1.05  # on the disk, for the notes behind the pixels


def fits(n_bytes: int, free: int | None) -> bool:
    """Return whether images that take so many bytes should be copied into a memory of which so many bytes are free."""
    return free is None or n_bytes <= SHARE * free


class Needs(NamedTuple):
    """The needs of decoded images, and what there is, in bytes. None stands for what nobody knows.

    Attributes:
        n_images: how many images are to be decoded.
        size: their side, in pixels.
        n_bytes: what they need.
        memory: the free main memory.
        disk: the free space on the disk of the cache, with what an interrupted decoding wrote there; 0 without a cache.
    """

    n_images: int
    size: int
    n_bytes: int
    memory: int | None
    disk: int | None

    @classmethod
    def of(cls, n_images: int, size: int, channels: int, file: Path | None) -> "Needs":
        """Return what images need if they go into a file of the cache, or into memory if there is no file."""
        disk = free_disk(file.parent) if file else 0
        partial = file.with_suffix(".partial") if file else None
        if disk is not None and partial and partial.exists():
            disk += partial.stat().st_size
        return cls(n_images, size, n_images * channels * size**2, free_memory(), disk)

    @property
    def fit_on_disk(self) -> bool:
        """Return whether the cache has enough space."""
        return self.disk is None or MARGIN * self.n_bytes <= self.disk

    def check(self) -> None:
        """Refuse images for which there is no space.

        Raises:
            DinoError: if they fit neither on the disk nor into memory.
        """
        if not self.fit_on_disk and self.memory is not None and self.n_bytes > self.memory:
            raise DinoError(
                f"there is no space for these images: {self}. Free some, name a folder on a larger disk in DINO_CACHE, "
                "or choose smaller or fewer images",
                settings={"size": None},
            )

    def __str__(self) -> str:
        """Return the numbers in words."""
        each = f"{self.n_images:,} image{'s' * (self.n_images != 1)} of {self.size} x {self.size}"
        on_disk = f"{size_in_words(self.disk)} on the disk and " if self.disk != 0 else ""
        return f"{each} need {size_in_words(self.n_bytes)}. Free: {on_disk}{size_in_words(self.memory)} of memory"


def in_memory(images: Tensor, order: Tensor | None = None) -> Tensor:
    """Return a copy of images in main memory, in another order if one is given.

    Raises:
        DinoError: if they are larger than what is free.
    """
    free = free_memory()
    if free is not None and images.nbytes > free:
        raise DinoError(
            f"these images need {size_in_words(images.nbytes)} of memory, and {size_in_words(free)} are free. "
            "Leave them in the cache, or choose smaller or fewer images",
            settings={"memory_map": True, "size": None},
        )
    return images.clone() if order is None else images.index_select(0, order)
