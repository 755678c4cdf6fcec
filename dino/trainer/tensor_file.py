"""Files of tensors that are safe to open: atomic (the old file or the new one), exact (every bit), never unpickled.

Each is a safetensors file, with a description in its header and a fingerprint of all that it holds. There are two
kinds: weights (`dino.weights`) and the state of a run (`dino.checkpoint`). What is in them, number by number:
docs/reference/files.md.
"""

import hashlib
import json
from pathlib import Path
from reprlib import repr as short  # of a file's own words: cut to a few, and no control characters
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..common.atomic_file import replacing
from ..common.errors import DinoError, typed

WEIGHTS, STATE = "model.safetensors", "state.safetensors"  # what the two are called in a run folder
FORMAT = 2  # raise it when an older dino could no longer read the files


def write(path: Path, kind: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and their description to `path`, whole or not at all.

    Args:
        kind: "weights" or "state".
        tensors: by their names, on any device.
        about: what to say of them, fit for JSON.

    Raises:
        DinoError: it could not be written, say as the disk is full.
    """
    # safetensors wants plain row-major memory; channels-last weights get their layout back when they are loaded.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    description = {"format": FORMAT, "kind": kind, "about": about, "sha256": _fingerprint(plain, about)}
    # One entry holds it all, as safetensors keeps entries in no fixed order and equal runs should give equal files.
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain, metadata={"dino": json.dumps(description)}))


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote, and hold it against its fingerprint.

    Args:
        kind: what it must be, "weights" or "state".

    Returns:
        The tensors by their names, on the CPU, and what the file says about them.

    Raises:
        DinoError: there is no such file, it is damaged, of another program or version, or of the other kind.
    """
    about, fingerprint = describe(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            # Copies: the tensors as they come stay tied to the open file, which Windows then refuses to replace.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no dict)
        if _fingerprint(tensors, about) == fingerprint:
            return tensors, about
    # Numbers of a kind that torch hasn't; lists in lists without end; a side that is longer than torch can count.
    except (SafetensorError, RecursionError, TypeError):
        pass
    raise DinoError(f"{path} is damaged: what it holds is not what was saved. Take a copy that is whole")


def describe(path: Path, kind: str) -> tuple[dict[str, Any], str]:
    """What a file says about its tensors, and their fingerprint, read from its header alone and held against nothing.

    Raises:
        DinoError: there is no such file, its header is damaged, of another program or version, or of the other kind.
    """
    if not path.is_file():
        raise DinoError(f"there is no file {path}. Give a run folder, or make one with: {typed('dino train')}")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("dino", "")
    except (SafetensorError, OSError) as error:
        raise DinoError(f"{path} {what_it_is(path)}") from error
    try:
        description = json.loads(header)
        found, version, about = description["kind"], description["format"], dict(description["about"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DinoError(f"{path} was not written by dino. Give a run folder or a model.safetensors of one") from error
    if version != FORMAT:
        raise DinoError(
            f"{path} is of another version of dino (format {short(version):.80}, here {FORMAT}). Use that version"
        )
    if found != kind:
        raise DinoError(
            f"{path} holds {short(found):.80}, and {kind} is needed. A run folder has both: {WEIGHTS} and {STATE}"
        )
    return about, description.get("sha256", "")


def _fingerprint(tensors: dict[str, Tensor], about: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_fit(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Compare names, shapes and kinds of numbers.

    Raises:
        DinoError: they differ; it names the first difference.
    """
    for prefix, whose in (("_orig_mod.", "torch.compile"), ("module.", "DistributedDataParallel")):
        if found and all(name.startswith(prefix) for name in found):
            raise DinoError(f"{path} holds a network wrapped by {whose} (names in {prefix}...). Save what is inside")
    for name in sorted(expected.keys() | found.keys()):
        want, have = (_in_words(tensors[name]) if name in tensors else "absent" for tensors in (expected, found))
        if want != have:
            raise DinoError(f"{path} does not fit its own description: {name!r:.80} should be {want} and is {have}")


def _in_words(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)!s:.60} {str(tensor.dtype).removeprefix('torch.')}"


def what_it_is(path: Path) -> str:
    """What a file that should be safetensors, and can't be read, is instead: in words. Nothing in it is run."""
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if start[8:10] == b'{"':  # safetensors; the length before it may look like anything below
        return "was cut short or damaged. Take a copy that is whole"
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return "is a pickle (torch.save), which could run anything and is never loaded. Save it as safetensors"
    if start.startswith(b"version https://git-lfs"):
        return "is a git-LFS pointer, not the file itself. Fetch that with: git lfs pull"
    if start.lstrip()[:1] == b"<":
        return "is a web page, not weights. Download the file itself (its raw address)"
    return "is no safetensors file, or was cut short or damaged. Take a copy that is whole"
