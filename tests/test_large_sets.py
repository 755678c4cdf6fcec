"""Large sets: decoding with bounded memory that goes on where it stopped, and training from the memory-mapped cache."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import warnings
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from dino import cli
from dino.common import memory
from dino.common.errors import DinoError, DinoWarning
from dino.common.memory import free_disk, free_memory, size_in_words
from dino.data import cache, decoding, loading, space
from dino.data.cache import CACHE_FORMAT, cache_folder
from dino.data.decoding import DecodedImage
from dino.data.loading import LabeledImages, fingerprint, load_images, load_labeled_images
from dino.data.parquet import parquet_images
from dino.data.space import Needs
from dino.images import batches
from dino.trainer import device as devices
from dino.trainer.config import Config
from dino.trainer.image_feed import batches_from_file
from dino.trainer.trainer import Trainer
from tests.waiting import wait_until

TINY = Config(size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 16, batch_size=16, precision="float32", max_words=8)
N = 300


def png(k: int, side: int = 8) -> bytes:
    """Return image number k: its number is in the first pixel of any size up to `side`."""
    file = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), (k % 256, k // 256, 7), np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A Parquet file of 300 images with words, of which two can't be read."""
    images = [b"broken" if k in (3, 250) else png(k) for k in range(N)]
    words = ["even" if k % 2 == 0 else "odd small" for k in range(N)]
    pq.write_table(pa.table({"image": images, "words": words}), tmp_path / "set.parquet", row_group_size=70)
    return tmp_path / "set.parquet"


def load(table: Path, **options: Any) -> LabeledImages:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "skipped")
        return load_labeled_images(table, 8, **options)


