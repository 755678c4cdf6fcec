"""The kinds of sources of images, and which kind a source is.

To add a kind, such as a zip file (`tests/test_loading.py` shows one):

1. Write a file like `parquet.py` beside this one, with one function that returns a list of `EncodedImage`s.
2. Add the function to `FILES`, or call it in `find_images` if the new kind isn't a file.
3. Mention the new kind where users read of the others: the docstring of `load_images`, the help of `--data` in
   `dino/cli/train.py`, `docs/guides/own-pictures.md`, `docs/reference/data.md` and README. Test it in
   `tests/test_loading.py`.

Decoding, caching and the held-out images then work as for the other kinds. Import nothing here that imports torch: the
command line checks a source before it imports torch, so that a mistake is reported at once.
"""

from collections.abc import Callable
from pathlib import Path

from ..common.errors import DinoError, printable
from .embedded import DEFAULT, embedded_images, is_embedded
from .encoded_image import EncodedImage
from .folder import folder_images
from .hub import check_hub, hub_images, is_hub_name
from .parquet import parquet_images

# Kinds of files that hold many images: how the file's name ends, and the function that finds the images in it.
FILES: dict[str, Callable[[Path], list[EncodedImage]]] = {
    ".parquet": parquet_images,
}


def find_images(source: str, split: str) -> list[EncodedImage]:
    """Return the encoded images of a source, in an order that stays the same.

    Args:
        source: as in `load_images`.
        split: of a Hugging Face data set; other kinds have no splits.

    Raises:
        DinoError: if there is no such source, it can't be read or downloaded, or there are no images in it.
    """
    if is_embedded(source):
        return embedded_images(source)
    path = _existing_path(source)
    if path and path.is_dir():
        return folder_images(path)
    if path and path.is_file():
        if path.suffix.lower() not in FILES:
            raise DinoError(f"{printable(source)} is a single file. Give a folder or a {' or '.join(FILES)} file")
        return FILES[path.suffix.lower()](path)
    if is_hub_name(source):
        return hub_images(source, split)
    raise DinoError(
        f"there is no folder or file {printable(source)}. Check the path, or use the embedded set",
        settings={"data": DEFAULT},
    )


def check(source: str) -> None:
    """Raise an error early, before torch is imported, if a source needs a network and there is none.

    Raises:
        DinoError: if the source is a Hugging Face data set that isn't on this machine and can't be downloaded.
    """
    if not is_embedded(source) and not _existing_path(source) and is_hub_name(source):
        check_hub(source)


def absolute(source: str | None) -> str | None:
    """Return a source that means the same in any working directory: an existing path becomes absolute."""
    path = _existing_path(source) if source and not is_embedded(source) else None
    return str(path.resolve()) if path else source


def _existing_path(source: str) -> Path | None:
    """Return the path that a source names, or None if nothing is there."""
    try:
        path = Path(source).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # longer than any name, behind a locked folder, or of an unknown user (~x)
        return None
