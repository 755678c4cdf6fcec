"""`dino push` and hf:USER/NAME against a small stand-in of the Hugging Face hub, on the loopback interface."""

import base64
import hashlib
import json
import math
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
import torch
import yaml
from huggingface_hub import constants
from safetensors.torch import save_file

import dino
from dino import cli
from dino.data import hub as data_hub
from dino.reports.model_card import card
from dino.trainer import model_hub
from dino.trainer.config import Config
from dino.trainer.model_file import save_model
from dino.trainer.model_hub import repository_and_revision, scrubbed
from dino.trainer.run_folder import find_weights

LOCAL = "127.0.0.1"
WRITE, READ, BOB = ("hf_aliceWritesWithThis", "hf_aliceReadsWithThis", "hf_bobWritesWithThis")
WRONG = "hf_nobodyKnowsThisOne"
USERS = {WRITE: "alice", READ: "alice", BOB: "bob"}
CONFIG: dict[str, Any] = {
    "channels": 3, "widths": [4, 4], "depths": [1, 1], "size": 16, "data": "dinos:9",
    "vocabulary": ["stegosaurus", "green", "hat"],
}  # fmt: skip
METADATA = {"config": CONFIG, "step": 3, "images_seen": 48, "n_training_images": 9, "loss": 0.25}
UPLOADED = ["README.md", "config.json", "model.safetensors", "samples/generated.png"]


# ---- the hub --------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """A model on the hub: its commits, each with all files, oldest first."""

    private: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    tags: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def at(self, revision: str) -> int | None:
        """Return the number of the commit at a revision."""
        if revision == "main":
            return len(self.commits) - 1
        return self.tags.get(revision, next((k for k in range(len(self.commits)) if sha(k) == revision), None))


def sha(commit: int) -> str:
    return f"{commit:040x}"


@dataclass
class Hub:
    """A running hub."""

    address: str = ""
    models: dict[str, Model] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def add(self, name: str, files: dict[str, bytes], **facts: str) -> Model:
        self.models[name] = Model(commits=[files], facts=facts)
        return self.models[name]


