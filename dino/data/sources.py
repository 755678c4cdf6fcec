"""The kinds of sources of images, and which kind a source is.

To add a kind, such as a zip file (`tests/test_loading.py` shows one):

1. Write a file like `parquet.py` beside this one, with one function that returns `Found`, a list of
   `EncodedImage`s.
2. Add the function to `FILES`, or call it in `find` if the new kind isn't a file.
3. Mention the new kind where users read of the others: the docstring of `load_images`, the help of `--data` in
   `dino/cli/train.py`, `docs/guides/own-pictures.md`, `docs/reference/data.md` and README. Test it in
   `tests/test_loading.py`.

Decoding, caching and the held-out images then work as for the other kinds. Import nothing here that imports torch: the
command line checks a source before it imports torch, so that a mistake is reported at once.
"""

from collections.abc import Callable
from pathlib import Path

from ..common.errors import DinoError, printable
from ..common.file_kinds import UNPACK, kind_of, sentence
from .addresses import refuse_address
from .embedded import DEFAULT, embedded_images, is_embedded
from .encoded_image import EncodedImage, Found
from .folder import folder_images
from .hub import check_hub, hub_images, is_hub_name
from .parquet import parquet_images

# Kinds of files that hold many images: how the file's name ends, and the function that finds the images in it.
FILES: dict[str, Callable[[Path], Found]] = {
    ".parquet": parquet_images,
}


def find_images(source: str, split: str) -> list[EncodedImage]:
    """Return the encoded images of a source, as `find` finds them."""
    return find(source, split).images


def find(source: str, split: str) -> Found:
    """Return the encoded images of a source, in an order that stays the same, and a count of what was passed over.

    Args:
        source: as in `load_images`.
        split: of a Hugging Face data set, or of a folder that is laid out in splits; other kinds have none.

    Raises:
        DinoError: if there is no such source, it can't be read or downloaded, or there are no images in it.
    """
    if is_embedded(source):
        return Found(embedded_images(source))
    path = _existing_path(source)
    if path and path.is_dir():
        return folder_images(path, split)
    if path and path.is_file():
        _refuse_file(path)
        return FILES[path.suffix.lower()](path)
    if is_hub_name(source):
        return hub_images(source, split)
    refuse_address(source)
    raise DinoError(
        f"there is no folder or file {printable(source)}. Check the path, or use the embedded set",
        settings={"data": DEFAULT},
    )


def _refuse_file(path: Path) -> None:
    """Raise an error that says what a file is if it isn't of a kind that holds many images.

    Raises:
        DinoError: if the file's name doesn't end like those of such files.
    """
    if path.suffix.lower() in FILES:
        return
    kind, give = kind_of(path), f"Give a folder or a {' or '.join(FILES)} file"
    if kind and kind.advice == UNPACK:
        raise DinoError(f"{printable(str(path))} is {kind.name}. Unpack it, and give the folder")
    if kind and not kind.is_image:
        raise DinoError(f"{printable(str(path))} is {kind.name}{sentence(kind.advice)}. {give}")
    what = f", {kind.name}" if kind else ""
    raise DinoError(f"{printable(str(path))} is a single file{what}. {give}")


def check(source: str) -> None:
    """Raise an error early, before torch is imported, if it is clear that a source can't be loaded.

    Raises:
        DinoError: if the source is a file of another kind or an address, or a Hugging Face data set that isn't on this
            machine and can't be downloaded.
    """
    if is_embedded(source):
        return
    path = _existing_path(source)
    if path and path.is_file():
        _refuse_file(path)
    elif not path and is_hub_name(source):
        check_hub(source)
    elif not path:
        refuse_address(source)


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
