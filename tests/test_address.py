"""The public address of the repository: one command sets it everywhere, and nothing else needs editing."""

import json
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

pytest.importorskip("jupytext", reason="the notebooks need the group docs: uv sync")
from dino.common.version import DISTRIBUTION, VERSION
from dino.course.curriculum import LESSONS
from scripts import set_address as command
from scripts.site import notebooks
from scripts.site.address import Address
from scripts.site.paths import ROOT

URL = "https://github.com/Some-One/a-course"
SET, UNSET = Address(URL), Address()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that hold the address, without one."""
    for path in command.files(UNSET):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    command.set_address(UNSET, tmp_path)
    return tmp_path


def texts(root: Path) -> dict[Path, str]:
    return {path: (root / path).read_text(encoding="utf-8") for path in command.files(UNSET)}


# ---- the committed files --------------------------------------------------------------------------------------------


BINARY = (".parquet", ".safetensors", ".png", ".webp", ".woff", ".gif", ".wasm")


@cache
def tracked() -> dict[str, str]:
    """The text of every text file that git knows of, by its path."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout.split("\0")
    paths = {name: ROOT / name for name in names if name and not name.endswith(BINARY)}
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}


def test_the_committed_files_hold_the_address_of_mkdocs(tmp_path: Path) -> None:
    for path in command.files(UNSET):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    assert command.set_address(Address.read(), tmp_path) == [], "run: scripts/set_address URL"


def test_no_other_file_holds_the_address() -> None:
    """Neither the one that is set, nor a made-up one that somebody would have to edit."""
    made_up = re.compile(rf"(github\.com[:/]|github/)(?!madebyollin/|OWNER/|someone/)[\w-]+/{DISTRIBUTION}\b")
    address, known = Address.read(), {path.as_posix() for path in command.files(UNSET)}
    for name, text in tracked().items():
        if name in known or name.startswith("tests/"):
            continue
        assert not made_up.search(text), name
        assert not address.url or address.url not in text, name


def test_the_version_stands_in_one_file() -> None:
    """Apart from the history of changes, and records that say which version made them."""
    version = re.compile(rf"(?<![\w.>=~]){re.escape(VERSION)}(?![\w.])")
    records = ("CHANGELOG.md", "tests/", "docs/benchmarks/", "dino/data/licenses/", "dino/reports/recorded_runs.json")
    found = [name for name, text in tracked().items() if version.search(text) and not name.startswith(records)]
    assert found == ["dino/common/version.py"]


# ---- set, and unset -------------------------------------------------------------------------------------------------


def test_setting_twice_changes_nothing_and_unsetting_restores_every_byte(copy: Path) -> None:
    before = texts(copy)
    assert set(command.set_address(SET, copy)) == set(before)
    after = texts(copy)
    assert command.set_address(SET, copy) == []
    command.set_address(Address("https://github.com/another/home"), copy)
    assert not any(URL in text for text in texts(copy).values())
    command.set_address(SET, copy)
    assert texts(copy) == after
    command.set_address(UNSET, copy)
    assert texts(copy) == before
    assert command.set_address(UNSET, copy) == []


def test_with_an_address_every_file_is_whole_and_leads_there(copy: Path) -> None:
    command.set_address(SET, copy)
    found = texts(copy)
    project = tomllib.loads(found[Path("pyproject.toml")])
    assert project["project"]["urls"]["Repository"] == URL
    assert project["project"]["urls"]["Homepage"] == "https://some-one.github.io/a-course/"
    citation = yaml.safe_load(found[Path("CITATION.cff")])
    assert (citation["repository-code"], citation["url"]) == (URL, "https://some-one.github.io/a-course/")
    (link,) = yaml.safe_load(found[Path(".github/ISSUE_TEMPLATE/config.yml")])["contact_links"]
    assert link["url"] == "https://some-one.github.io/a-course/set-up.html"
    assert (ROOT / "docs" / "set-up.md").is_file()
    badge = f"[![checks]({URL}/actions/workflows/checks.yml/badge.svg)]({URL}/actions/workflows/checks.yml)"
    title, _, mark, first = found[Path("README.md")].splitlines()[:4]
    assert (title[0], mark, first) == ("#", "<!-- address: begin -->", badge)
    assert (ROOT / ".github" / "workflows" / "checks.yml").is_file()
    for lesson in LESSONS:
        notebook = json.loads(found[notebooks.notebook_file(lesson).relative_to(ROOT)])
        colab = (
            f"https://colab.research.google.com/github/Some-One/a-course/blob/main/lessons/{lesson.number}/lesson.ipynb"
        )
        assert colab in notebook["cells"][0]["source"]
        assert f'ADDRESS = "{URL}"' in notebook["cells"][1]["source"]


