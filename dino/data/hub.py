"""Where pictures come from: the embedded emoji, folders, Parquet files, Hugging Face data sets.

All that is found here is names and encoded bytes; `images.py` decodes them. Nothing here needs torch, so that a source
that can't be had is told at once.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.errors import DinoError, first_line, printable

if TYPE_CHECKING:  # imported where it is used: it costs up to three seconds
    import datasets
from .encoded_image import EncodedImage


def download(name: str, split: str) -> "datasets.Dataset":
    """One split of a data set of the Hugging Face hub, from the local cache or downloaded."""
    import huggingface_hub.constants as hub

    was_offline = hub.HF_HUB_OFFLINE
    offline = must_work_offline(name)
    import datasets
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES as READERS  # csv, imagefolder and the like

    if name in READERS:  # these are no data sets: they would read whatever lies in the working directory
        raise DinoError(f"{name} is no data set, but a way to read one. Give a folder of pictures or a .parquet file")
    try:
        hub.HF_HUB_OFFLINE = offline  # or `datasets` would try for 23 seconds
        return datasets.load_dataset(name, split=split)
    except Exception as error:  # the library raises many kinds, most with long texts; the first line says what it is
        raise DinoError(
            f"could not load the data set {name}, split {printable(split)}: {printable(first_line(error))}"
        ) from error
    finally:
        hub.HF_HUB_OFFLINE = was_offline  # the network may be back at the next call


def must_work_offline(name: str) -> bool:
    """Whether only the local cache can give this data set.

    Raises:
        DinoError: that hasn't got it either.
    """
    try:
        import huggingface_hub.constants as hub
    except ImportError as error:
        raise DinoError(f"data sets of the hub, such as {name}, need another package: pip install datasets") from error
    offline = hub.HF_HUB_OFFLINE or not _hub_answers(hub.ENDPOINT)
    if offline and not _is_downloaded(name, Path(hub.HF_HOME)):
        raise DinoError(
            f"there is no folder {name} here, and the data set {name} can't be downloaded without a network. "
            "Use the embedded pictures instead: --data emoji"
        )
    return offline


def _is_downloaded(name: str, home: Path) -> bool:
    """Whether `datasets` has (some of) this data set in its cache. It writes owner/CelebA as owner___celeb_a."""

    def plain(name: str) -> str:
        return name.replace("/", "").replace("_", "").lower()

    folder = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    return any(plain(entry.name) == plain(name) for entry in folder.glob("*"))


def _hub_answers(address: str) -> bool:
    """Whether the hub can be reached, found out in 1.5 seconds. In a thread, as name look-ups know no time limit."""
    from huggingface_hub import get_session

    answered = threading.Event()

    def ask() -> None:
        try:
            get_session().head(address, timeout=1.5)
            answered.set()
        except Exception:  # no network shows itself in a dozen ways; each means no
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(1.5)
    return answered.is_set()


def dataset_images(dataset: "datasets.Dataset") -> list[EncodedImage]:
    """The pictures of a data set: its first column of type Image, still encoded."""
    import datasets

    columns = [name for name, kind in dataset.features.items() if isinstance(kind, datasets.Image)]
    if not columns:
        raise DinoError(f"this data set has no column of pictures, only {printable(', '.join(dataset.features))}")
    encoded = dataset.cast_column(columns[0], datasets.Image(decode=False)).select_columns(columns[:1])

    def reader(i: int) -> Callable[[], bytes]:
        def read() -> bytes:
            cell = encoded[i][columns[0]] or {}
            return cell.get("bytes") or (_downloaded(cell["path"]) if cell.get("path") else b"")

        return read

    return [EncodedImage(f"row {i}", reader(i)) for i in range(len(encoded))]


def _downloaded(path: str) -> bytes:
    """A file of a data set. Its maker wrote the path, so it counts only among what was downloaded.

    Raises:
        OSError: it lies elsewhere, or can't be read.
    """
    import huggingface_hub.constants as hub
    from datasets import config

    caches = (hub.HF_HUB_CACHE, config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH)
    if not any(Path(path).resolve().is_relative_to(Path(cache).resolve()) for cache in caches):
        raise OSError("it is not in the data set")
    return Path(path).read_bytes()
