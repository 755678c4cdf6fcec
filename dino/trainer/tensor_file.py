"""Tensor files: safetensors files that are replaced atomically, exact to the bit, and never unpickled.

Each has metadata in its header and a fingerprint of everything it holds. There are two kinds: weights
(`dino.trainer.model_file`) and the state of a run (`dino.trainer.checkpoint`). docs/reference/files.md lists their
contents.
"""

import hashlib
import json
from pathlib import Path
from reprlib import repr as short  # shortens text from a file, and spells out its control characters
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..common.atomic_file import replacing
from ..common.errors import DinoError
from ..common.file_kinds import N_BYTES, file_kind, sentence
from ..data.addresses import SCHEME

WEIGHTS, STATE = "model.safetensors", "state.safetensors"  # their names in a run folder
FORMAT = 3  # raise it when older versions of dino couldn't read new files, or this version couldn't read older files


def write(path: Path, kind: str, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write tensors and their metadata to `path`, atomically.

    Args:
        path: the file.
        kind: "weights" or "state".
        tensors: by their names, on any device.
        metadata: a description of the tensors, fit for JSON, which has no NaN and no infinity.

    Raises:
        DinoError: if the file can't be written, for example because the disk is full.
        ValueError: if a number in the metadata is NaN or infinite.
    """
    # safetensors wants plain row-major memory. Channels-last weights get their layout back when they are loaded.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": FORMAT, "kind": kind, "metadata": metadata, "sha256": _fingerprint(plain, metadata)}
    # One entry holds all of it, because safetensors keeps entries in no fixed order and equal runs should write equal
    # files.
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain, metadata={"dino": json.dumps(header, allow_nan=False)}))


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file that `write` wrote, and check its contents against its fingerprint.

    Args:
        path: the file.
        kind: the kind that is needed, "weights" or "state".

    Returns:
        The tensors by their names, on the CPU, and their metadata.

    Raises:
        DinoError: if there is no such file; or if it is damaged, comes from another program or version, or is of the
            other kind.
    """
    metadata, fingerprint = read_metadata(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            # Copies, because the originals stay tied to the open file, which Windows then refuses to replace.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
        if _fingerprint(tensors, metadata) == fingerprint:
            return tensors, metadata
    # A dtype that torch doesn't have; lists nested without end; a side that is longer than torch can count.
    except (SafetensorError, RecursionError, TypeError):
        pass
    raise DinoError(f"{path} is damaged: its contents are not what was saved. Use a copy that is whole")


def read_metadata(path: Path, kind: str) -> tuple[dict[str, Any], str]:
    """Read the metadata and the fingerprint of a file, from its header alone and without checking the tensors.

    Raises:
        DinoError: if there is no such file; or if its header is damaged, comes from another program or version, or is
            of the other kind.
    """
    if SCHEME.match(str(path)) and not path.exists():
        raise DinoError(f"{path} is an address on the web. Download the weights, and give the path of their file")
    if not path.is_file():
        raise DinoError(f"there is no file {path}. Name a run folder or a weights file, or train a model first")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("dino", "")
    except (SafetensorError, OSError) as error:
        raise DinoError(f"{path} {_what_it_is(path)}") from error
    try:
        description = json.loads(header)
        found, version = description["kind"], description["format"]
        metadata = dict(description["metadata"]) if version == FORMAT else {}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DinoError(
            f"{path} was not written by dino. Name a run folder, or the model.safetensors in one"
        ) from error
    if version != FORMAT:
        age = "an older" if isinstance(version, int) and version < FORMAT else "another"
        raise DinoError(
            f"{path} was written by {age} version of dino (its format is {short(version):.80}, and this version reads "
            f"format {FORMAT}). Use that version, or train again"
        )
    if found != kind:
        raise DinoError(
            f"{path} holds {short(found):.80}, and {kind} is needed. A run folder has both: {WEIGHTS} and {STATE}"
        )
    return metadata, description.get("sha256", "")


def check_fit(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Compare the names, shapes and dtypes of the tensors in a file with the expected ones.

    Raises:
        DinoError: if they differ. The message names the first difference.
    """
    for prefix, whose in (("_orig_mod.", "torch.compile"), ("module.", "DistributedDataParallel")):
        if found and all(name.startswith(prefix) for name in found):
            raise DinoError(
                f"{path} holds a network wrapped by {whose} (names begin with {prefix}). Save the network inside it"
            )
    for name in sorted(expected.keys() | found.keys()):
        want, have = (_in_words(tensors[name]) if name in tensors else "absent" for tensors in (expected, found))
        if want != have:
            raise DinoError(f"{path} does not fit its own description: {name!r:.80} should be {want} and is {have}")


def _in_words(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)!s:.60} {str(tensor.dtype).removeprefix('torch.')}"


def _fingerprint(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _what_it_is(path: Path) -> str:
    """Return why a file can't be read as safetensors, as the end of a sentence. Nothing in the file is run."""
    try:
        with path.open("rb") as file:
            start = file.read(N_BYTES)
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if start[8:10] == b'{"':  # safetensors; the length before it may look like anything below
        return "was cut short or damaged. Use a copy that is whole"
    if start.startswith(b"\x80") or (start.startswith(b"PK\x03\x04") and b"data.pkl" in start):
        return "is a pickle (torch.save), which could run any code and is never loaded. Save it as safetensors"
    if kind := file_kind(start):
        return f"is {kind.name}, not weights{sentence(kind.advice or 'give a run folder or a weights file')}"
    return "is not a safetensors file, or was cut short or damaged. Use a copy that is whole"
