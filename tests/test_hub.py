"""Checks of dino.images against a Hugging Face hub: a small one that runs here, in a thread, on the loopback interface.

What `datasets` does depends on its environment when it is imported, so each check loads in a Python of its own. Those
cost seconds each: one of them does many loads, and the tests look at what it reports.
"""

import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

REVISION = "0123456789abcdef0123456789abcdef01234567"
LOCAL = "127.0.0.1"


# ---- what the hub holds ---------------------------------------------------------------------------------------------


def plain(level: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def pictures(*levels: int) -> list[dict[str, Any]]:
    return [{"bytes": plain(level), "path": f"{level}.png"} for level in levels]


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def card(**columns: str) -> bytes:
    """A README with the types of the columns. Without one, `datasets` takes pictures for mere structs of bytes."""
    lines = [f"  - name: {name}\n    dtype: {kind}" for name, kind in columns.items()]
    return "\n".join(["---", "dataset_info:", "  features:", *lines, "---", ""]).encode()


TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"
HOLED = [*pictures(5), None, {"bytes": None, "path": None}, {"bytes": b"?", "path": None}]
HELD = {
    "owner/pokemon": {
        "README.md": card(image="image", text="string"),
        TRAIN: parquet(image=pictures(10, 20, 30), text=["a", "b", "c"]),
        TEST: parquet(image=pictures(40), text=["d"]),
    },
    "owner/CelebFaces-1.5": {"README.md": card(id="int64", face="image"), TRAIN: parquet(id=[1], face=pictures(50))},
    "owner/holed": {"README.md": card(image="image"), TRAIN: parquet(image=HOLED)},
    "owner/words": {TRAIN: parquet(text=["a"], label=[1])},
}


# ---- the hub --------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """The few answers of huggingface.co that `datasets` asks for, about the data sets in HELD."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)  # a proxy is asked for whole addresses; this one serves them all itself
        path = unquote(address.path)
        parts = re.fullmatch(r"/(api/)?datasets/(\w+/[^/]+)/?(.*)", path)
        if path == "/":
            self.answer(b"")
        elif not parts or parts[2] not in HELD:
            self.refuse("RepoNotFound")
        elif parts[1]:
            self.describe(parts[2], parts[3], body)
        else:
            self.send_file(parts[2], parts[3])

    do_HEAD = do_POST = do_GET  # noqa: N815 -- http.server asks for these names

    def do_CONNECT(self) -> None:
        """What a proxy is asked for before https: refused, as nothing here has a certificate."""
        type(self).asked.append(f"{self.command} {self.path}")
        self.answer(b"", status=502)

    def send_file(self, name: str, path: str) -> None:
        """path: resolve/<revision>/<file>."""
        file = HELD[name].get(path.split("/", 2)[-1])
        if file is None:
            self.refuse("EntryNotFound")
        else:
            self.answer(file, {"ETag": f'"{digest(file)}"', "X-Repo-Commit": REVISION})

    def describe(self, name: str, path: str, body: bytes) -> None:
        """path: tree/<revision>/<folder>, paths-info/<revision>, or revision/<revision>."""
        files = [{"type": "file", "path": p, "size": len(b), "oid": digest(b)} for p, b in HELD[name].items()]
        what, _, where = path.partition("/")
        folder = where.partition("/")[2]
        result: Any = {"id": name, "sha": REVISION, "siblings": [{"rfilename": file["path"]} for file in files]}
        if what == "tree" and not folder:
            result = [file for file in files if "/" not in str(file["path"])]
            result.append({"type": "directory", "path": "data", "oid": REVISION})
        elif what == "tree":
            result = [file for file in files if str(file["path"]).startswith(f"{folder}/")]
        elif what == "paths-info":
            result = [file for file in files if file["path"] in json.loads(body)["paths"]]
        self.answer(json.dumps(result).encode(), {"Content-Type": "application/json"})

    def refuse(self, reason: str) -> None:
        self.answer(b"", {"X-Error-Code": reason, "X-Repo-Commit": REVISION}, status=404)

    def answer(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def digest(blob: bytes) -> str:
    return hashlib.sha1(blob).hexdigest()


@dataclass
class Running:
    """The address of a hub, and what it was asked for so far."""

    address: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def hub() -> Iterator[Running]:
    asked: list[str] = []
    server = ThreadingHTTPServer((LOCAL, 0), type("ThisHub", (Hub,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Running(f"http://{LOCAL}:{server.server_port}", asked)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def nothing() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        return f"http://{LOCAL}:{free.getsockname()[1]}"


# ---- loading in a Python of its own ---------------------------------------------------------------------------------

CHILD = """
import json, sys, time, warnings
from dino.errors import DinoError
from dino.images import load_images

for job in json.loads(sys.argv[1]):
    if "reach" in job:  # from here on the hub is looked for at another address
        import huggingface_hub.constants

        huggingface_hub.constants.ENDPOINT = job["reach"]
    began = time.perf_counter()
    report = {"levels": None, "error": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            images = load_images(job["source"], 8, split=job.get("split", "train"))
            assert images.shape[1:] == (3, 8, 8) and (images == images[:, :1, :1, :1]).all()
            report["levels"] = images[:, 0, 0, 0].tolist()
        except DinoError as error:
            report["error"] = str(error)
    report["seconds"] = time.perf_counter() - began
    report["warnings"] = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    report["heavy"] = "datasets" in sys.modules
    print("report", json.dumps(report), flush=True)
"""


class Report(NamedTuple):
    """How one call of load_images went: the gray levels of the pictures, or the DinoError."""

    levels: list[int] | None
    error: str | None
    seconds: float
    warnings: list[str]
    heavy: bool  # whether `datasets` was imported for it


def load(home: Path, address: str, *jobs: dict[str, str], **environment: str) -> list[Report]:
    """Let a fresh Python load each of `jobs`, with all its caches in `home` and the hub at `address`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "HUGGING")) and not name.lower().endswith("_proxy")
    }
    settings = {"HF_HOME": str(home), "HF_ENDPOINT": address, "HF_HUB_DISABLE_TELEMETRY": "1", "DINO_CACHE": str(home)}
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(jobs)],
        env={**kept, "PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore", **settings, **environment},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("report ") for line in done.stdout.splitlines() if line.startswith("report ")]
    return [Report(**json.loads(line)) for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the data sets are kept that were downloaded once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def online(home: Path, hub: Running, nothing: str) -> dict[str, Report]:
    """One Python, whose network is not there at first, comes, and goes again. There is a proxy for https alone."""
    jobs = {
        "before": {"source": "owner/pokemon", "reach": nothing},
        "proxy": {"source": "owner/pokemon", "reach": "https://hub.invalid"},
        "pokemon": {"source": "owner/pokemon", "reach": hub.address},
        "test": {"source": "owner/pokemon", "split": "test"},
        "slice": {"source": "owner/pokemon", "split": "train[1:]+test"},
        "no split": {"source": "owner/pokemon", "split": "validation"},
        "capitals": {"source": "owner/CelebFaces-1.5"},
        "holed": {"source": "owner/holed"},
        "words": {"source": "owner/words"},
        "none": {"source": "owner/none"},
        "after": {"source": "owner/pokemon", "reach": nothing},
    }
    return dict(zip(jobs, load(home, hub.address, *jobs.values(), HTTPS_PROXY=hub.address), strict=True))


# ---- the tests ------------------------------------------------------------------------------------------------------


def test_a_data_set_gives_its_pictures_in_order(online: dict[str, Report]) -> None:
    assert online["pokemon"].levels == [10, 20, 30]
    assert online["pokemon"].warnings == []


def test_any_split_can_be_asked_for(online: dict[str, Report]) -> None:
    assert online["test"].levels == [40]
    assert online["slice"].levels == [20, 30, 40]


def test_a_missing_split_is_an_error_that_names_the_others(online: dict[str, Report]) -> None:
    assert_says(online["no split"], "owner/pokemon", "split validation", "'train'", "'test'")


def test_capitals_and_dots_in_a_name_are_no_obstacle(online: dict[str, Report]) -> None:
    assert online["capitals"].levels == [50]


def test_missing_and_broken_pictures_of_a_data_set_are_skipped_and_named(online: dict[str, Report]) -> None:
    assert online["holed"].levels == [5]
    names = "row 1 (empty), row 2 (empty), row 3 (not a picture)"
    assert online["holed"].warnings == [f"skipped 3 of 4 pictures that could not be read: {names}"]


def test_a_data_set_without_pictures_is_an_error_that_names_its_columns(online: dict[str, Report]) -> None:
    assert_says(online["words"], "no column of pictures, only text, label")


def test_a_data_set_that_is_not_there_is_an_error(online: dict[str, Report]) -> None:
    assert_says(online["none"], "owner/none", "doesn't exist on the Hub")


def test_a_network_that_comes_back_is_used(online: dict[str, Report]) -> None:
    assert_says(online["before"], "owner/pokemon can't be downloaded without a network")
    assert online["pokemon"].levels


def test_a_network_that_goes_away_leaves_what_was_downloaded(online: dict[str, Report]) -> None:
    assert online["after"].levels == [10, 20, 30]


def test_the_hub_is_looked_for_through_the_proxy(online: dict[str, Report], hub: Running) -> None:
    assert "CONNECT hub.invalid:443" in hub.asked
    assert_says(online["proxy"], "without a network")  # our proxy refuses


def test_a_whole_data_set_comes_through_a_proxy(tmp_path: Path, hub: Running) -> None:
    (report,) = load(tmp_path, "http://hub.invalid", {"source": "owner/pokemon"}, HTTP_PROXY=hub.address)
    assert report.levels == [10, 20, 30]
    assert f"GET http://hub.invalid/datasets/owner/pokemon/resolve/{REVISION}/{TRAIN}" in hub.asked


@pytest.mark.usefixtures("online")  # which downloads
def test_without_the_hub_another_python_loads_what_was_downloaded(home: Path, nothing: str) -> None:
    names = ["owner/pokemon", "owner/CelebFaces-1.5", "owner/none"]
    pokemon, capitals, none = load(home, nothing, *({"source": name} for name in names))
    assert pokemon.levels == [10, 20, 30]
    assert capitals.levels == [50]
    assert capitals.seconds < 5, "`datasets`, which is imported by now, would try for 20 seconds if it were let"
    assert_says(none, "there is no folder owner/none here", "without a network", "--data emoji")
    assert none.seconds < 2


@pytest.mark.usefixtures("online")
def test_in_offline_mode_the_hub_is_not_asked(home: Path, hub: Running) -> None:
    asked_before = len(hub.asked)
    none, pokemon = load(home, hub.address, {"source": "owner/none"}, {"source": "owner/pokemon"}, HF_HUB_OFFLINE="1")
    assert_says(none, "without a network", "--data emoji")
    assert none.seconds < 1
    assert not none.heavy
    assert pokemon.levels == [10, 20, 30]
    assert len(hub.asked) == asked_before


def test_without_any_network_the_error_comes_within_two_seconds(tmp_path: Path, nothing: str) -> None:
    with socket.create_server((LOCAL, 0)) as silent:  # takes calls and never answers, like many a firewall
        jobs = {"source": "owner/name"}, {"source": "name", "reach": f"http://{LOCAL}:{silent.getsockname()[1]}"}
        refused, unanswered = load(tmp_path, nothing, *jobs)
    assert_says(refused, "there is no folder owner/name here", "without a network", "--data emoji")
    assert refused.seconds < 2
    assert_says(unanswered, "there is no folder name here", "without a network", "--data emoji")
    assert unanswered.seconds < 2
    assert not unanswered.heavy, "importing `datasets` takes seconds"


def assert_says(report: Report, *words: str) -> None:
    """The report is of a DinoError of one line with these words in it."""
    assert report.error is not None, report.levels
    assert "\n" not in report.error
    assert all(word in report.error for word in words), report.error
