"""Malformed and malicious files and names: each is refused in one line, and nothing in them is run.

Each fault is tried on both kinds of files, weights and state, and they are opened as the commands open them.
"""

import json
import os
import pickle
import random
import re
import shutil
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from dino import cli
from dino.common.errors import DinoError, DinoWarning
from dino.data import hub, sources
from dino.data.loading import load_images
from dino.trainer import tensor_file
from dino.trainer.checkpoint import state_of
from dino.trainer.config import Config
from dino.trainer.model_file import load_model
from dino.trainer.run_folder import saved_config
from dino.trainer.tensor_file import STATE, WEIGHTS
from dino.trainer.trainer import Trainer

IMAGES = torch.arange(16 * 3 * 8 * 8).reshape(16, 3, 8, 8).to(torch.uint8)
TINY = Config("emoji:face-hat", size=8, widths=(4, 4), depths=(1, 0), n_images=32, batch_size=8, precision="float32")
ESCAPE = "\x1b[31m\nred\x07\r\x9b2J"  # would color, ring and clear a terminal, or look like a line of dino
KINDS = {WEIGHTS: "weights", STATE: "state"}
NESTED: Any = 1  # half a million numbers when written out
for _ in range(6):
    NESTED = [NESTED] * 9

Spoil = Callable[[dict[str, Tensor], dict[str, Any]], Any]


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, saved."""
    folder, trainer = tmp_path_factory.mktemp("run"), Trainer(TINY, device="cpu", images=IMAGES)
    for _ in zip(range(2), trainer.steps(), strict=False):
        pass
    trainer.save(folder, 0.5)
    return folder


@pytest.fixture(params=[WEIGHTS, STATE])
def file(request: pytest.FixtureRequest, run: Path, tmp_path: Path) -> Path:
    """A file of that run, to be spoiled."""
    return Path(shutil.copy(run / request.param, tmp_path))


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Limit the memory to a gigabyte more than is in use. Only on Linux, where that is possible."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before, pages = resource.getrlimit(resource.RLIMIT_AS), int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def content(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return everything that dino reads from a file."""
    if path.name == WEIGHTS:
        model, metadata = load_model(path)
        return model.state_dict(), metadata
    trainer = Trainer(saved_config(path.parent), device="cpu", images=IMAGES)
    trainer.load(path.parent)
    tensors, optimizer = state_of({"model": trainer.model, "ema": trainer.ema}, trainer.optimizer)
    tensors |= {"losses": torch.stack(trainer.unlogged)}
    return tensors, trainer.metadata() | {"optimizer": optimizer}


def refusal(path: Path) -> str:
    """Return the message for a file that must be refused: one short printable line that names the file."""
    with pytest.raises(DinoError) as caught:
        content(path)
    message = str(caught.value)
    assert message.isprintable(), repr(message[:1000])
    assert len(message.replace(str(path), path.name)) <= 300
    assert str(path) in message
    return message