def numbers(images: Tensor) -> list[int]:
    return [int(image[0, 0, 0]) + 256 * int(image[1, 0, 0]) for image in images]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a part of a file end after ten images of 8 x 8."""
    monkeypatch.setattr(cache, "PART_BYTES", 10 * 192)


class Interruption:
    """Stands in for `decode`, and counts its images. It presses Ctrl-C at one of them."""

    def __init__(self, at: int = 0, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.at, self.error, self.decode, self.n = at, error, decoding.decode, 0

    def __call__(self, encoded: bytes, size: int, channels: int) -> DecodedImage:
        self.n += 1
        if self.n == self.at:
            raise self.error
        return self.decode(encoded, size, channels)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Interruption]:
    def interrupt(*arguments: Any) -> Interruption:
        interruption = Interruption(*arguments)
        monkeypatch.setattr(decoding, "decode", interruption)
        return interruption

    monkeypatch.setattr(decoding, "N_AHEAD", 5)
    return interrupt


def files() -> set[str]:
    return {"".join(path.suffixes) for path in cache_folder().iterdir()}


# ---- mapped images --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["all", "training", "held out"])
def test_mapped_images_equal_those_in_memory_with_their_words(table: Path, part: str) -> None:
    in_memory = load(table, part=part, memory_map=False)
    mapped = load(table, part=part, memory_map=True)
    uncached = load(table, part=part, cache=False)
    assert in_memory.file is uncached.file is None
    assert (mapped.file is None) == (part == "all"), "which is in another order"
    for other in (mapped, uncached):
        assert torch.equal(other.images, in_memory.images)
        assert torch.equal(other.words, in_memory.words)
        assert other.vocabulary == in_memory.vocabulary
    shown = numbers(in_memory.images)
    assert shown == sorted(shown), "in the order of the source"
    even = in_memory.words[:, in_memory.vocabulary.index("even")].tolist()
    assert even == [number % 2 == 0 for number in shown]


def test_the_parts_are_the_whole_and_the_same_as_ever(table: Path) -> None:
    parts = [numbers(load(table, part=part).images) for part in ("training", "held out")]
    assert sorted(parts[0] + parts[1]) == [k for k in range(N) if k not in (3, 250)]
    held_out = [k for k in range(N) if int.from_bytes(hashlib.sha256(png(k)).digest()[:8]) % 10 == 0]
    assert parts[1] == held_out, "the hash of each file's bytes chooses"


def test_mapped_images_take_no_memory_of_their_own(table: Path) -> None:
    mapped = load(table, part="training", memory_map=True)
    assert mapped.file == next(cache_folder().glob("*.safetensors"))
    again = load(table, part="held out", memory_map=True)
    maps = Path("/proc/self/maps")
    if maps.exists():
        lines = [line for line in maps.read_text().splitlines() if line.endswith(str(mapped.file))]
        assert lines
        assert all(line.split()[1].startswith("r--") for line in lines), "writable ones would count as memory"
    assert len(again.images)


def test_images_are_mapped_if_they_would_take_more_than_half_of_the_free_memory(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_bytes = load(table, part="training").images.nbytes
    for free, is_mapped in ((2 * n_bytes, False), (2 * n_bytes - 1, True), (None, False)):
        monkeypatch.setattr(loading, "free_memory", lambda free=free: free)
        assert (load(table, part="training").file is not None) == is_mapped
        assert load(table, part="training", memory_map=True).file
        assert not load(table, part="training", memory_map=False).file


def test_images_larger_than_the_memory_are_not_copied_into_it(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(table)
    monkeypatch.setattr(space, "free_memory", lambda: 1000)
    monkeypatch.setattr(loading, "free_memory", lambda: 1000)
    for options in ({"part": "training", "memory_map": False}, {"part": "all"}):
        with pytest.raises(DinoError, match=r"need 5\d kB of memory, and 1.0 kB are free") as error:
            load(table, **options)
        assert error.value.settings["memory_map"] is True
    assert load(table, part="training").file


def test_the_fingerprint_of_a_set_is_the_one_it_always_had() -> None:
    images = torch.arange(3000, dtype=torch.int64).remainder(251).byte()[:, None, None, None].expand(-1, 3, 2, 2)
    assert fingerprint(images) == hashlib.sha256(images.numpy().tobytes()).hexdigest()[:12]


# ---- bounded memory -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_parts")
def test_only_a_few_decoded_images_are_in_memory_at_once(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive, most, decode = weakref.WeakSet[Tensor](), [0], decoding.decode

    def counted(encoded: bytes, size: int, channels: int) -> DecodedImage:
        decoded = decode(encoded, size, channels)
        alive.add(decoded.pixels)
        most[0] = max(most[0], len(alive))
        return decoded

    monkeypatch.setattr(decoding, "decode", counted)
    monkeypatch.setattr(decoding, "N_AHEAD", 20)
    assert len(load(table).images) == N - 2
    assert 0 < most[0] <= 60


def test_a_parquet_file_is_read_a_few_rows_at_a_time(tmp_path: Path) -> None:
    path, n = tmp_path / "one-group.parquet", 400
    random = np.random.default_rng(0)
    cells = [png(k)[:33] + random.bytes(50_000) for k in range(n)]
    pq.write_table(pa.table({"image": cells}), path, compression="none", write_batch_size=10)
    assert pq.ParquetFile(path).num_row_groups == 1
    before = pa.total_allocated_bytes()
    images = parquet_images(path).images
    most = 0
    for k, image in enumerate(images):
        assert image.read() == cells[k]
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 10_000_000, "of 20 MB"


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_the_rows_of_a_parquet_file_can_be_read_in_any_order(
    tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino.data import parquet

    monkeypatch.setattr(parquet, "MAX_ROWS", 3)
    monkeypatch.setattr(parquet, "MAX_BEHIND", 4)
    monkeypatch.setattr(parquet, "MAX_SKIPPED", 5)
    pq.write_table(pa.table({"image": [png(k) for k in range(40)]}), tmp_path / "a.parquet", row_group_size=rows)
    images = parquet_images(tmp_path / "a.parquet").images
    order = [*range(40), 0, 39, 39, 20, 19, 18, 3, 30, *torch.randperm(40).tolist()]
    for row in order:
        assert images[row].read() == png(row)


# ---- interrupted decoding -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("at", [1, 8, 120, 280])
def test_decoding_that_ctrl_c_interrupts_goes_on_from_there(
    table: Path, interrupt: Callable[..., Interruption], at: int
) -> None:
    expected = load(table, cache=False)
    interrupt(at)
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(DinoWarning, match=r"interrupted after \d+ of 300 images"),
    ):
        load(table)
    assert ".safetensors" not in files(), "nothing half-written is taken for whole"
    rest = interrupt()
    for _ in range(2):
        loaded = load(table)
        assert torch.equal(loaded.images, expected.images)
        assert torch.equal(loaded.words, expected.words)
        assert rest.n <= N - at + 1 + 30, "the images before are not decoded again"
    assert files() == {".safetensors"}


@pytest.mark.usefixtures("small_parts")
def test_an_interrupted_decoding_writes_the_same_file_and_warnings_as_one_that_was_not(
    table: Path, interrupt: Callable[..., Interruption]
) -> None:
    with pytest.warns(DinoWarning) as whole:
        load_images(table, 8)
    (file,) = cache_folder().iterdir()
    sound = file.read_bytes()
    file.unlink()
    for at in (100, 60, 1):
        interrupt(at)
        with pytest.raises(KeyboardInterrupt), pytest.warns(DinoWarning, match="interrupted"):
            load(table)
    interrupt()
    with pytest.warns(DinoWarning) as resumed:
        load_images(table, 8)
    assert file.read_bytes() == sound
    assert [str(w.message) for w in resumed] == [str(w.message) for w in whole]
    assert "could not be read: set.parquet row 3 (not an image), set.parquet row 250" in str(whole[0].message)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "a byte of the pixels": lambda pixels, _: flip_byte(pixels, cache.HEADER + 25 * 192),
    "the end of the pixels": lambda pixels, _: os.truncate(pixels, pixels.stat().st_size - 100),
    "more pixels": lambda pixels, _: append(pixels, b"half a part"),
    "all pixels": lambda pixels, _: pixels.unlink(),
    "half a line": lambda _, journal: os.truncate(journal, journal.stat().st_size - 20),
    "no end of the line": lambda _, journal: os.truncate(journal, journal.stat().st_size - 1),
    "another line": lambda _, journal: append(journal, b'{"n_tried": 1}\n[]\n7\nno json\n'),
    "the first line": lambda _, journal: flip_byte(journal, 3),
    "the whole journal": lambda _, journal: journal.unlink(),
}


def flip_byte(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def append(path: Path, content: bytes) -> None:
    path.write_bytes(path.read_bytes() + content)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_a_dying_process_leaves_half_written_is_decoded_again(
    table: Path, interrupt: Callable[..., Interruption], damage: str
) -> None:
    expected = load(table, cache=False)
    interrupt(150)
    with pytest.raises(KeyboardInterrupt), pytest.warns(DinoWarning):
        load(table)
    (pixels,), (journal,) = cache_folder().glob("*.partial"), cache_folder().glob("*.partial.jsonl")
    DAMAGES[damage](pixels, journal)
    interrupt()
    assert torch.equal(load(table).images, expected.images)
    assert files() == {".safetensors"}
    assert torch.equal(load(table).images, expected.images)


def test_a_full_memory_keeps_what_is_decoded(table: Path, interrupt: Callable[..., Interruption]) -> None:
    interrupt(100, MemoryError)
    with pytest.raises(MemoryError):
        load(table)
    rest = interrupt()
    assert len(load(table).images) == N - 2
    assert rest.n < N - 50


@pytest.mark.usefixtures("small_parts")
def test_a_full_disk_leaves_nothing_behind(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, n = cache._Unfinished._end_part, [0]

    def fails_later(unfinished: Any) -> None:
        n[0] += 1
        if n[0] > 3:
            raise OSError(28, "No space left on device")
        real(unfinished)

    monkeypatch.setattr(cache._Unfinished, "_end_part", fails_later)
    with pytest.warns(DinoWarning, match="not cached: the disk is full"):
        assert len(load(table).images) == N - 2
    assert not files()


def test_images_that_all_can_not_be_read_leave_nothing_in_the_cache(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(DinoError, match="none of the 1 images"):
        load_images(tmp_path, 8)
    assert not files()


PROGRAM = """
import sys, time
from dino.data import cache, decoding
from dino.data.loading import load_images
cache.PART_SECONDS, decode = 0.05, decoding.decode
def slow(*arguments):
    time.sleep(0.05)
    return decode(*arguments)
