"""Where things lie, what a fault in a page is called, and a memory for what takes long to make."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

log = logging.getLogger("mkdocs.hooks.site")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LESSONS = DOCS / "lessons"
CACHE = ROOT / ".cache" / "site"


class SiteError(Exception):
    """Something in a page that its author can mend. The message names the page and says what."""


def fingerprint(paths: Iterable[Path]) -> dict[str, str]:
    """The content of files, in short: {path below ROOT: SHA-256}. A file that isn't there has none."""
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(set(paths))
        if path.is_file()
    }


def remembered(name: str, question: Any, make: Callable[[], tuple[Any, Iterable[Path]]]) -> Any:
    """What `make` gave when it was last asked this question, or what it gives now.

    Args:
        name: of the file in the cache.
        question: all that decides the answer, fit for JSON, but for the files that it depends on.
        make: gives the answer, fit for JSON, and the files that it came to depend on. A change in one makes it anew.
    """
    key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
    file = CACHE / f"{name}.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["key"] == key and kept["files"] == fingerprint(ROOT / path for path in kept["files"]):
            return kept["answer"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # there is none, or it is damaged
        pass
    answer, files = make()
    kept = {"key": key, "files": fingerprint(files), "answer": answer}
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(kept), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        log.info("%s will have to be made again next time: %s", name, error)
    return answer
