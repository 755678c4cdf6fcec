"""Addresses on the web. No source is one, but many are pasted: say what the address is of, and what to give instead."""

import re

from ..common.errors import DinoError, printable
from .hub import is_hub_name

# At least two letters, because C:/ is a drive. A Path turns two slashes into one.
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
REPOSITORY = re.compile(r"[\w.-]+@[\w.-]+:")  # as `git clone` takes it
HUB = re.compile(r"(?:(?:https?:/+)?(?:www\.)?(?:huggingface\.co|hf\.co)/+|hf:/+)", re.IGNORECASE)
PAGES = {"viewer", "tree", "blob", "resolve", "raw", "discussions", "settings", "embed"}  # below that of a data set


def refuse_address(source: str) -> None:
    """Raise an error that says what an address is of, and what to give instead of the address.

    Raises:
        DinoError: if a source that is no path here is an address.
    """
    shown = printable(source, 120)
    if hub := HUB.match(source):
        _refuse_hub(shown, [part for part in re.split(r"[/?#@]", source[hub.end() :]) if part])
    if (path := source.removeprefix("datasets/")) != source and is_hub_name(path):
        raise DinoError(
            f"there is no folder {shown}. If the data set {path} of the Hugging Face hub is meant, give its name alone",
            settings={"data": path},
        )
    scheme = SCHEME.match(source)
    if scheme and scheme[1].lower() == "file":
        raise DinoError(f"{shown} is an address. Give the path itself: {printable(source[len('file://') :], 120)}")
    if REPOSITORY.match(source):
        raise DinoError(f"{shown} is the address of a repository. Clone it with git, and give its folder")
    if scheme or source.lower().startswith("www."):
        raise DinoError(f"{shown} is an address on the web. Download the images from there, and give their folder")


def _refuse_hub(shown: str, parts: list[str]) -> None:
    """Raise an error for a page of the Hugging Face hub, whose path has these parts.

    Raises:
        DinoError: if this is called.
    """
    kind, *path = parts or [""]
    is_short = len(path) == 1 or not PAGES.isdisjoint(path[1:2])  # a name without an owner
    name = path[0] if path and is_short else "/".join(path[:2])
    if kind == "datasets" and is_hub_name(name):
        raise DinoError(
            f"{shown} is the address of the data set {name} of the Hugging Face hub. Give its name alone",
            settings={"data": name},
        )
    what = {"datasets": "a list of data sets", "spaces": "a program (a space)", "": "the start page"}
    raise DinoError(
        f"{shown} is the address of {what.get(kind, 'a model')} of the Hugging Face hub. "
        "Give the name of a data set, such as huggan/pokemon"
    )
