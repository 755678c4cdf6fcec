"""dino.data.hub against a small Hugging Face hub, which runs here in a thread on the loopback interface.

`datasets` reads its environment when it is imported, so each check loads in a new Python process. A process costs
seconds, so one of them does many loads, and the tests look at its reports.
"""

import contextlib
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

from dino.data import hub as dino_hub

REVISION = "0123456789abcdef0123456789abcdef01234567"
LOCAL = "127.0.0.1"


# ---- the data sets of the hub ---------------------------------------------------------------------------------------


def plain(level: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), level, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def cells(*levels: int) -> list[dict[str, Any]]:
    return [{"bytes": plain(level), "path": f"{level}.png"} for level in levels]


def parquet(**columns: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def card(**columns: str) -> bytes:
    """Return a README with the types of the columns. Without a README, `datasets` takes images for structs of bytes."""
    lines = [f"  - name: {name}\n    dtype: {kind}" for name, kind in columns.items()]
    return "\n".join(["---", "dataset_info:", "  features:", *lines, "---", ""]).encode()


TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"
HOLED = [*cells(5), None, {"bytes": None, "path": None}, {"bytes": b"?", "path": None}]
HELD = {
    "owner/pokemon": {
        "README.md": card(image="image", text="string"),
        TRAIN: parquet(image=cells(10, 20, 30), text=["a", "b", "c"]),
        TEST: parquet(image=cells(40), text=["d"]),
    },
    "owner/CelebFaces-1.5": {"README.md": card(id="int64", face="image"), TRAIN: parquet(id=[1], face=cells(50))},
    "owner/holed": {"README.md": card(image="image"), TRAIN: parquet(image=HOLED)},
    "owner/words": {TRAIN: parquet(text=["a"], label=[1])},
}


# ---- the hub --------------------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """The few responses of huggingface.co that `datasets` needs, for the data sets in HELD."""

    protocol_version = "HTTP/1.1"
    requests: list[str]

    def do_GET(self) -> None:
        type(self).requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)  # a proxy gets whole addresses; this one serves them all itself
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

    do_HEAD = do_POST = do_GET  # noqa: N815 -- http.server requires these names

    def do_CONNECT(self) -> None:
        """Refuse to be a proxy for https, because this server has no certificate."""
        type(self).requests.append(f"{self.command} {self.path}")
        self.answer(b"", status=502)

    def send_file(self, name: str, path: str) -> None:
        """Send the file at resolve/<revision>/<file>."""
        file = HELD[name].get(path.split("/", 2)[-1])
        if file is None:
            self.refuse("EntryNotFound")
        else:
            self.answer(file, {"ETag": f'"{digest(file)}"', "X-Repo-Commit": REVISION})

    def describe(self, name: str, path: str, body: bytes) -> None:
        """Describe what is at tree/<revision>/<folder>, paths-info/<revision> or revision/<revision>."""
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
    """A running hub: its address, and the requests so far."""

    address: str
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def hub() -> Iterator[Running]:
    requests: list[str] = []
    server = ThreadingHTTPServer((LOCAL, 0), type("ThisHub", (Hub,), {"requests": requests}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Running(f"http://{LOCAL}:{server.server_port}", requests)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def nothing() -> str:
    """Return an address where no server listens."""
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        return f"http://{LOCAL}:{free.getsockname()[1]}"


# ---- loading in a new process ---------------------------------------------------------------------------------------

CHILD = """
import json, sys, time, warnings
import datasets
import huggingface_hub.constants
from dino.common.errors import DinoError
from dino.data.sources import check

without_torch = "torch" not in sys.modules
slept = []
time.sleep = slept.append  # before it tries again, `datasets` waits: 23 seconds in all
for job in json.loads(sys.argv[1]):
    if "reach" in job:  # from here on the hub is looked for at another address
        huggingface_hub.constants.ENDPOINT = job["reach"]
    slept.clear()
    report = {"levels": None, "error": None, "settings": {}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if job.get("only") == "check":
                check(job["source"])
            else:
                from dino.data.loading import load_images
                images = load_images(job["source"], 8, split=job.get("split", "train"))
                assert images.shape[1:] == (3, 8, 8) and (images == images[:, :1, :1, :1]).all()
                report["levels"] = images[:, 0, 0, 0].tolist()
        except DinoError as error:
            report["error"], report["settings"] = str(error), error.settings
    report["slept"] = sum(slept)
    report["warnings"] = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    report["without_torch"] = without_torch and "torch" not in sys.modules
    print("report", json.dumps(report), flush=True)
"""


class Report(NamedTuple):
    """The result of one call of `load_images` or `check`: the gray levels of the images, or the DinoError."""

    levels: list[int] | None
    error: str | None
    settings: dict[str, Any]  # of the DinoError
    slept: float  # seconds between one try to reach the hub and the next, which weren't really slept
    warnings: list[str]
    without_torch: bool  # whether torch was not imported yet


def load(home: Path, address: str, *jobs: dict[str, str], **environment: str) -> list[Report]:
    """Run each of `jobs` in a new process, with all its caches in `home` and the hub at `address`."""
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
    """A folder for the data sets that are downloaded once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def online(home: Path, hub: Running, nothing: str) -> dict[str, Report]:
    """One process, without a network at first, then with one, and without one again. It has a proxy only for https."""
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


def test_the_images_of_a_data_set_are_loaded_in_order(online: dict[str, Report]) -> None:
    assert online["pokemon"].levels == [10, 20, 30]
    assert online["pokemon"].warnings == []


def test_any_split_can_be_loaded(online: dict[str, Report]) -> None:
    assert online["test"].levels == [40]
    assert online["slice"].levels == [20, 30, 40]


def test_a_missing_split_is_an_error_that_names_the_others(online: dict[str, Report]) -> None:
    assert_says(online["no split"], "owner/pokemon", "split validation", "'train'", "'test'")


def test_a_name_may_have_capitals_and_dots(online: dict[str, Report]) -> None:
    assert online["capitals"].levels == [50]


def test_missing_and_broken_images_of_a_data_set_are_skipped_and_named(online: dict[str, Report]) -> None:
    assert online["holed"].levels == [5]
    names = "row 1 (empty), row 2 (empty), row 3 (not an image)"
    assert online["holed"].warnings == [f"skipped 3 of 4 images that could not be read: {names}"]


def test_the_second_column_of_images_is_passed_over_and_the_first_may_be_of_plain_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import datasets

    table = pa.table({"text": ["a", "b"], "image": cells(10, 20), "mask": cells(30, 40)})  # as without a README
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: datasets.Dataset(table))
    monkeypatch.setattr(dino_hub, "hub_answers", lambda: True)
    found = dino_hub.hub_images("owner/name", "train")
    assert [image.read() for image in found.images] == [plain(10), plain(20)]
    assert found.passed_over == {"images of the column mask": 2}
    assert found.has_splits


def test_a_data_set_without_images_is_an_error_that_names_its_columns(online: dict[str, Report]) -> None:
    assert_says(online["words"], "no column of images, only text, label")


def test_a_missing_data_set_is_an_error(online: dict[str, Report]) -> None:
    assert_says(online["none"], "owner/none", "doesn't exist on the Hub")


def test_a_network_that_comes_back_is_used(online: dict[str, Report]) -> None:
    assert_says(online["before"], "owner/pokemon can't be downloaded without a network")
    assert online["pokemon"].levels


def test_a_downloaded_data_set_loads_after_the_network_is_gone(online: dict[str, Report]) -> None:
    assert online["after"].levels == [10, 20, 30]


def test_the_hub_is_reached_through_the_proxy(online: dict[str, Report], hub: Running) -> None:
    assert "CONNECT hub.invalid:443" in hub.requests
    assert_says(online["proxy"], "without a network")  # our proxy refuses


def test_a_data_set_is_downloaded_through_a_proxy(tmp_path: Path, hub: Running) -> None:
    (report,) = load(tmp_path, "http://hub.invalid", {"source": "owner/pokemon"}, HTTP_PROXY=hub.address)
    assert report.levels == [10, 20, 30]
    assert f"GET http://hub.invalid/datasets/owner/pokemon/resolve/{REVISION}/{TRAIN}" in hub.requests


@pytest.mark.usefixtures("online")  # which downloads
def test_without_the_hub_another_process_loads_what_was_downloaded(home: Path, nothing: str) -> None:
    names = ["owner/pokemon", "owner/CelebFaces-1.5", "owner/none"]
    pokemon, capitals, none = load(home, nothing, *({"source": name} for name in names))
    assert pokemon.levels == [10, 20, 30]
    assert capitals.levels == [50]
    assert_unavailable(none, "owner/none")
    assert pokemon.slept == capitals.slept == none.slept == 0, "outside of its offline mode, `datasets` tries again"


@pytest.mark.usefixtures("online")
def test_in_offline_mode_the_hub_gets_no_requests(home: Path, hub: Running) -> None:
    requests_before = len(hub.requests)
    jobs = {"source": "owner/none", "only": "check"}, {"source": "owner/none"}, {"source": "owner/pokemon"}
    checked, none, pokemon = load(home, hub.address, *jobs, HF_HUB_OFFLINE="1")
    assert_unavailable(checked, "owner/none")
    assert_unavailable(none, "owner/none")
    assert none.slept == 0
    assert pokemon.levels == [10, 20, 30]
    assert len(hub.requests) == requests_before


def n_visitors(silent: socket.socket) -> int:
    """Return how many connections a server received that accepts none of them, like many a firewall."""
    silent.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while silent.accept():
            count += 1
    return count


def test_without_any_network_the_error_comes_after_one_try(tmp_path: Path, nothing: str) -> None:
    with socket.create_server((LOCAL, 0)) as silent:
        jobs = {"source": "owner/name"}, {"source": "name", "reach": f"http://{LOCAL}:{silent.getsockname()[1]}"}
        refused, unanswered = load(tmp_path, nothing, *jobs)
        assert n_visitors(silent) == 1
    assert_unavailable(refused, "owner/name")
    assert_unavailable(unanswered, "name")
    assert refused.slept == unanswered.slept == 0


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    class Session:
        def head(self, *_: object, **__: object) -> None:
            given_up.wait()  # as name look-ups do, it ignores its time limit

    monkeypatch.setattr("huggingface_hub.get_session", Session)
    monkeypatch.setattr(dino_hub, "PATIENCE", 0.01)
    assert not dino_hub.hub_answers()  # or this test hangs
    given_up.set()


@pytest.mark.usefixtures("online")
def test_the_check_before_training_reports_a_missing_network_after_one_try_and_needs_no_torch(
    home: Path, hub: Running, nothing: str
) -> None:
    with socket.create_server((LOCAL, 0)) as silent:
        jobs = [
            {"source": "owner/none"},
            {"source": "owner/pokemon"},
            {"source": "owner/none", "reach": f"http://{LOCAL}:{silent.getsockname()[1]}"},
            {"source": "owner/none", "reach": hub.address},
            {"source": "csv"},
        ]
        reports = load(home, nothing, *({**job, "only": "check"} for job in jobs))
        assert n_visitors(silent) == 1
    refused, cached, unanswered, online, reader = reports
    assert_unavailable(refused, "owner/none")
    assert_unavailable(unanswered, "owner/none")
    assert cached.error is None
    assert online.error is None, "whether the hub has the data set is found out later, when it is loaded"
    assert_says(reader, "csv isn't a data set")
    assert not any(report.slept for report in reports), [report.slept for report in reports]
    assert all(report.without_torch for report in reports)


def assert_unavailable(report: Report, name: str) -> None:
    """Check that the report is of a data set that is neither here nor can be downloaded, and says what to use."""
    assert_says(report, f"there is no folder {name} here", "without a network")
    assert report.settings == {"data": "dinos"}


def assert_says(report: Report, *words: str) -> None:
    """Check that the report is of a DinoError of one line that contains these words."""
    assert report.error is not None, report.levels
    assert "\n" not in report.error
    assert all(word in report.error for word in words), report.error
