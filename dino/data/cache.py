"""The cache of decoded images: one file for each set of images, size and number of channels.

The file is written while the images are decoded, part by part, so that a set may be larger than the memory. It is read
by mapping it into memory. Until it is whole it has another name, and a journal beside it says which parts are good:

    KEY.safetensors     a whole file: 4,096 bytes of header, the pixels, and notes
    KEY.partial         the same, of which the header and the notes are still missing
    KEY.partial.jsonl   the journal: a line for each part, with its checksum
    KEY.lock            held by the process that decodes; other processes wait for the whole file

If decoding is interrupted, whatever the reason, the next one goes on after the last good part.
"""

import contextlib
import hashlib
import json
import math
import os
import struct
import time
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from ..common.atomic_file import explaining, move_into_place
from ..common.errors import DinoError, DinoWarning
from .decoding import Decoded, Notes, Outcome, Survey, decode_in_order
from .encoded_image import EncodedImage

CACHE_FORMAT = 5  # raise it when decoding changes, so that images in older caches are decoded again
HEADER = 4096  # bytes, a page of memory: enough for the two entries
PART_BYTES, PART_SECONDS = 2**24, 1.0  # a part ends when it is as large, or took as long: so much work may be lost


def cache_folder() -> Path:
    """Return the folder of the cache: $DINO_CACHE, or dino-diffusion in the user's cache folder. Safe to delete.

    Raises:
        DinoError: if the user has no home folder, as in some containers, and neither variable names another one.
    """
    named = os.environ.get("DINO_CACHE")
    folder = Path(named or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "dino-diffusion"))
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise DinoError(f"there is no home folder for {folder}. Name another folder in DINO_CACHE") from error


def cache_file(survey: Survey, size: int, channels: int) -> Path:
    """Return the cache's file for these images.

    A hash of everything that determines the decoded bytes is its name, so a changed image never meets an old cache.

    Raises:
        DinoError: if there is no place for a cache.
    """
    import PIL

    facts = repr((CACHE_FORMAT, PIL.__version__, size, channels)).encode()
    return cache_folder() / f"{hashlib.sha256(facts + survey.digest).hexdigest()[:32]}.safetensors"


# ---- reading --------------------------------------------------------------------------------------------------------


