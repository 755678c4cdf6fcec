"""Kinds of files, recognized by their first bytes, for messages that say what a file is if it can't be used."""

from pathlib import Path
from typing import NamedTuple

UNPACK = "unpack it"  # the advice for archives
N_BYTES = 300  # as many first bytes as `file_kind` looks at


class FileKind(NamedTuple):
    """A kind of file."""

    name: str  # with an article, such as "a zip archive"
    advice: str = ""  # what to do to get at the contents, such as "unpack it"
    is_image: bool = False


LFS_POINTER = FileKind("a Git LFS pointer", "fetch the file with: git lfs pull")
WEB_PAGE = FileKind("a web page", "download the file itself (its raw address)")
VIDEO = FileKind("a video", "save its frames as image files")
PARQUET = FileKind("a Parquet file", "let its name end in .parquet")
HEIC = FileKind("a HEIC image", "save it as a JPEG", is_image=True)
AVIF = FileKind("an AVIF image", is_image=True)

STARTS: dict[bytes, FileKind] = {
    b"version https://git-lfs": LFS_POINTER,
    b"PK\x03\x04": FileKind("a zip archive", UNPACK),
    b"\x1f\x8b": FileKind("a gzip archive", UNPACK),
    b"BZh": FileKind("a bzip2 archive", UNPACK),
    b"\xfd7zXZ\0": FileKind("an xz archive", UNPACK),
    b"(\xb5/\xfd": FileKind("a zstd archive", UNPACK),
    b"7z\xbc\xaf\x27\x1c": FileKind("a 7z archive", UNPACK),
    b"Rar!\x1a\x07": FileKind("a RAR archive", UNPACK),
    b"PAR1": PARQUET,
    b"ARROW1": FileKind("an Arrow file", "save the table as a Parquet file"),
    b"\x89HDF\r\n\x1a\n": FileKind("an HDF5 file", "save the images as image files"),
    b"\x93NUMPY": FileKind("a NumPy array", "save the images as image files"),
    b"%PDF": FileKind("a PDF", "save its pages as image files"),
    b"\x1a\x45\xdf\xa3": VIDEO,
    b"#?RADIANCE": FileKind("a Radiance HDR image", "save it with 8 bits a channel", is_image=True),
    b"v/1\x01": FileKind("an OpenEXR image", "save it with 8 bits a channel", is_image=True),
    b"\xff\x0a": FileKind("a JPEG XL image", "save it as a JPEG", is_image=True),
    b"\0\0\0\x0cJXL ": FileKind("a JPEG XL image", "save it as a JPEG", is_image=True),
    b"\x89PNG\r\n\x1a\n": FileKind("a PNG image", is_image=True),
    b"\xff\xd8\xff": FileKind("a JPEG image", is_image=True),
    b"GIF8": FileKind("a GIF image", is_image=True),
    b"BM": FileKind("a BMP image", is_image=True),
    b"II*\0": FileKind("a TIFF image", "save it with 8 bits a channel", is_image=True),
    b"MM\0*": FileKind("a TIFF image", "save it with 8 bits a channel", is_image=True),
}
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # phones save photographs so


def file_kind(start: bytes) -> FileKind | None:
    """Return the kind of a file that begins with these bytes, or None if it isn't recognized."""
    for signature, kind in STARTS.items():
        if start.startswith(signature):
            return kind
    if start[:4] == b"RIFF":
        return {b"WEBP": FileKind("a WebP image", is_image=True), b"AVI ": VIDEO}.get(start[8:12])
    if start[4:8] == b"ftyp":
        return HEIC if start[8:12] in HEIC_BRANDS else AVIF if start[8:12] in (b"avif", b"avis") else VIDEO
    if start[257:262] == b"ustar":
        return FileKind("a tar archive", UNPACK)
    if start[8:10] == b'{"':
        return FileKind("a safetensors file")
    if start.lstrip()[:1] == b"<":
        is_drawing = b"<svg" in start.lower()
        return FileKind("an SVG drawing", "save it as a PNG", is_image=True) if is_drawing else WEB_PAGE
    return None


def kind_of(path: Path) -> FileKind | None:
    """Return the kind of a file, or None if it can't be read or isn't recognized."""
    try:
        with path.open("rb") as file:
            return file_kind(file.read(N_BYTES))
    except OSError:
        return None


def sentence(advice: str) -> str:
    """Return advice as the sentence that follows another one, or "" if there is none."""
    return f". {advice[0].upper()}{advice[1:]}" if advice else ""