class Handler(BaseHTTPRequestHandler):
    """The few responses of huggingface.co that uploading and downloading a model need."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.user = USERS.get(self.token)
        if self.token and not self.user and not path.startswith("/blobs/"):
            # As careless as a proxy's page of errors may be: it repeats what it got.
            self.refuse(401, message=f"Invalid credentials in Authorization header: Bearer {self.token}")
            return
        for pattern, answer in self.ROUTES.items():
            if found := re.fullmatch(pattern, path):
                answer(self, **found.groupdict())
                return
        self.refuse(404)

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 -- http.server requires these names

    def nothing(self) -> None:
        self.answer(b"")

    def whoami(self) -> None:
        if self.user:
            self.answer_json({"name": self.user, "type": "user", "orgs": []})
        else:
            self.refuse(401)

    def validate(self) -> None:
        header = json.loads(self.body)["content"].split("---\n")[1]
        ok = isinstance(yaml.safe_load(header), dict)
        self.answer_json({"errors": [] if ok else [{"message": "not YAML"}]}, status=200 if ok else 400)

    def create(self) -> None:
        wanted = json.loads(self.body)
        name = f"{wanted.get('organization') or self.user}/{wanted['name']}"
        if not self.may_write(name):
            return
        is_private = wanted.get("visibility") == "private" or wanted.get("private") is True
        self.hub.models.setdefault(name, Model(private=is_private))
        self.answer_json({"url": f"{self.hub.address}/{name}"})

    def info(self, name: str, revision: str = "main") -> None:
        if (found := self.find(name, revision)) is None:
            return
        model, commit = found
        facts = {"id": name, "sha": sha(commit), "private": model.private, "tags": [], **model.facts}
        self.answer_json({**facts, "siblings": [{"rfilename": path} for path in model.commits[commit]]})

    def preupload(self, name: str) -> None:
        if self.find(name) and self.may_write(name):
            paths = [file["path"] for file in json.loads(self.body)["files"]]
            modes = {path: "lfs" if path.endswith((".safetensors", ".png")) else "regular" for path in paths}
            self.answer_json(
                {"files": [{"path": p, "uploadMode": mode, "shouldIgnore": False} for p, mode in modes.items()]}
            )

    def large_files(self, name: str) -> None:
        assert name in self.hub.models
        objects = json.loads(self.body)["objects"]
        actions = [
            {**each, "actions": {"upload": {"href": f"{self.hub.address}/blobs/{each['oid']}"}}} for each in objects
        ]
        self.answer_json({"transfer": "basic", "objects": actions})

    def keep(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.blobs[oid] = self.body
        self.answer(b"")

    def commit(self, name: str) -> None:
        if not (self.find(name) and self.may_write(name)):
            return
        model = self.hub.models[name]
        files = dict(model.commits[-1])
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        model.commits.append(files)
        oid = sha(len(model.commits) - 1)
        self.answer_json({"commitUrl": f"{self.hub.address}/{name}/commit/{oid}", "commitOid": oid})

    def file(self, name: str, revision: str, path: str) -> None:
        if (found := self.find(name, revision)) is None:
            return
        model, commit = found
        if (content := model.commits[commit].get(path)) is None:
            self.refuse(404, "EntryNotFound")
        else:
            self.answer(content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": sha(commit)})

    ROUTES: ClassVar[dict[str, Callable[..., None]]] = {
        "/": nothing,
        "/api/whoami-v2": whoami,
        "/api/validate-yaml": validate,
        "/api/repos/create": create,
        r"/api/models/(?P<name>\w+/[^/]+)": info,
        r"/api/models/(?P<name>\w+/[^/]+)/revision/(?P<revision>.+)": info,
        r"/api/models/(?P<name>\w+/[^/]+)/preupload/main": preupload,
        r"/api/models/(?P<name>\w+/[^/]+)/commit/main": commit,
        r"/(?P<name>\w+/[^/]+)\.git/info/lfs/objects/batch": large_files,
        r"/blobs/(?P<oid>\w+)": keep,
        r"/(?P<name>\w+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)": file,
    }

    def find(self, name: str, revision: str = "main") -> tuple[Model, int] | None:
        """Return a model that this user may read and one of its commits, or refuse."""
        model = self.hub.models.get(name)
        if model is None or (model.private and self.user != name.split("/")[0]):
            self.refuse(404 if self.user else 401, "RepoNotFound")
            return None
        commit = model.at(revision)
        if commit is None:
            self.refuse(404, "RevisionNotFound")
            return None
        return model, commit

    def may_write(self, name: str) -> bool:
        """Return whether this user may write to a model, or refuse."""
        if self.token != READ and self.user == name.split("/")[0]:
            return True
        self.refuse(403, message=f"You don't have the rights to write to {name} with {self.token}")
        return False

    def refuse(self, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self.answer_json({"error": message}, headers | ({"X-Error-Message": message} if message else {}), status)

    def answer_json(self, content: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.answer(json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})}, status)

    def answer(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


# ---- fixtures -------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for the hub's cache."""
    return tmp_path / "home"


