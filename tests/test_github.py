"""What GitHub reads: workflows with few rights, issue forms, the dev container. Their syntax: scripts/check_github."""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import check_wheel

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
MAY_WRITE = {  # all rights beyond reading, by workflow and job
    ("release.yml", "publish"): {"id-token": "write"},
    ("release.yml", "announce"): {"contents": "write"},
    ("site.yml", "deploy"): {"pages": "write", "id-token": "write"},
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_there_are_workflows_for_checks_the_site_and_releases() -> None:
    assert [path.stem for path in WORKFLOWS] == ["checks", "nightly", "release", "site"]


def test_a_workflow_may_only_read_except_where_it_must_write(workflow: Path) -> None:
    found = read(workflow)
    assert found["permissions"] == {"contents": "read"}
    for name, job in found["jobs"].items():
        assert job.get("permissions", {}) == MAY_WRITE.get((workflow.name, name), {}), name


def test_a_workflow_has_time_limits_and_does_not_run_twice_at_once(workflow: Path) -> None:
    found = read(workflow)
    assert "group" in found["concurrency"]
    assert all(job["timeout-minutes"] <= 150 for job in found["jobs"].values())


def test_actions_have_versions_and_checkouts_keep_no_password(workflow: Path) -> None:
    for job in read(workflow)["jobs"].values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"(actions|astral-sh)/[\w-]+@v\d+", step["uses"])
            if "checkout" in step.get("uses", ""):
                assert step["with"] == {"persist-credentials": False}


def test_workflows_have_no_secrets_and_put_no_text_of_others_into_commands(workflow: Path) -> None:
    assert "secrets." not in workflow.read_text(encoding="utf-8")
    for job in read(workflow)["jobs"].values():
        assert not [step["run"] for step in job["steps"] if "${{" in step.get("run", "")]


def test_workflows_call_the_scripts_that_a_person_calls(workflow: Path) -> None:
    commands = [step["run"] for job in read(workflow)["jobs"].values() for step in job["steps"] if "run" in step]
    for command in commands:
        program = command.split()[0]
        assert "\n" not in command
        assert program in ("uv", "gh") or (ROOT / program).is_file(), command
    everything = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in commands:
        if command.startswith("scripts/") and command != "scripts/check":  # .ci/run has its steps
            assert command.split()[0] in everything


def test_the_fast_check_runs_on_three_systems() -> None:
    (job,) = read(ROOT / ".github" / "workflows" / "checks.yml")["jobs"].values()
    assert [system.split("-")[0] for system in job["strategy"]["matrix"]["system"]] == ["ubuntu", "macos", "windows"]
    assert job["defaults"]["run"]["shell"] == "bash"


def test_no_lock_file_and_no_index_but_pytorchs() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    container = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    texts = [container, *(path.read_text(encoding="utf-8") for path in WORKFLOWS)]
    indexes = {address for text in texts for address in re.findall(r'UV_INDEX"?: "?([^\s"]+)', text)}
    assert indexes == {"https://download.pytorch.org/whl/cpu"}
    uv = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"].get("uv", {})
    assert not {"index", "index-url", "extra-index-url", "sources"} & uv.keys()


# ---- forms, and the dev container -----------------------------------------------------------------------------------


def test_each_kind_of_report_has_a_form() -> None:
    assert [read(path)["name"] for path in FORMS] == [
        "The grader refused a right answer", "A sentence confused me", "Bug",
    ]  # fmt: skip


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_for_little_and_names_what_it_asks_for(path: Path) -> None:
    fields = [part for part in read(path)["body"] if part["type"] != "markdown"]
    assert 3 <= len(fields) <= 5
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)


def test_the_dev_container_has_a_supported_python_and_installs_everything() -> None:
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert container["image"].rpartition(":")[2] in check_wheel.supported()
    assert container["postCreateCommand"].endswith("uv sync")
    assert container["customizations"]["vscode"]["extensions"] == ["ms-python.python", "ms-toolsai.jupyter"]


# ---- the check of the wheel -----------------------------------------------------------------------------------------


def test_the_wheel_is_tried_with_the_oldest_python_that_is_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={check_wheel.supported()[0]}"
    assert check_wheel.supported() == sorted(check_wheel.supported(), key=lambda version: int(version[2:]))


def test_a_tag_must_be_the_version_and_the_folder_must_be_new(tmp_path: Path) -> None:
    with pytest.raises(check_wheel.Failed, match=r"the tag is v0\.0\.0, and the version in .*version\.py is"):
        check_wheel.check(None, "v0.0.0", [], tmp_path)
    with pytest.raises(check_wheel.Failed, match="exists"):
        check_wheel.check(tmp_path, f"v{check_wheel.VERSION}", [], tmp_path)


def test_a_command_that_fails_is_shown_with_what_it_printed() -> None:
    with pytest.raises(check_wheel.Failed, match=r"exit status 3 of: .*\nwhy"):
        check_wheel.run(sys.executable, "-c", "print('why'); exit(3)")
    assert check_wheel.run(sys.executable, "-c", "print('why'); exit(3)", fails=True) == "why\n"
    with pytest.raises(check_wheel.Failed, match="exit status 0"):
        check_wheel.run(sys.executable, "-c", "", fails=True)


def test_commands_run_in_no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in check_wheel.NOT_CLEAN:
        monkeypatch.setenv(name, "ours")
    names = check_wheel.run(sys.executable, "-c", "import os; print(*os.environ)").split()
    assert "PATH" in names
    assert not set(check_wheel.NOT_CLEAN) & set(names)