decoding.decode = slow
load_images(sys.argv[1], 8)
"""


def test_a_killed_decoding_goes_on(table: Path, interrupt: Callable[..., Interruption]) -> None:
    killed = subprocess.Popen([sys.executable, "-c", PROGRAM, str(table)])
    wait_until(lambda: any(path.stat().st_size > 1_000 for path in cache_folder().glob("*.jsonl")), killed)
    killed.kill()
    killed.wait()
    n_kept = sum(json.loads(line)["n_tried"] for path in cache_folder().glob("*.jsonl") for line in path.open())
    assert 0 < n_kept < N
    expected, rest = load(table, cache=False), interrupt()
    assert torch.equal(load(table).images, expected.images)
    assert rest.n == N - n_kept
    assert files() == {".safetensors"}


def test_a_process_waits_for_another_one_that_decodes_the_same_images(
    table: Path, tmp_path: Path, interrupt: Callable[..., Interruption], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(table).images
    (whole,) = cache_folder().iterdir()
    lock = FileLock(whole.with_suffix(".lock"))
    lock.acquire()
    whole.rename(tmp_path / "whole")
    messages = []

    def finish(message: Warning, *_: object) -> None:
        """Do what the other process does in the end."""
        messages.append(str(message))
        (tmp_path / "whole").rename(whole)
        lock.release()

    decoded = interrupt()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "skipped")
        monkeypatch.setattr(warnings, "showwarning", finish)
        assert torch.equal(load_images(table, 8), expected)
    assert messages == ["another process is decoding these images. Waiting for it"]
    assert decoded.n == 0
    assert files() == {".safetensors"}


def test_a_cache_of_an_older_version_is_left_alone_and_not_used(table: Path) -> None:
    from safetensors.torch import save_file

    assert CACHE_FORMAT == 5
    load(table)
    (new,) = cache_folder().iterdir()
    # The same name, as if the format were no part of it: an old file has other entries.
    old = {
        "images": torch.zeros(298, 3, 8, 8, dtype=torch.uint8),
        "held_out": torch.zeros(298),
        "kept": torch.ones(300),
    }
    save_file(old, new, metadata={"skipped, losses": "[[], {}]"})
    assert numbers(load(table).images)[:5] == [0, 1, 2, 4, 5]


# ---- what a set needs -----------------------------------------------------------------------------------------------


def test_what_a_set_needs_and_what_there_is_is_known_before_it_is_decoded(table: Path) -> None:
    found: list[Needs] = []
    for _ in range(2):
        load(table, before_decoding=found.append)
    (needs,) = found  # not from the cache
    assert (needs.n_images, needs.size, needs.n_bytes) == (300, 8, 300 * 192)
    assert re.fullmatch(
        r"300 images of 8 x 8 need 58 kB. Free: [\d.]+ [kMGT]B on the disk and [\d.]+ [kMGT]B of memory", str(needs)
    )


def test_a_set_for_which_there_is_no_space_is_refused_before_it_is_decoded(
    table: Path, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[..., Interruption]
) -> None:
    decoded = interrupt()
    monkeypatch.setattr(space, "free_disk", lambda _: 50_000)
    monkeypatch.setattr(space, "free_memory", lambda: 40_000)
    with pytest.raises(DinoError, match=r"no space for these images: 300 images .* need 58 kB\. Free: 50 kB") as error:
        load(table)
    assert error.value.settings == {"size": None}
    assert decoded.n == 0


def test_a_set_that_fits_only_into_memory_is_not_cached(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "free_disk", lambda _: 50_000)
    with pytest.warns(DinoWarning, match="not cached: 300 images of 8 x 8 need 58 kB. Free: 50 kB on the disk"):
        assert len(load(table, memory_map=True).images) == N - 2
    assert not files()


def test_what_an_interrupted_decoding_wrote_counts_as_free(
    table: Path, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[..., Interruption]
) -> None:
    interrupt(250)
    with pytest.raises(KeyboardInterrupt), pytest.warns(DinoWarning):
        load(table)
    interrupt()
    monkeypatch.setattr(space, "free_disk", lambda _: 25_000)
    assert len(load(table).images) == N - 2
    assert files() == {".safetensors"}


def test_the_command_says_what_a_large_set_needs_and_where_its_images_are(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dino.cli.train.LARGE", 50_000)
    words = ["train", "--data", str(table), "--size", "8", "--images", "64", "--device", "cpu"]
    size = size_in_words(load(table, part="training", cache=False).images.nbytes)
    for option, where in (
        ("--memory-map", f"{size} of images stay on the disk: each batch is read from the cache (memory-mapped)"),
        ("--no-memory-map", f"{size} of images, all in the memory of cpu"),
    ):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "skipped")
            result = CliRunner().invoke(cli.app, [*words, option], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert ("decoding  300 images of 8 x 8 need 58 kB. Free: " in result.output) == (option == "--memory-map")
        assert f"memory    {where}" in result.output
    first, second = (Path(f"runs/quick-{k}/model.safetensors").read_bytes() for k in (1, 2))
    assert first == second


def test_sizes_are_written_with_their_unit() -> None:
    sizes = {0: "0 bytes", 999: "999 bytes", 1_000: "1.0 kB", 9_990: "10 kB", 614_400_000: "614 MB", 10**13: "10 TB"}
    assert {n: size_in_words(n) for n in sizes} == sizes
    assert size_in_words(None) == "unknown"


def test_the_free_memory_and_disk_are_known_here(tmp_path: Path) -> None:
    free, disk = free_memory(), free_disk(tmp_path / "not" / "there")
    assert free
    assert 2**20 < free < 2**50
    assert disk


def test_the_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for folder, limit, used in ((tmp_path / "a", "5000", "3000"), (tmp_path / "a" / "b", "max", "2000")):
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
    (tmp_path / "a" / "memory.stat").write_text("anon 7\ninactive_file 400\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    lines = {
        Path("/proc/self/cgroup"): ["0::/a/b"],
        Path("/proc/meminfo"): ["MemTotal:  99 kB", "MemAvailable:   50 kB"],
    }
    read = memory._lines
    monkeypatch.setattr(memory, "_lines", lambda file: lines.get(file) or read(file))
    assert free_memory() == 2400
    lines[Path("/proc/self/cgroup")] = ["12:cpu:/x"]
    assert free_memory() == 51200


# ---- training -------------------------------------------------------------------------------------------------------


def test_batches_from_a_file_equal_those_from_memory_bit_for_bit(blobs: Tensor) -> None:
    cpu = torch.device("cpu")
    for batch_size, start in ((7, 0), (16, 5), (100, 2)):
        ours = batches_from_file(blobs, batch_size, seed=3, start=start, device=cpu)
        theirs = batches(blobs, batch_size, seed=3, start=start)
        for _ in range(12):
            assert torch.equal(next(ours), next(theirs))


def test_a_run_from_the_disk_equals_one_from_memory_bit_for_bit_with_words_and_when_resumed(
    table: Path, tmp_path: Path
) -> None:
    config = replace(TINY, data=str(table))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = [Trainer(config, device="cpu", memory_map=memory_map) for memory_map in (False, True)]
        resumed = Trainer(config, device="cpu", memory_map=True)
    assert runs[0].image_file is None
    assert runs[1].image_file is not None
    assert runs[0].config.vocabulary == ("even", "odd", "small") or set(runs[0].config.vocabulary) >= {"even", "odd"}
    for k, loss in enumerate(runs[0].steps(), start=1):
        if k == 20:
            runs[0].save(tmp_path, loss.item())
            resumed.load(tmp_path)
        if k == 40:
            break
    for trainer, n in ((runs[1], 40), (resumed, 20)):
        for _ in zip(range(n), trainer.steps(), strict=False):
            pass
        assert trainer.step == 40
        for one, other in zip(
            runs[0].weights + runs[0].ema_weights, trainer.weights + trainer.ema_weights, strict=True
        ):
            assert torch.equal(one, other)


class Placed(Exception):
    """The images are where they belong, and making the trainer need not go on."""


def test_images_stay_where_they_are_if_they_do_not_fit_on_the_device(
    blobs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The device meta has no data, but a tensor says whether it was moved there.
    monkeypatch.setattr(devices, "choose_device", lambda *_: torch.device("meta"))
    monkeypatch.setattr(Trainer, "_new_network", Mock(side_effect=Placed))
    for free, memory_map, stay in (
        (2 * blobs.nbytes, None, False),
        (2 * blobs.nbytes - 1, None, True),
        (2 * blobs.nbytes, True, True),
        (1, False, False),
    ):
        monkeypatch.setattr(devices, "free_memory", lambda _, free=free: free)
        trainer = Trainer.__new__(Trainer)
        with pytest.raises(Placed):
            trainer.__init__(TINY, images=blobs, memory_map=memory_map)  # type: ignore[misc]
        assert (trainer.images.device.type == "cpu") == stay
