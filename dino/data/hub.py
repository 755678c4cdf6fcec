"""Data sets of the Hugging Face hub. `datasets` downloads them once, and keeps them in a cache of its own."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.errors import DinoError, first_line, printable
from .embedded import DEFAULT
from .encoded_image import EncodedImage, Found
from .parquet import with_label_names
from .words import words_of_row

if TYPE_CHECKING:  # imported where it is used, because it costs up to three seconds
    import datasets

PATIENCE = 1.5  # seconds to wait for the hub


def is_hub_name(source: str) -> bool:
    """Return whether a source that is no path here could be the name of a data set, such as owner/name."""
    is_name = re.fullmatch(r"([\w-][\w.-]{0,95}/)?[\w-][\w.-]{0,95}", source, re.ASCII)
    return bool(is_name) and not Path(source).suffix[1:].isalpha()


def hub_images(name: str, split: str) -> Found:
    """Return the images of one split of a data set, downloaded or from the cache of `datasets`.

    Raises:
        DinoError: if the data set can't be loaded, or has no column of images.
    """
    datasets = _import_datasets(name)
    _refuse_reader(name)
    with offline_unless_reachable(), _explaining(name, f", split {printable(split)}"):
        dataset = datasets.load_dataset(name, split=split)
    images = dataset_images(dataset)
    passed_over = {f"images of the column {other}": len(images) for other in _columns_of_images(dataset)[1:]}
    return Found(images, passed_over, has_splits=True)


def check_hub(name: str) -> None:
    """Check, without importing torch, that a data set can be downloaded or is in the cache of `datasets`.

    Raises:
        DinoError: if there is no network and the data set isn't in the cache, or `name` isn't a data set.
    """
    datasets = _import_datasets(name)
    _refuse_reader(name)
    with offline_unless_reachable() as offline, _explaining(name):
        if offline:
            verbosity = datasets.logging.get_verbosity()
            datasets.logging.set_verbosity_error()  # `hub_images` will log the same
            try:
                datasets.load_dataset_builder(name)
            finally:
                datasets.logging.set_verbosity(verbosity)


def dataset_images(dataset: "datasets.Dataset") -> list[EncodedImage]:
    """Return the images of a data set that is loaded: its first column of type Image, still encoded.

    Raises:
        DinoError: if it has no such column.
    """
    import datasets

    columns = _columns_of_images(dataset)
    if not columns:
        raise DinoError(f"this data set has no column of images, only {printable(', '.join(dataset.features))}")
    encoded = dataset.cast_column(columns[0], datasets.Image(decode=False)).select_columns(columns[:1])

    def reader(i: int) -> Callable[[], bytes]:
        def read() -> bytes:
            cell = encoded[i][columns[0]] or {}
            return cell.get("bytes") or (_read_downloaded(cell["path"]) if cell.get("path") else b"")

        return read

    words = _words(dataset)
    return [EncodedImage(f"row {i}", reader(i), words[i]) for i in range(len(encoded))]


def _columns_of_images(dataset: "datasets.Dataset") -> list[str]:
    """Return the columns of images, also those that `datasets` takes for structs, because their set has no README."""
    import datasets

    def is_image(kind: Any) -> bool:
        return isinstance(kind, datasets.Image) or (isinstance(kind, dict) and kind.keys() == {"bytes", "path"})

    return [name for name, kind in dataset.features.items() if is_image(kind)]


def _words(dataset: "datasets.Dataset") -> list[tuple[str, ...]]:
    """Return the words of each row, from its columns of texts and labels."""
    import datasets

    features = dataset.features
    labels = {name: kind.names for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
    texts = [name for name, kind in features.items() if getattr(kind, "dtype", None) in ("string", "large_string")]
    if not labels and not texts:
        return [()] * len(dataset)
    return [words_of_row(with_label_names(row, labels)) for row in dataset.select_columns([*labels, *texts])]


def _read_downloaded(path: str) -> bytes:
    """Read a file of a data set. Its author wrote the path, so only files that were downloaded are allowed.

    Raises:
        OSError: if the file is elsewhere, or can't be read.
    """
    import huggingface_hub.constants as hub
    from datasets import config

    caches = (hub.HF_HUB_CACHE, config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH)
    if not any(Path(path).resolve().is_relative_to(Path(cache).resolve()) for cache in caches):
        raise OSError("it is not in the data set")
    return Path(path).read_bytes()


# ---- the network ----------------------------------------------------------------------------------------------------


@contextmanager
def offline_unless_reachable() -> Iterator[bool]:
    """Switch `datasets` to its offline mode while the hub can't be reached. Yields whether the mode is on.

    Without a network, `datasets` would retry for 23 seconds before it looks into its cache. In its offline mode it
    looks there at once. Afterwards the mode is as it was before, because the network may be back at the next call.
    """
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or not hub_answers()
    try:
        yield config.HF_HUB_OFFLINE
    finally:
        config.HF_HUB_OFFLINE = before


def hub_answers() -> bool:
    """Return whether the hub can be reached. Takes at most `PATIENCE` seconds."""
    from huggingface_hub import constants, get_session

    answered = threading.Event()

    def ask() -> None:
        try:
            get_session().head(constants.ENDPOINT, timeout=PATIENCE)
            answered.set()
        except Exception:  # a missing network raises a dozen kinds of errors
            return

    # In a thread, because name look-ups have no time limit.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return answered.is_set()


# ---- errors ---------------------------------------------------------------------------------------------------------


def _import_datasets(name: str) -> Any:
    """Import `datasets`, which a machine that only trains on files may lack."""
    try:
        import datasets
    except ImportError as error:
        raise DinoError(f"data sets of the hub, such as {name}, need another package: pip install datasets") from error
    return datasets


def _refuse_reader(name: str) -> None:
    """Raise an error for names such as "csv" and "imagefolder".

    `datasets` takes these for ways to read files, and would read whatever is in the working directory.
    """
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES as READERS

    if name in READERS:
        raise DinoError(f"{name} isn't a data set but a way to read one. Give a folder of images or a .parquet file")


@contextmanager
def _explaining(name: str, part: str = "") -> Iterator[None]:
    """Report any error of `datasets` in one line. It raises many kinds, most of them with long messages."""
    from datasets import config

    try:
        yield
    except Exception as error:
        if config.HF_HUB_OFFLINE and isinstance(error, ConnectionError):  # and the data set isn't cached
            raise DinoError(
                f"there is no folder {name} here, and the data set {name} can't be downloaded without a network. "
                "Use the embedded set instead",
                settings={"data": DEFAULT},
            ) from error
        raise DinoError(f"could not load the data set {name}{part}: {printable(first_line(error))}") from error
