"""Check prose and names against the rules of language in scripts/styles.

    uv run python -m scripts.check_prose

The rules are written for vale (https://vale.sh), which reads the same files. This program applies them wherever Python
runs, because vale can't be installed without downloading it. It also checks what vale doesn't look at: names in code,
file names, and the form of docstrings.

Prose is Markdown without its code, and the docstrings, comments and messages of Python files. Quotations are left
alone: text in double quotes or backticks, and lines that begin with ">".
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
STYLE = ROOT / "scripts" / "styles" / "Dino"
PROSE = ("*.md", "*.py")
NO_PROSE = ("dino/data/licenses/", "tests/test_check_prose.py")  # other people's words, and examples of what is found
NO_NAMES = ("tests/", "lessons/", "solutions/", "dino/course/catalog/")  # learners' code may use any name
NO_FORM = ("tests/", "lessons/", "dino/course/catalog/")  # of docstrings: tests' names are sentences already


class Finding(NamedTuple):
    """A place that breaks a rule."""

    path: Path
    line: int
    message: str


@dataclass(frozen=True)
class Rule:
    """A rule of the style: words that are not allowed, and perhaps what to use instead."""

    message: str
    patterns: tuple[tuple[re.Pattern[str], str], ...]  # each with its replacement, or ""
    for_code: bool

    def findings(self, path: Path, line: int, text: str) -> Iterator[Finding]:
        """Find the rule's words in a text."""
        for pattern, replacement in self.patterns:
            for found in pattern.finditer(text):
                words = (replacement, found[0]) if replacement else (found[0],)
                yield Finding(path, line, self.message % words)


def read_rule(path: Path) -> Rule:
    """Read a rule in vale's format: `existence` (tokens) or `substitution` (swap)."""
    rule: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = dict.fromkeys(rule["tokens"], "") if rule["extends"] == "existence" else rule["swap"]
    flags = re.IGNORECASE if rule.get("ignorecase") else 0
    patterns = tuple((re.compile(rf"\b(?:{word})(?!\w)", flags), better) for word, better in words.items())
    return Rule(rule["message"], patterns, rule.get("scope") == "code")


# ---- what is prose in a file ----------------------------------------------------------------------------------------


def prose_of_markdown(text: str) -> str:
    """Return Markdown without its code, links' targets, macros and quotations, on the same lines."""

    def blank(found: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", found[0])

    text = re.sub(r"<!-- retired terms: begin -->.*?<!-- retired terms: end -->", blank, text, flags=re.DOTALL)
    text = re.sub(r"^(```|~~~).*?^\1", blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^---\n.*?^---\n", blank, text, count=1, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ {0,3}>.*$|^\[\[.*\]\]$|<!-- .*? -->", blank, text, flags=re.MULTILINE)
    return without_quotations(re.sub(r"\]\([^)]*\)|<[^>\n]+>|\{[^}\n]*\}|\$[^$\n]+\$", blank, text))


def without_quotations(text: str) -> str:
    """Return text without what stands in backticks or double quotes."""
    return re.sub(r"`[^`]*`|\"[^\"\n]*\"|“[^”]*”", lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def texts_of_python(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield the texts of a Python file, each with its line and kind: "prose" or "name"."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line = token.start[0]
        if token.type == tokenize.COMMENT:
            yield line, "prose", without_quotations(token.string)
        elif token.type == tokenize.NAME:
            yield line, "name", token.string
        elif token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            is_plain = not re.match(r"[rR]", token.string)  # raw strings are patterns
            body = re.sub(r'^\w*("""|\'\'\'|"|\')|("""|\'\'\'|"|\')$', "", token.string)
            for number, text in enumerate(without_quotations(body).split("\n") if is_plain else []):
                yield line + number, "prose", re.sub(r"\{[^}]*\}|\S*[/\\_]\S*", " ", text)


# ---- the form of docstrings -----------------------------------------------------------------------------------------

HEADLESS = re.compile(r"(Whether|What|How|Who|Where|Which|When|That|Told|Said|If)\b")


def docstring_findings(path: Path, source: str) -> Iterator[Finding]:
    """Check each docstring: its first line names the thing or is an imperative, and errors are raised "if" ..."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            continue
        text = ast.get_docstring(node) or ""
        line = node.body[0].lineno if node.body else 1
        if HEADLESS.match(text):
            start = " ".join(text.split()[:3])
            yield Finding(path, line, f"'{start} ...': begin a docstring with a noun or an imperative, like 'Return'.")
        for error in re.findall(r"^Raises:\n((?:    .*\n?)+)", text, re.MULTILINE):
            for entry in re.findall(r"^    (\w+): (?!if |as |in place of )(.*)", error, re.MULTILINE):
                yield Finding(path, line, f"'{entry[0]}: {entry[1][:30]}': say when it is raised: 'if ...'.")


# ---- the whole project ----------------------------------------------------------------------------------------------


def check(path: Path, rules: list[Rule]) -> Iterator[Finding]:
    """Check one file."""
    name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        for number, line in enumerate(prose_of_markdown(text).split("\n"), start=1):
            for rule in rules:
                if not rule.for_code:
                    yield from rule.findings(path, number, line)
        return
    for number, kind, part in texts_of_python(text):
        for rule in rules:
            if rule.for_code == (kind == "name") and not (rule.for_code and name.startswith(NO_NAMES)):
                yield from rule.findings(path, number, part)
    if not name.startswith(NO_FORM):
        yield from docstring_findings(path, text)


def names_of_files(paths: list[Path], rules: list[Rule]) -> Iterator[Finding]:
    """Check the names of files and folders."""
    for path in paths:
        for rule in rules:
            if rule.for_code:
                for part in path.relative_to(ROOT).with_suffix("").parts:
                    yield from rule.findings(path, 0, part)


def main() -> None:
    """Check all files that git knows of, and print what breaks a rule. The exit status is 1 if anything does."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PROSE],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    paths = [ROOT / name for name in listed.stdout.splitlines() if not name.startswith(NO_PROSE)]
    paths = [path for path in sorted(set(paths)) if path.is_file()]
    rules = [read_rule(path) for path in sorted(STYLE.glob("*.yml"))]
    findings = [finding for path in paths for finding in check(path, rules)]
    findings += names_of_files([path for path in paths if not path.is_relative_to(ROOT / "docs")], rules)
    for finding in findings:
        print(f"{finding.path.relative_to(ROOT)}:{finding.line}: {finding.message}")
    if findings:
        sys.exit(f"{len(findings)} places break a rule of language. CONTRIBUTING.md explains the rules.")
    print(f"{len(paths)} files, and nothing breaks a rule of language")


if __name__ == "__main__":
    main()