def test_without_an_address_the_metadata_has_no_links(copy: Path) -> None:
    found = texts(copy)
    assert "urls" not in tomllib.loads(found[Path("pyproject.toml")])["project"]
    assert "url" not in yaml.safe_load(found[Path("CITATION.cff")])
    assert "contact_links" not in yaml.safe_load(found[Path(".github/ISSUE_TEMPLATE/config.yml")])
    assert "address:" not in found[Path("README.md")]


def test_the_page_on_pypi_links_to_files_of_the_repository(copy: Path) -> None:
    command.set_address(SET, copy)
    hook = tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["metadata"]["hooks"]
    page = "".join(
        (copy / fragment["path"]).read_text(encoding="utf-8") for fragment in hook["fancy-pypi-readme"]["fragments"]
    )
    for change in hook["fancy-pypi-readme"]["substitutions"]:
        page = re.sub(change["pattern"], change["replacement"], page)
    targets = re.findall(r"\]\(([^)\s]+)\)", page)
    assert all(target.startswith(("https://", "#")) for target in targets)
    for start in (f"{URL}/blob/main/", "https://raw.githubusercontent.com/Some-One/a-course/main/"):
        files = [target.removeprefix(start) for target in targets if target.startswith(start)]
        assert files
        assert all((ROOT / file).exists() for file in files), files


def test_a_notebook_with_another_address_is_the_one_that_would_be_made() -> None:
    lesson = LESSONS[0]
    text = notebooks.notebook_file(lesson).read_text(encoding="utf-8")
    made = json.loads(json.dumps(notebooks.notebook_of(lesson, SET)))
    assert json.loads(notebooks.with_address(text, lesson, SET))["cells"][:2] == made["cells"][:2]
    assert notebooks.with_address(text, lesson, Address.read()) == text


# ---- nonsense -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [URL, f"{URL}/", f"{URL}.git", f" {URL}.git/\n"])
def test_what_browsers_and_git_add_to_an_address_is_left_out(typed: str) -> None:
    assert command.parse(typed) == SET


@pytest.mark.parametrize(
    "typed",
    [
        "", "nonsense", "http://github.com/a/b", "https://github.com/a", "https://github.com/a/b/tree/main",
        "git@github.com:a/b.git", "https://user:secret@github.com/a/b", "https://example.org/a/b",
        "https://github.com/a/b?tab=readme", "https://github.com/a/..", 'https://github.com/a/b"',
        "https://github.com/a b/c", "https://github.com/OWNER/NAME", "https://github.com/ä/b",
    ],
)  # fmt: skip
def test_nonsense_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"is not the address|put the name of your own"):
        command.parse(typed)


def test_a_file_without_a_place_for_the_address_is_named_and_no_file_changes(copy: Path) -> None:
    (copy / "CITATION.cff").write_text("title: a\n", encoding="utf-8")
    before = texts(copy)
    with pytest.raises(ValueError, match=r"CITATION\.cff: it needs one line with .address: begin"):
        command.set_address(SET, copy)
    assert texts(copy) == before


def test_the_command_refuses_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["set_address", "nonsense"])
    with pytest.raises(SystemExit, match=r"^'nonsense' is not the address of a repository on GitHub"):
        command.main()


# ---- what pages say -------------------------------------------------------------------------------------------------


def test_the_site_says_how_to_start_and_where_to_report_with_and_without_an_address() -> None:
    wheel = f"dino_diffusion-{VERSION}-py3-none-any.whl"
    assert f"uvx --from ./{wheel} dino init my-course" in UNSET.start()
    assert f"uvx --from git+{URL} dino init my-course" in SET.start()
    assert f"uvx --from ./{DISTRIBUTION} dino init my-course" in UNSET.start()
    assert "http" not in UNSET.start() + UNSET.report()
    assert f"git clone {URL}\n" in SET.clone()
    assert f"[Download the course](downloads/{DISTRIBUTION}.zip)" in UNSET.clone(f"downloads/{DISTRIBUTION}.zip")
    assert "the person who" not in UNSET.clone()
    assert "/Some-One/a-course/blob/main/lessons/00/lesson.ipynb)" in SET.open_in_colab()
    assert f"`{DISTRIBUTION}.zip`" in UNSET.open_in_colab()
    assert f"({URL}/issues/new/choose)" in SET.report()


def test_programs_never_spell_the_address_themselves() -> None:
    programs = {name: text for name, text in tracked().items() if name.startswith(("dino/", "scripts/"))}
    assert len(programs) > 100
    for name, text in programs.items():
        assert f"pypi.org/project/{DISTRIBUTION}" not in text, name