def read_cache(path: Path, survey: Survey) -> Decoded | None:
    """Return the images of a whole file of the cache, mapped into memory, or None if the file is missing or damaged.

    Mapped images take no memory of their own: the system reads what is used from the file, and forgets it when memory
    is needed. They can't be changed; a program that tries to is ended by the system.

    Args:
        path: the file.
        survey: of the encoded images.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            shape = file.get_slice("images").get_shape()
            encoded_notes = file.get_tensor("notes").tobytes()
        notes = _notes_from(json.loads(encoded_notes))
        fits = path.stat().st_size == HEADER + math.prod(shape) + len(encoded_notes)
        if not fits or len(notes.positions) != shape[0] or notes.n_tried != len(survey.held_out):
            return None
        return notes.decoded(_mapped(path, shape), survey, path)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError):
        return None


def _mapped(path: Path, shape: Sequence[int]) -> Tensor:
    """Map the pixels of a file into memory.

    Read-only, because a private mapping that may be changed counts as memory: Linux and Windows refuse one that is
    larger than all memory.
    """
    import numpy as np

    pixels = np.memmap(path, np.uint8, "r", offset=HEADER, shape=tuple(shape))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(pixels)


def _notes_from(values: Any) -> Notes:
    """Return notes from what `json.loads` returned."""
    notes = Notes(**values)
    notes.skipped = [(position, text) for position, text in notes.skipped]
    notes.losses = [(position, kind, text) for position, kind, text in notes.losses]
    return notes


# ---- writing --------------------------------------------------------------------------------------------------------


def decode_into_cache(
    path: Path, encoded_images: Sequence[EncodedImage], survey: Survey, size: int, channels: int
) -> Decoded | None:
    """Decode images into a file of the cache, and return them as `read_cache` does.

    Goes on where an earlier decoding of the same images was interrupted. If another process decodes them, waits for it.

    Returns:
        The images, which are mapped; or None if another program has removed the file.

    Raises:
        DinoError: if the file can't be written.
        MemoryError, RuntimeError: if there is not enough memory.

    Warns:
        DinoWarning: if Ctrl-C interrupts decoding, or another process is waited for.
    """
    with explaining(path), _alone(path):
        if found := read_cache(path, survey):
            return found
        with (
            _Unfinished(path, (channels, size, size), len(encoded_images)) as unfinished,
            contextlib.closing(
                decode_in_order(encoded_images, survey.order, size, channels, start=unfinished.notes.n_tried)
            ) as outcomes,
        ):
            for outcome in outcomes:
                unfinished.add(outcome)
            unfinished.finish()
        if unfinished.notes.positions:
            return read_cache(path, survey)
        return unfinished.notes.decoded(torch.empty(0, channels, size, size, dtype=torch.uint8), survey)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from decoding the same images within this context.

    Raises:
        OSError: if the folder can't be written, or its disk has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            warnings.warn(DinoWarning("another process is decoding these images. Waiting for it"), stacklevel=2)
            lock.acquire()
    except NotImplementedError as error:
        raise OSError(str(error)) from error
    try:
        yield
    finally:
        lock.release()
        if not path.with_suffix(".partial").exists():  # otherwise those that wait now go on, one after another
            with contextlib.suppress(OSError):
                path.with_suffix(".lock").unlink(missing_ok=True)


class _Unfinished:
    """A file of the cache that isn't whole yet, as a context in which it grows.

    Args:
        path: of the whole file.
        shape: of one image, (C, H, W).
        n: the number of encoded images.

    Attributes:
        notes: on all images so far, beginning with those of an earlier, interrupted decoding.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], n: int) -> None:
        self.path, self.shape, self.n = path, shape, n
        self.partial, self.journal = path.with_suffix(".partial"), path.with_suffix(".partial.jsonl")
        self.notes = Notes()
        self._begin_part()

    def __enter__(self) -> "_Unfinished":
        self.partial.touch()
        self._pixels = self.partial.open("r+b")
        self._lines = self.journal.open("a+b")
        self._recover()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if error is not None and not isinstance(error, OSError):
                with contextlib.suppress(OSError):  # the disk is full, and the error matters more
                    self._end_part()
        finally:
            self._pixels.close()
            self._lines.close()
        if self.notes.n_tried == self.n and not error:
            if self.notes.positions:
                move_into_place(self.partial, self.path)
            self._delete()
        elif isinstance(error, OSError):  # such as a full disk, which needs the space
            self._delete()
        elif isinstance(error, KeyboardInterrupt):
            warnings.warn(
                DinoWarning(
                    f"decoding was interrupted after {self.notes.n_tried:,} of {self.n:,} images. They are kept, and "
                    "the same command goes on from there"
                ),
                stacklevel=2,
            )

    def _delete(self) -> None:
        for file in (self.partial, self.journal):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of the next image."""
        self._part.add(outcome)
        if outcome.pixels is not None:
            self._part_pixels += outcome.pixels.numpy().tobytes()
        if len(self._part_pixels) >= PART_BYTES or time.monotonic() - self._part_began >= PART_SECONDS:
            self._end_part()

    def finish(self) -> None:
        """Write what makes the file whole: the notes behind the pixels, and the header before them."""
        self._end_part()
        notes, n = json.dumps(asdict(self.notes)).encode(), len(self.notes.positions)
        self._pixels.write(notes)
        n_bytes = n * math.prod(self.shape)
        header = {
            "images": {"dtype": "U8", "shape": [n, *self.shape], "data_offsets": [0, n_bytes]},
            "notes": {"dtype": "U8", "shape": [len(notes)], "data_offsets": [n_bytes, n_bytes + len(notes)]},
        }
        self._pixels.seek(0)
        self._pixels.write(struct.pack("<Q", HEADER - 8) + json.dumps(header).encode().ljust(HEADER - 8))

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _begin_part(self) -> None:
        self._part, self._part_pixels, self._part_began = Notes(), bytearray(), time.monotonic()

    def _end_part(self) -> None:
        """Write the pixels of a part, and then its line of the journal, which says that they are good."""
        if self._part.n_tried:
            self._pixels.write(self._part_pixels)
            self._pixels.flush()
            line = asdict(self._part) | {"crc": zlib.crc32(self._part_pixels)}
            self._lines.write(json.dumps(line).encode() + b"\n")
            self._lines.flush()
            self.notes.extend(self._part)
        self._begin_part()

    def _recover(self) -> None:
        """Take over the good parts of an earlier decoding, and cut off the rest."""
        self._lines.seek(0)
        self._pixels.seek(HEADER)
        end_of_lines = 0
        for line in self._lines:
            part = self._good_part(line)
            if part is None:
                break
            self.notes.extend(part)
            end_of_lines += len(line)
        self._lines.truncate(end_of_lines)
        end_of_pixels = HEADER + len(self.notes.positions) * math.prod(self.shape)
        self._pixels.truncate(end_of_pixels)
        self._pixels.seek(0)
        self._pixels.write(bytes(HEADER))
        self._pixels.seek(end_of_pixels)

    def _good_part(self, line: bytes) -> Notes | None:
        """Return the notes on a part if its pixels, which come next in the file, are those that were written."""
        try:
            values = json.loads(line)
            crc, part = values.pop("crc"), _notes_from(values)
            pixels = self._pixels.read(len(part.positions) * math.prod(self.shape))
            return part if line.endswith(b"\n") and zlib.crc32(pixels) == crc else None
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