@pytest.fixture
def hub(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A running hub, where huggingface_hub looks for models. Nobody is logged in."""
    running = Hub()
    server = ThreadingHTTPServer((LOCAL, 0), type("ThisHub", (Handler,), {"hub": running}))
    running.address = f"http://{LOCAL}:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("HF_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    reach(running.address, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its storage isn't a part of this stand-in
    yield running
    server.shutdown()
    server.server_close()


def reach(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub look for the hub at an address."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )


@pytest.fixture
def nothing() -> str:
    """Return an address where no server listens."""
    with socket.socket() as free:
        free.bind((LOCAL, 0))
        return f"http://{LOCAL}:{free.getsockname()[1]}"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The weights of an untrained tiny network that knows three words."""
    return saved(tmp_path / "mine.safetensors")


def saved(path: Path, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    config = CONFIG | changes
    save_model(path, Config.from_dict(config).new_network(), METADATA | {"config": config})
    return path


class Result(NamedTuple):
    """The result of a command: its exit status, and all that it printed."""

    status: int
    printed: str

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        assert self.status == 1, self.printed
        (line,) = [line for line in self.printed.splitlines() if line.startswith("dino: ")]
        assert "Traceback" not in self.printed
        return line


Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs a command in an own folder, with a token or without, and checks that none is seen."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*words: object, token: str | None = None) -> Result:
        monkeypatch.setattr(sys, "argv", ["dino", *map(str, words)])
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        monkeypatch.delenv("HF_TOKEN", raising=False)
        captured = capfd.readouterr()
        printed = captured.out + captured.err
        assert_no_token(printed, tmp_path)
        return Result(int(caught.value.code or 0), printed)

    return run


def assert_no_token(printed: str, folder: Path) -> None:
    """Check that no token was printed, or written to a file in a folder."""
    for token in (WRITE, READ, BOB, WRONG):
        assert token not in printed
        holders = [p for p in folder.rglob("*") if p.is_file() and token.encode() in p.read_bytes()]
        assert not holders


# ---- pushing --------------------------------------------------------------------------------------------------------


def test_what_was_pushed_draws_the_same_anywhere(hub: Hub, weights: Path, command: Command) -> None:
    result = command("push", "alice/dinos", weights, "--yes", token=WRITE)
    assert result.status == 0, result.printed
    assert f"wrote     {hub.address}/alice/dinos" in result.printed
    assert "dino sample hf:alice/dinos" in result.printed
    files = hub.models["alice/dinos"].commits[-1]
    assert sorted(files) == UPLOADED
    assert files["model.safetensors"] == weights.read_bytes()
    assert json.loads(files["config.json"]) == CONFIG

    report = command("sample", "hf:alice/dinos")
    assert "hf:alice/dinos, trained on 48 images" in report.printed
    assert "runs/hf-alice-dinos/generated.png" in report.printed
    assert Path("runs/hf-alice-dinos/generated.png").read_bytes() == files["samples/generated.png"], "nothing is picked"

    assert "3 steps" in command("info", "hf:alice/dinos").printed
    model, metadata = dino.load_model("hf:alice/dinos")
    expected, _ = dino.load_model(weights)
    assert metadata == json.loads(json.dumps(METADATA))
    for name, weight in expected.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_the_card_says_what_the_model_is_and_how_to_draw_with_it(hub: Hub, weights: Path, command: Command) -> None:
    command("push", "alice/dinos", weights, "--yes", token=WRITE)
    _, header, page = hub.models["alice/dinos"].commits[-1]["README.md"].decode().split("---\n", 2)
    facts = yaml.safe_load(header)
    assert (facts["license"], facts["library_name"]) == ("mit", "dino-diffusion")
    assert "datasets" not in facts, "dinos isn't a data set of the hub"
    for words in (
        "# dinos", "(samples/generated.png)", "first 6 images", "not the best", 'load_model("hf:alice/dinos")',
        "9 images of dinos:9, seeing 48 images", "3 steps of 16 images each, learning rate 0.0003",
        "stegosaurus, green, hat",
    ):  # fmt: skip
        assert words in page, words
    assert 'dino sample hf:alice/dinos --ask "stegosaurus"' in page
    drawn = command("sample", "hf:alice/dinos", "--ask", "stegosaurus", "-n", "1", "--steps", "1")
    assert drawn.status == 0, drawn.printed


@pytest.mark.parametrize(
    ("data", "chosen", "license", "datasets"),
    [
        ("emoji:faces", [], "mit", None),
        ("huggan/pokemon", [], "unknown", ["huggan/pokemon"]),
        ("huggan/pokemon", ["--license", "cc-by-4.0"], "cc-by-4.0", ["huggan/pokemon"]),
    ],
)
def test_the_license_is_the_users_choice(
    data: str, chosen: list[str], license: str, datasets: list[str] | None, hub: Hub, tmp_path: Path, command: Command
) -> None:
    path = saved(tmp_path / "x.safetensors", data=data, vocabulary=[])
    command("push", "alice/x", path, "--yes", *chosen, token=WRITE)
    facts = yaml.safe_load(hub.models["alice/x"].commits[-1]["README.md"].decode().split("---\n")[1])
    assert (facts["license"], facts.get("datasets")) == (license, datasets)


def test_the_card_credits_embedded_images_by_others(tmp_path: Path) -> None:
    by_data = {}
    for data in ("emoji:faces", "dinos"):
        weights = saved(tmp_path / "x.safetensors", data=data, vocabulary=[])
        _, metadata = dino.load_model(weights)
        by_data[data] = card("alice/x", weights, metadata, n_images=36, license="mit")
    assert "Twemoji (Twitter and contributors, CC-BY 4.0)" in by_data["emoji:faces"]
    assert "Twemoji" not in by_data["dinos"]


def test_the_path_of_the_training_images_stays_here(hub: Hub, tmp_path: Path, command: Command) -> None:
    private = tmp_path / "private" / "cats"
    command("push", "alice/cats", saved(tmp_path / "x.safetensors", data=str(private)), "--yes", token=WRITE)
    files = hub.models["alice/cats"].commits[-1]
    assert sorted(files) == UPLOADED
    for name, content in files.items():
        assert str(tmp_path).encode() not in content, name
    assert b"9 images of cats" in files["README.md"]


def test_before_it_uploads_it_shows_what_and_asks(
    hub: Hub, weights: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(question: str, *, abort: bool) -> None:
        asked.append(question)
        raise SystemExit(1)

    monkeypatch.setattr("typer.confirm", refuse)
    result = command("push", "alice/dinos", weights, token=WRITE)
    assert asked == ["Upload these files?"]
    assert f"to        {hub.address}/alice/dinos, new and public, as alice" in result.printed
    size = math.ceil(weights.stat().st_size / 1000)
    assert f"upload    model.safetensors, {size:,} kB\n" in result.printed
    assert [
        line.split()[1].rstrip(",") for line in result.printed.splitlines() if line.startswith("upload")
    ] == UPLOADED
    assert not hub.models
    assert not any(request.startswith(("POST", "PUT")) for request in hub.requests)


def test_a_second_push_says_what_it_replaces(hub: Hub, weights: Path, tmp_path: Path, command: Command) -> None:
    command("push", "alice/dinos", weights, "--yes", token=WRITE)
    first, _ = dino.load_model("hf:alice/dinos")
    result = command("push", "alice/dinos", saved(tmp_path / "b.safetensors", seed=1), "--yes", token=WRITE)
    assert "which exists and public" in result.printed
    assert "kB (replaces the one there)" in result.printed
    second, _ = dino.load_model("hf:alice/dinos")
    assert not all(map(torch.equal, first.parameters(), second.parameters())), "the newest commit is loaded"


def test_a_private_model_is_seen_by_its_owner_alone(hub: Hub, weights: Path, command: Command) -> None:
    result = command("push", "alice/secret", weights, "--private", "--yes", token=WRITE)
    assert "new and only for you" in result.printed
    assert hub.models["alice/secret"].private
    assert "there is no model alice/secret on the hub, or it is private" in command("info", "hf:alice/secret").error
    assert command("info", "hf:alice/secret", token=READ).status == 0


@pytest.mark.usefixtures("hub")
def test_a_push_that_the_hub_refuses_says_why_in_one_line(weights: Path, command: Command) -> None:
    def refused(name: str, token: str | None, *options: str) -> str:
        return command("push", name, weights, "--yes", *options, token=token).error

    assert "there is no token" in refused("alice/dinos", None)
    assert refused("alice/dinos", None).endswith("run: hf auth login")
    assert "the hub doesn't know this token" in refused("alice/dinos", WRONG)
    assert "token of alice can't write to alice/dinos" in refused("alice/dinos", READ)
    assert "with [token]" in refused("alice/dinos", READ), "the hub's own words are shown, without the token"
    assert "Is nobody you, or an organization of yours" in refused("nobody/dinos", WRITE)
    assert "Write USER/NAME" in refused("dinos", WRITE)
    assert refused(WRITE, WRITE).startswith("dino: [token] can't be the name")
    assert "Write USER/NAME" in refused("alice/../dinos", WRITE)
    command("push", "alice/dinos", weights, "--yes", token=WRITE)
    assert refused("alice/dinos", WRITE, "--private").endswith("Leave out --private.")


def test_without_a_network_nothing_is_pushed(
    weights: Path, command: Command, hub: Hub, nothing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(nothing, monkeypatch)
    assert "without a network" in command("push", "alice/dinos", weights, "--yes", token=WRITE).error
    reach(hub.address, monkeypatch)
    monkeypatch.setattr(data_hub, "PATIENCE", 0)  # and with one that is cut off later
    assert "without a network" in command("push", "alice/dinos", weights, "--yes", token=WRITE).error


def test_the_environment_says_where_the_hub_is_and_who_you_are(hub: Hub, weights: Path, home: Path) -> None:
    """In a process of its own, as it is used; and an error's traceback has no token either."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    here = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    home.mkdir()

    def run(*words: object, token: str) -> subprocess.CompletedProcess[str]:
        environment = {**kept, **here, "HF_TOKEN": token, "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(
            [sys.executable, "-m", "dino", *map(str, words)],
            env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert_no_token(done.stdout + done.stderr, home)
        return done

    pushed = run("push", "bob/dinos", weights, "--yes", token=BOB)
    assert pushed.returncode == 0, pushed.stderr
    assert sorted(hub.models["bob/dinos"].commits[-1]) == UPLOADED
    refused = run("push", "bob/dinos", weights, "--yes", "--debug", token=WRONG)
    assert refused.returncode == 1
    assert "Traceback" in refused.stderr
    assert "the hub doesn't know this token" in refused.stderr


def test_whatever_looks_like_a_token_is_scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "odd-token-of-mine")
    said = f"header b'Bearer abc.def' of {WRITE}, api_org_abcdefg and odd-token-of-mine"
    assert scrubbed(said) == "header b'Bearer [token] of [token], [token] and [token]"
    assert scrubbed("hf:alice/dinos at hf_hub") == "hf:alice/dinos at hf_hub"


# ---- hf:USER/NAME ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hf:alice/dinos", ("alice/dinos", None)),
        ("hf:alice-b/dinos_2.1", ("alice-b/dinos_2.1", None)),
        ("hf:alice/dinos@v1.0", ("alice/dinos", "v1.0")),
        ("hf:alice/dinos@refs/pr/1", ("alice/dinos", "refs/pr/1")),
    ],
)
def test_a_name_may_have_a_revision(name: str, parts: tuple[str, str | None]) -> None:
    assert repository_and_revision(name) == parts


@pytest.mark.parametrize(
    "name",
    [
        "hf:",
        "hf:dinos",
        "hf:a/b/c",
        "hf:a/../b",
        "hf:../../etc",
        "hf:a/b@",
        "hf:a/b@../x",
        "hf:a b/c",
        "hf:a/b\n",
        "hf:a/b..c",
        "hf:a/b--c",
    ],
)
def test_a_name_that_no_model_can_have_is_refused_without_asking_the_hub(name: str, hub: Hub, command: Command) -> None:
    assert "Write hf:USER/NAME" in command("info", name).error
    assert not hub.requests


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Hub, weights: Path, tmp_path: Path, command: Command) -> None:
    old, new = weights.read_bytes(), saved(tmp_path / "new", seed=1).read_bytes()
    hub.models["alice/dinos"] = Model(commits=[{"model.safetensors": old}, {"model.safetensors": new}], tags={"v1": 0})
    for revision, content in {"@v1": old, f"@{sha(0)}": old, "@main": new, "": new}.items():
        path, folder = find_weights(Path(f"hf:alice/dinos{revision}"))
        assert path.read_bytes() == content, revision
        assert folder == Path(f"runs/hf-alice-dinos{revision}")
    assert "alice/dinos has no branch, tag or commit v9" in command("info", "hf:alice/dinos@v9").error


def test_without_a_network_a_downloaded_model_still_draws(
    hub: Hub, weights: Path, command: Command, nothing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("alice/dinos", {"model.safetensors": weights.read_bytes()})
    assert command("info", "hf:alice/dinos").status == 0
    reach(nothing, monkeypatch)
    assert command("sample", "hf:alice/dinos", "-n", "1", "--steps", "1").status == 0
    error = command("info", "hf:alice/cats").error
    assert "hf:alice/cats isn't in the cache, and can't be downloaded without a network" in error


def test_without_a_network_there_are_no_long_retries(
    hub: Hub, weights: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("alice/dinos", {"model.safetensors": weights.read_bytes()})
    assert command("info", "hf:alice/dinos").status == 0
    requests_before = len(hub.requests)
    monkeypatch.setattr(model_hub, "hub_answers", lambda: False)
    assert command("info", "hf:alice/dinos").status == 0
    assert "without a network" in command("info", "hf:alice/cats").error
    assert len(hub.requests) == requests_before


def test_a_file_of_that_name_comes_first(hub: Hub, weights: Path, command: Command) -> None:
    Path("hf:alice").mkdir()
    shutil.copy(weights, "hf:alice/dinos")
    assert command("info", "hf:alice/dinos").status == 0
    assert find_weights(Path("hf:alice/dinos")) == (Path("hf:alice/dinos"), Path("hf:alice"))
    assert not hub.requests


def test_another_kind_of_model_is_refused_with_what_it_is_before_it_is_downloaded(hub: Hub, command: Command) -> None:
    big = {"model.safetensors": b"gigabytes", "config.json": b"{}"}
    hub.add("meta/llama", big, library_name="transformers", pipeline_tag="text-generation")
    hub.add("alice/empty", {"README.md": b""}, library_name="dino-diffusion")
    hub.add("alice/sly", big, library_name="\x1b[31m")
    error = command("info", "hf:meta/llama").error
    assert "hf:meta/llama is not a model of dino: it was made with transformers for text-generation." in error
    assert "it has no model.safetensors, only README.md" in command("info", "hf:alice/empty").error
    assert r"made with \x1b[31m" in command("info", "hf:alice/sly").error
    assert "there is no model alice/none on the hub" in command("info", "hf:alice/none").error
    assert not any("/resolve/" in request for request in hub.requests)


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_a_file_that_dino_did_not_write_is_refused_and_never_run(hub: Hub, tmp_path: Path, command: Command) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "foreign")
    contents = {
        "was not written by dino": (tmp_path / "foreign").read_bytes(),
        "is a pickle": pickle.dumps(Bomb(tmp_path / "was run")),
        "is a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
        "cut short or damaged": saved(tmp_path / "whole").read_bytes()[:-9],
    }
    for k, (says, content) in enumerate(contents.items()):
        hub.add(f"alice/x{k}", {"model.safetensors": content})
        error = command("sample", f"hf:alice/x{k}").error
        assert f"model.safetensors of hf:alice/x{k} " in error
        assert says in error
    assert not (tmp_path / "was run").exists()
