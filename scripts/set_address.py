"""Set the public address of the repository: in mkdocs.yml, and in all files that are made from it.

    scripts/set_address https://github.com/OWNER/NAME
    scripts/set_address --unset

mkdocs.yml is the only place that has the address by itself. Programs of this project read it from there. Other programs
can't: pip shows pyproject.toml's links, and GitHub shows README, CITATION.cff and issue forms as they are. So this
program writes the address into those files, between two marks, and into the notebooks. Run it twice, and nothing
changes. Without an address the marks have nothing between them.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from dino.common.version import DISTRIBUTION
from dino.course.curriculum import LESSONS
from scripts.site import notebooks
from scripts.site.address import GITHUB, Address
from scripts.site.paths import ROOT

FOUND = r"\1"  # the file that a link in README names
BADGES = re.compile(r"\n<!-- address: begin -->\n.*?<!-- address: end -->\n", re.DOTALL)
BLOCK = re.compile(r"(^[^\n]*address: begin[^\n]*\n).*?(^[^\n]*address: end)", re.MULTILINE | re.DOTALL)


def files(address: Address) -> dict[Path, Callable[[str], str]]:
    """Return all files that hold the address, each with the function that writes the address into its text."""
    rewritten: dict[Path, Callable[[str], str]] = {
        Path("mkdocs.yml"): lambda text: _in_mkdocs(text, address),
        Path("pyproject.toml"): lambda text: _in_block(text, _metadata(address)),
        Path("README.md"): lambda text: _in_readme(text, address),
        Path("CITATION.cff"): lambda text: _in_block(text, _citation(address)),
        Path(".github/ISSUE_TEMPLATE/config.yml"): lambda text: _in_block(text, _contact_links(address)),
    }
    for lesson in LESSONS:
        path = notebooks.notebook_file(lesson).relative_to(ROOT)
        rewritten[path] = lambda text, lesson=lesson: notebooks.with_address(text, lesson, address)  # type: ignore[misc]
    return rewritten


def set_address(address: Address, root: Path = ROOT) -> list[Path]:
    """Write an address into all files that hold it. Returns those that changed.

    Args:
        address: the new one, or an empty one.
        root: the folder of the repository.

    Raises:
        ValueError: if a file has no place for the address. No file is changed then.
    """
    changed = {}
    for path, rewritten in files(address).items():
        before = (root / path).read_text(encoding="utf-8")
        try:
            after = rewritten(before)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if after != before:
            changed[path] = after
    for path, text in changed.items():  # only now, so that an error in one file leaves all of them as they are
        (root / path).write_text(text, encoding="utf-8", newline="\n")
    return list(changed)


def parse(url: str) -> Address:
    """Return the address that a user typed, without what browsers and git add to it.

    Raises:
        ValueError: if it isn't the address of a repository on GitHub.
    """
    plain = url.strip().rstrip("/").removesuffix(".git")
    found = GITHUB.fullmatch(plain)
    if found is None or found["name"] in (".", ".."):
        raise ValueError(
            f"{url!r} is not the address of a repository on GitHub, such as https://github.com/OWNER/NAME. Workflows, "
            "issue forms and the site's address need GitHub"
        )
    if "OWNER" in plain or "NAME" in plain:
        raise ValueError(f"put the name of your own account and repository into {plain}")
    return Address(plain)


# ---- the files ------------------------------------------------------------------------------------------------------


def _in_mkdocs(text: str, address: Address) -> str:
    for name, value in (("site_url", address.site()), ("  repository", address.url)):
        text, n = re.subn(rf'^{name}: "[^"\n]*"', f'{name}: "{value}"', text, flags=re.MULTILINE)
        if n != 1:
            raise ValueError(f'it needs one line that begins with {name.strip()}: "')
    return text


def _in_block(text: str, lines: list[str]) -> str:
    """Return a text with other lines between its two marks."""
    between = "".join(f"{line}\n" for line in lines)
    text, n = BLOCK.subn(lambda found: found[1] + between + found[2], text)
    if n != 1:
        raise ValueError('it needs one line with "address: begin", and one with "address: end" below it')
    return text


def _in_readme(text: str, address: Address) -> str:
    """Return README with badges below its title. Without an address, not even marks are left."""
    text = BADGES.sub("", text)
    if not address.url:
        return text
    title, rest = text.split("\n", 1)
    return "\n".join([title, "", "<!-- address: begin -->", *_badges(address), "<!-- address: end -->", rest])


def _metadata(address: Address) -> list[str]:
    if not address.url:
        return []
    substitutions = [  # PyPI shows README without the files beside it
        (r"\]\((?!https?:|#)([^)]+\.(?:png|webp|gif))\)", f"]({address.raw()}/{FOUND})"),
        (r"\]\((?!https?:|#)([^)]+)\)", f"]({address.file(FOUND)})"),
    ]
    lines = [
        "[project.urls]",
        f'Homepage = "{address.site()}"',
        f'Repository = "{address.url}"',
        f'Issues = "{address.url}/issues"',
        f'Changelog = "{address.file("CHANGELOG.md")}"',
    ]
    for pattern, replacement in substitutions:
        table = "tool.hatch.metadata.hooks.fancy-pypi-readme.substitutions"
        lines += ["", f"[[{table}]]", f"pattern = '{pattern}'", f"replacement = '{replacement}'"]
    return lines


def _badges(address: Address) -> list[str]:
    checks, package = f"{address.url}/actions/workflows/checks.yml", f"https://pypi.org/project/{DISTRIBUTION}/"
    colab = address.colab(f"lessons/{LESSONS[0].number}/lesson.ipynb")
    return [
        f"[![checks]({checks}/badge.svg)]({checks})",
        f"[![PyPI](https://img.shields.io/pypi/v/{DISTRIBUTION})]({package})",
        f"[![Open in Colab]({notebooks.COLAB_BADGE})]({colab})",
        "",
        f"**[The course's website]({address.site()})**",
        "",
    ]


def _citation(address: Address) -> list[str]:
    return [f'repository-code: "{address.url}"', f'url: "{address.site()}"'] if address.url else []


def _contact_links(address: Address) -> list[str]:
    if not address.url:
        return []
    return [
        "contact_links:",
        "  - name: Setup and its problems",
        f"    url: {address.site()}set-up.html",
        "    about: What to do when the installation or the first command fails.",
    ]


# ---- the command ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Set or unset the address, and print the files that changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("url", nargs="?", metavar="URL", help="of the repository: https://github.com/OWNER/NAME")
    what.add_argument("--unset", action="store_true", help="take the address away")
    arguments = parser.parse_args()
    try:
        changed = set_address(Address() if arguments.unset else parse(arguments.url))
    except ValueError as error:
        sys.exit(str(error))
    for path in changed:
        print(f"wrote {path.as_posix()}")
    print(f"{len(changed)} files changed. The addresses are in mkdocs.yml" if changed else "nothing changed")


if __name__ == "__main__":
    main()