def header_of(blob: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, and the bytes after it."""
    end = 8 + struct.unpack_from("<Q", blob)[0]
    return json.loads(blob[8:end]), blob[end:]


def with_header(header: Any, numbers: bytes = b"", length: int | None = None) -> bytes:
    written = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(written) if length is None else length) + written + numbers


def forge(path: Path, spoil: Spoil) -> None:
    """Write a file again with other tensors or metadata, and a fingerprint that is right for them.

    Unlike dino, a forger also writes NaN, which is no JSON.
    """
    tensors, metadata = tensor_file.read(path, KINDS[path.name])
    spoil(tensors, metadata)
    dumps = json.dumps
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json, "dumps", lambda value, **options: dumps(value, **options | {"allow_nan": True}))
        tensor_file.write(path, KINDS[path.name], tensors, metadata)


# ---- files of other kinds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a pickle", "an old pickle", "torch.save", "old torch.save"])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(file: Path, kind: str, tmp_path: Path) -> None:
    marker = tmp_path / "was run"
    if "torch" in kind:
        saved = tmp_path / "saved.pt"
        torch.save(
            {"weight": torch.zeros(2), "x": Bomb(marker)}, saved, _use_new_zipfile_serialization="old" not in kind
        )
    else:
        saved = tmp_path / "saved.pkl"
        saved.write_bytes(pickle.dumps(Bomb(marker), protocol=0 if "old" in kind else None))
    shutil.copy(saved, file)
    assert ("is not a safetensors file" if kind == "an old pickle" else "is a pickle") in refusal(file)
    assert not marker.exists()
    torch.load(saved, weights_only=False) if "torch" in kind else pickle.loads(saved.read_bytes())
    assert marker.exists()  # the bomb works


def test_a_file_of_another_kind_is_refused_by_its_kind(file: Path, run: Path) -> None:
    other_kind = (run / (STATE if file.name == WEIGHTS else WEIGHTS)).read_bytes()
    for blob, message in (
        (b"<!DOCTYPE html>\n<html><title>404\x1b[2J</title></html>\n" * 99, "is a web page"),
        (b"\n\n  <html>Sign in</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "is a Git LFS pointer"),
        (b"PK\x03\x04" + bytes(300), "is a zip archive, not weights. Unpack it"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive, not weights. Unpack it"),
        (b"\x89PNG\r\n\x1a\n", "is a PNG image, not weights. Give a run folder or a weights file"),
        (b'{"error": "Repository not found\\u001b[2J"}', "is not a safetensors file"),
        (ESCAPE.encode() * 99, "is not a safetensors file"),
        (bytes(10_000), "is not a safetensors file"),
        (other_kind, "is needed"),
    ):
        file.write_bytes(blob)
        assert message in refusal(file)


# ---- damage ---------------------------------------------------------------------------------------------------------


def test_a_file_cut_short_anywhere_or_with_extra_bytes_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    start = 8 + struct.unpack_from("<Q", whole)[0]  # the first byte after the header
    for place in (0, 4, 8, 9, start // 2, start - 1, start, start + 2, (start + len(whole)) // 2, len(whole) - 1):
        file.write_bytes(whole[:place])
        assert "cut short" in refusal(file), place
    file.write_bytes(whole + b"\0")
    assert "damaged" in refusal(file)


def test_a_flipped_bit_is_refused_wherever_it_is(file: Path) -> None:
    whole, chance, (tensors, metadata) = file.read_bytes(), random.Random(5), content(file)
    header = 8 + struct.unpack_from("<Q", whole)[0]
    for place in [*range(64), *(chance.randrange(8 * end) for end in (header, len(whole)) for _ in range(150))]:
        spoiled = bytearray(whole)
        spoiled[place // 8] ^= 1 << place % 8
        file.write_bytes(spoiled)
        try:
            found, said = content(file)
        except DinoError:
            refusal(file)
        else:  # for example, a space between two words has become another kind of space
            assert said == metadata
            assert found.keys() == tensors.keys()
            assert all(torch.equal(found[name], tensors[name]) for name in tensors), place


def test_a_damaged_state_is_refused_before_its_metadata_is_used(run: Path, tmp_path: Path) -> None:
    (tmp_path / STATE).write_bytes((run / STATE).read_bytes().replace(b"emoji:face-hat", b"owner/pictures"))
    with pytest.raises(DinoError, match=r"state\.safetensors is damaged"):
        saved_config(tmp_path)


# ---- false headers and metadata -------------------------------------------------------------------------------------


def test_a_false_header_is_refused_and_takes_no_memory(file: Path, little_memory: None) -> None:
    header, numbers = header_of(file.read_bytes())
    metadata, name = header.pop("__metadata__"), min(header)
    written = json.dumps({"__metadata__": metadata} | header)
    twice = f'{written[:-1]}, "{name}": {json.dumps(header[name] | {"shape": [2**40]})}}}'

    def one(kind: str = "F32", shape: tuple[int, ...] = (1,), ends: tuple[int, int] = (0, 0)) -> bytes:
        entry = {"dtype": kind, "shape": shape, "data_offsets": ends}
        return with_header({"__metadata__": metadata, "x": entry}, bytes(max(0, min(4, ends[1]))))

    for blob in (
        *(with_header(b"{}", length=length) for length in (3, 99_999_999, 10**9, 2**63 - 1, 2**63, 2**64 - 1)),
        with_header(written.encode(), numbers, length=len(written) + 1),
        with_header(twice.encode(), numbers),
        *(with_header(text, numbers) for text in (b"", b"null", b"[]", b"{}", b"not JSON", b"\xff\xfe", b'{"x": NaN}')),
        *(with_header(text * 10**5) for text in (b"[", b'{"x":', b'{"__metadata__":{"dino":')),
        *(with_header({"__metadata__": {"dino": text}}) for text in ("[" * 10**6, "9" * 10**5, ESCAPE, 1, "1")),
        *(one(shape=shape) for shape in ((0, 2**62), (0, 2**63), (2**64 - 1, 0), (0,) * 10**5)),
        *(one(shape=shape, ends=(0, 4)) for shape in ((2**40,), (2**62, 4), (-1,), (2**64 + 1,))),
        *(one(ends=ends) for ends in ((0, 2**62), (4, 0), (2**63, 2**63 + 4), (-4, 0))),
        *(one(kind, (2,), (0, 1)) for kind in ("F4", "F6_E2M3", "F8_E8M0", ESCAPE, "O")),
        with_header({"__metadata__": metadata, ESCAPE * 99: header[name]} | header, numbers),
    ):
        file.write_bytes(blob)
        assert re.search("cut short|damaged|not written by dino", refusal(file)), blob[:200]


def test_deeply_nested_lists_are_refused(file: Path) -> None:
    header, numbers = header_of(file.read_bytes())
    for depth in (5, 900, 990, 10**5):
        metadata = f'{{"x": {"[" * depth}{"]" * depth}}}'
        header["__metadata__"]["dino"] = f'{{"format": 3, "kind": "{KINDS[file.name]}", "metadata": {metadata}}}'
        file.write_bytes(with_header(header, numbers))
        assert re.search("is damaged|not written by dino", refusal(file))


def test_false_metadata_is_refused(file: Path) -> None:
    header, numbers = header_of(file.read_bytes())
    truth = json.loads(header["__metadata__"]["dino"])
    for changes, message in (
        ({"format": 2}, "written by an older version of dino (its format is 2, and this version reads format 3)"),
        ({"format": 4}, "written by another version of dino (its format is 4, and this version reads format 3)"),
        *(({"format": lie}, "another version") for lie in (ESCAPE * 999, NESTED, {ESCAPE * 99: NESTED})),
        *(({"kind": lie}, "is needed") for lie in (ESCAPE * 999, NESTED, {ESCAPE * 99: NESTED})),
        *(({"metadata": lie}, "not written by dino") for lie in (None, ESCAPE, NESTED)),
        *(({"sha256": lie}, "is damaged") for lie in (None, NESTED, "0" * 64)),
    ):
        header["__metadata__"]["dino"] = json.dumps(truth | changes)
        file.write_bytes(with_header(header, numbers))
        assert message in refusal(file), str(changes)[:100]


LIES: list[tuple[str, Any, str]] = [
    ("step", NESTED, "not all are counts"), ("step", -1, "not all are counts"), ("config", NESTED, "its config lacks"),
    ("images_seen", {ESCAPE * 99: NESTED}, "not all are counts"), ("n_training_images", ESCAPE, "not all are counts"),
    ("config", {ESCAPE: 1}, "its config lacks"), ("data", NESTED, "data should be"), 
    ("size", 10**4000, "size should be"),
    ("widths", NESTED, "widths should be"), ("widths", {ESCAPE * 99: NESTED}, "widths should be"),
    ("size", "8" * 10**6, "size should be"), ("learning_rate", float("nan"), "learning_rate should be"),
    ("precision", ESCAPE, "precision is auto"), ("precision", "x" * 10**6, "precision is auto"),
    ("data", f"emoji:{ESCAPE}", "data must be one line"), ("data", "a\u2028b", "data must be one line"),
    ("split", "\ud800", "split must be one line"), ("batch_size", 10**12, "at most 65,536"),
    ("widths", [2**14, 2**14], "larger than the file"), ("depths", [10**9, 10**9], "larger than the file"),
    ("widths", [2**31, 2**31], "calculation overflowed"), ("widths", [2**63 - 1, 1], "calculation overflowed"),
    ("depths", [2**62, -(2**62)], "no network has"), ("size", 2**40, "no network has"),
    ("channels", 10**9, "no network has"), ("n_images", ESCAPE, "n_images should be"),
]  # fmt: skip


def test_false_metadata_with_the_right_fingerprint_is_refused_before_it_takes_memory(
    file: Path, little_memory: None
) -> None:
    whole = file.read_bytes()
    for name, lie, message in LIES:
        file.write_bytes(whole)
        forge(file, lambda _, metadata: (metadata["config"] if hasattr(TINY, name) else metadata).update({name: lie}))  # noqa: B023
        assert message in refusal(file), f"{name} {lie}"[:100]


# ---- weights of something else --------------------------------------------------------------------------------------


def test_weights_that_do_not_fit_are_refused_and_the_first_difference_is_named(file: Path) -> None:
    whole, net = file.read_bytes(), "" if file.name == WEIGHTS else "ema."
    first = f"{net}down.0.0.weight"

    def put(name: str, tensor: Tensor | None) -> Spoil:
        return lambda tensors, _: tensors.pop(name, None) if tensor is None else tensors.update({name: tensor})

    def wrap(prefix: str) -> Spoil:
        return lambda tensors, _: [tensors.update({net + prefix + name.removeprefix(net): tensors.pop(name)})
                                   for name in list(tensors) if name.startswith(net)]  # fmt: skip

    def optimizer(name: str, value: Any) -> Spoil:
        return lambda _, metadata: metadata["optimizer"].update({name: value})

    cases: list[tuple[Spoil, str]] = [
        (put(first, None), f"{first!r} should be (4, 4, 3, 3) float32 and is absent"),
        (put(first, torch.zeros(4)), f"{first!r} should be (4, 4, 3, 3) float32 and is (4,) float32"),
        (put(first, torch.zeros(4, 4, 3, 3).half()), "and is (4, 4, 3, 3) float16"),
        (put("another", torch.zeros(2)), "'another' should be absent and is (2,) float32"),
        (put(f"A{ESCAPE}", torch.zeros(2)), r"'A\x1b[31m\nred"),
        (put("A" * 10**6, torch.zeros(2)), "'AAAAA"),
        (put("A", torch.zeros([0] * 1000)), "'A' should be absent and is (0, 0"),
        (wrap("_orig_mod."), "wrapped by torch.compile" if not net else "'ema._orig_mod."),
        (wrap("module."), "wrapped by DistributedDataParallel" if not net else f"{first!r} should be"),
        (
            lambda _, metadata: metadata["config"].update(widths=[4, 3]),
            f"'{net}down.1.0.weight' should be (3, 4, 3, 3)",
        ),
        (lambda _, metadata: metadata["config"].update(depths=[0, 1]), f"'{net}down.0.1.body.0.bias' should be"),
        (lambda tensors, _: tensors.clear(), "such a network is larger than the file"),
    ]
    if file.name == WEIGHTS:  # for a state, the images are found not to fit
        cases.append((lambda _, metadata: metadata["config"].update(channels=1), "should be"))
    else:
        cases += [
            (put("losses", None), "'losses' should be (0,) float32 and is absent"),
            (put("losses", torch.tensor(1.0)), "'losses' should be (1,) float32 and is () float32"),
            (put("losses", torch.tensor([1])), "'losses' should be (1,) float32 and is (1,) int64"),
            (put("optimizer.3.exp_avg", None), "'optimizer.3.exp_avg' should be"),
            (put("optimizer.0.step", torch.zeros(2)), "'optimizer.0.step' should be () float32 and is (2,)"),
            (put("optimizer.999.step", torch.zeros(())), "'optimizer.999.step' should be absent"),
            (put("optimizer.9999999999.step", torch.zeros(())), "there is no weight '9999999999' to optimize"),
            (put(f"optimizer.{'9' * 5000}.step", torch.zeros(())), "there is no weight '999"),
            (put("optimizer.-1.step", torch.zeros(())), "there is no weight '-1' to optimize"),
            (put("optimizer.٣.step", torch.zeros(())), "there is no weight '٣' to optimize"),
            (put("optimizer.", torch.zeros(())), "there is no weight '' to optimize"),
            (lambda _, metadata: metadata.update(step=10**9), "is wrong about the steps of its run or its precision"),
            (lambda _, metadata: metadata.update(precision=ESCAPE), "is wrong about the steps of its run"),
            (lambda _, metadata: metadata.update(optimizer=NESTED), "does not say how far its run is"),
            (optimizer("class", NESTED), "holds the state of another optimizer: [[["),
            (optimizer("class", ESCAPE), r"holds the state of another optimizer: '\x1b[31m\nred"),
            (optimizer("numbers", NESTED), "holds the state of another optimizer"),
            (optimizer("numbers", {ESCAPE: 1}), "the optimizer keeps other numbers"),
            (optimizer("numbers", {"optimizer.0.step": 1}), "the optimizer keeps other numbers"),
        ]
    for spoil, message in cases:
        file.write_bytes(whole)
        forge(file, spoil)
        assert message in refusal(file)


# ---- the commands ---------------------------------------------------------------------------------------------------


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[Any, str, str]]:
    """Run a command. Returns its exit status, its report and its errors."""

    def say(*words: str | Path) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["dino", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, *capsys.readouterr()

    return say


def test_the_commands_refuse_a_bad_file_in_one_line(run: Path, tmp_path: Path, say: Callable[..., Any]) -> None:
    for spoil in (
        lambda whole: pickle.dumps(Bomb(tmp_path / "was run")),
        lambda whole: b"<html>\n404\n</html>",
        lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
        lambda whole: whole[:-1],
    ):
        for name in (WEIGHTS, STATE):
            (tmp_path / name).write_bytes(spoil((run / name).read_bytes()))
        for words in (("sample",), ("info",), ("compare",), ("train", "--resume")):
            status, report, errors = say(*words, tmp_path)
            assert (status, report, errors.count("\n")) == (1, "", 1), errors
            assert errors.startswith(f"dino: {tmp_path / (STATE if 'train' in words else WEIGHTS)} ")
            assert errors.removesuffix("\n").isprintable()
    assert {path.name for path in tmp_path.iterdir()} == {WEIGHTS, STATE}


def test_a_report_on_a_file_cannot_control_the_terminal(run: Path, tmp_path: Path, say: Callable[..., Any]) -> None:
    shutil.copy(run / WEIGHTS, tmp_path)
    lies = {"precision": f"\ud800{ESCAPE}", "loss": ESCAPE, "dino": ESCAPE, ESCAPE: ESCAPE}
    forge(tmp_path / WEIGHTS, lambda _, metadata: (metadata.update(lies), metadata["config"].update(data="x" * 10**6)))
    status, report, errors = say("info", tmp_path)
    assert (status, errors) == (0, "")
    assert r"\ud800\x1b[31m" in report
    assert all(line.isprintable() and len(line) < 400 for line in report.splitlines())


def test_an_address_instead_of_a_path_is_refused_in_one_line(say: Callable[..., Any]) -> None:
    for words, expected in (
        (("train", "--data", "https://huggingface.co/datasets/huggan/pokemon"), "alone. Try --data huggan/pokemon.\n"),
        (("train", "--data", "https://example.com/cats"), "Download the images from there, and give their folder.\n"),
        (("sample", "https://huggingface.co/a/b/resolve/main/model.safetensors"), "give the path of their file.\n"),
        (("info", "hf://owner/name"), "is not the name of a model of the hub. Write hf:USER/NAME"),
    ):
        status, report, errors = say(*words)
        assert (status, report, errors.count("\n")) == (1, "", 1), errors
        assert expected in errors


# ---- names ----------------------------------------------------------------------------------------------------------

GOOD, SECRET = (1, 2, 3), (200, 10, 20)  # the colors of images that may and may not be loaded


def image(path: Path, color: tuple[int, int, int]) -> bytes:
    Image.new("RGB", (8, 8), color).save(path)
    return path.read_bytes()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with other files around it, which must not change. The cache must hold plain files only."""
    here, cache, home = (tmp_path / name for name in ("work/here", "caches/dino", "homes/me"))
    for folder in (here, cache, home):
        folder.mkdir(parents=True)
        image(folder.parent / "secret.bmp", SECRET)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DINO_CACHE", str(cache))
    monkeypatch.setattr(hub, "hub_answers", lambda: False)

    def around() -> dict[Path, bytes | None]:
        found = (path for path in tmp_path.rglob("*") if not {here, cache} & {path, *path.parents})
        return {path: path.read_bytes() if path.is_file() else None for path in found}

    before = around()
    yield here
    assert around() == before
    assert all(re.fullmatch(r"[0-9a-f]{32}\.safetensors", str(path.relative_to(cache))) for path in cache.rglob("*"))


NAMES = [
    "../../x", "../../../../../../no-such-source", "/etc/passwd", "/etc/passwd/x", "/dev/null", "~/x", "~/../x",
    "~nobody-here/x",
    "emoji:../../../x", f"emoji:{ESCAPE}", "emoji:" + "x" * 10**5, "emojis/../../x", f"../{ESCAPE}", ESCAPE,
    "owner/..", "../owner", "owner\\..\\x", "owner/..x", "-x/../y", "\0", "owner/\0", f"owner/{ESCAPE}", "\ud800",
    "x" * 300, "owner/" + "x" * 10**5, "owner/name", "owner/name\n", "file:///etc/passwd", "hf://datasets/x/y", "a b",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_of_a_missing_source_leads_nowhere(here: Path, name: str) -> None:
    assert sources.absolute(name) == name
    with pytest.raises(DinoError) as caught:
        load_images(name, 8)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 300


def test_a_run_that_names_a_source_elsewhere_is_refused_in_one_line(
    here: Path, run: Path, say: Callable[..., Any]
) -> None:
    for name in (WEIGHTS, STATE):
        shutil.copy(run / name, here)
        forge(here / name, lambda _, metadata: metadata["config"].update(data="../../caches/../x"))
    for words in ("train", "--resume"), ("compare",):
        status, _, errors = say(*words, ".")
        assert (status, errors.count("\n")) == (1, 1)
        assert errors.startswith("dino: there is no folder or file ../../caches/../x.")


@pytest.mark.parametrize("name", ["pandas", "imagefolder", "parquet", "webdataset"])
def test_the_name_of_a_reader_is_not_taken_for_a_data_set(here: Path, name: str) -> None:
    (here / "train.pkl").write_bytes(pickle.dumps(Bomb(here / "was run")))
    image(here / "train.bmp", SECRET)
    with pytest.raises(DinoError, match=f"{name} isn't a data set"):
        load_images(name, 8)
    assert not (here / "was run").exists()


@pytest.mark.parametrize(
    "column", ["../../x", "/etc/passwd", ESCAPE, "", "\0", "a.b", "image.bytes", "x" * 10**5], ids=range(8)
)
def test_the_name_of_a_column_is_only_a_name(here: Path, column: str) -> None:
    cells = pa.array([image(here / "good.bmp", GOOD)])
    for array in (cells, pa.array([{"bytes": cells[0].as_py(), "path": "../../secret.bmp"}])):
        pq.write_table(pa.table({column: array}), "t.parquet")
        assert load_images("t.parquet", 8)[0, :, 0, 0].tolist() == list(GOOD)
    for table in (pa.table({column: [1]}), pa.Table.from_arrays([cells, cells], names=[column, column])):
        pq.write_table(table, "t.parquet")
        with pytest.raises(
            DinoError, match=r"^t\.parquet (has no column of images|isn't a readable Parquet file)"
        ) as caught:
            load_images("t.parquet", 8)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) <= 300


def test_an_image_in_a_parquet_file_cannot_point_elsewhere(here: Path) -> None:
    cells: list[dict[str, Any]] = [{"bytes": image(here / "good.bmp", GOOD), "path": "../secret.bmp"}]
    cells += [{"bytes": None, "path": path} for path in ("/etc/hostname", "../secret.bmp", f"{here.parent}/secret.bmp")]
    pq.write_table(pa.table({"image": cells}), "t.parquet")
    with pytest.warns(DinoWarning, match="skipped 3 of 4 images"):
        assert load_images("t.parquet", 8)[:, :, 0, 0].tolist() == [list(GOOD)]


def test_an_image_in_a_data_set_cannot_point_outside_the_download(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(here / "hub"))
    (here / "hub" / "blobs").mkdir(parents=True)
    good = image(here / "hub" / "blobs" / "0123.bmp", GOOD)
    (here / "hub" / "good.bmp").symlink_to("blobs/0123.bmp")  # as the hub's cache is laid out
    (here / "hub" / "bad.bmp").symlink_to(here.parent / "secret.bmp")
    outside = ["/etc/hostname", "../secret.bmp", f"{here.parent}/secret.bmp", "hub/../../secret.bmp", "hub/bad.bmp"]
    table = pa.table({"image": [{"bytes": None, "path": path} for path in ("hub/good.bmp", *outside)]})
    schema = datasets.Features({"image": datasets.Image()}).arrow_schema
    found = hub.dataset_images(datasets.Dataset(table.cast(schema)))
    assert found[0].read() == good
    for unread in found[1:]:
        with pytest.raises(OSError, match="not in the data set"):
            unread.read()


def test_a_parquet_file_whose_type_is_a_pickle_runs_nothing(here: Path) -> None:
    bomb = pickle.dumps(Bomb(here / "was run"))  # as pyarrow kept types made in Python, before its version 14
    kind = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": bomb}
    field = pa.field("image", pa.binary(), metadata=kind)
    pq.write_table(pa.table([[image(here / "good.bmp", GOOD)]], pa.schema([field])), "t.parquet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyarrow warns that it doesn't load the type
        assert len(load_images("t.parquet", 8)) == 1
    assert not (here / "was run").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_the_name_of_an_image_or_a_folder_cannot_control_the_terminal(here: Path) -> None:
    (here / ESCAPE).mkdir()
    with pytest.raises(DinoError, match="there are no images in the folder") as empty:
        load_images(ESCAPE, 8)
    for name in ("a\x1b[31m\nb.png", "\x9b2J.png", "c\u2028dino: all is well.png", "x" * 250 + ".png", "\udcff.png"):
        (here / ESCAPE / name).write_text("no picture")
    with pytest.raises(DinoError, match="none of the 5 images of ") as all_bad:
        load_images(ESCAPE, 8)
    image(here / ESCAPE / "good.bmp", GOOD)
    messages = [str(empty.value), str(all_bad.value)]
    for _ in ("decoded", "from the cache"):
        with pytest.warns(DinoWarning, match="skipped 5 of 6 images") as warned:
            assert len(load_images(ESCAPE, 8)) == 1
        messages.append(str(warned[0].message))
        assert r"a\x1b[31m\nb.png (not an image)" in messages[-1]
    assert all(line.isprintable() and len(line) < 600 for line in messages)
