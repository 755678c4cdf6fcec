"""A cache on disk for results that take long to compute. Each result is kept until its inputs or the files that it used
change.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from scripts.site.paths import CACHE, ROOT

log = logging.getLogger("mkdocs.hooks.site")


def fingerprint(paths: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path below ROOT. Missing files are left out."""
    return {
        path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(set(paths))
        if path.is_file()
    }


def cached(name: str, inputs: Any, compute: Callable[[], tuple[Any, Iterable[Path]]]) -> Any:
    """Return the result of `compute`, from the cache where neither its inputs nor the files that it used have changed.

    Args:
        name: of the file in the cache.
        inputs: everything that determines the result, except for the files. Must be fit for JSON.
        compute: returns the result, fit for JSON, and the files that the result depends on.
    """
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    file = CACHE / f"{name}.json"
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))
        if entry["key"] == key and entry["files"] == fingerprint(ROOT / path for path in entry["files"]):
            return entry["result"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # there is no entry, or it is damaged
        pass
    result, files = compute()
    entry = {"key": key, "files": fingerprint(files), "result": result}
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(entry), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        log.info("%s can't be cached, and will be computed again next time: %s", name, error)
    return result
