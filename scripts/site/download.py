"""The course as a file to download from the site. It's made while the repository has no public address."""

import logging
import subprocess
from functools import cache

from dino.common.version import DISTRIBUTION
from scripts.site.paths import ROOT

log = logging.getLogger("mkdocs.hooks.site")

PATH = f"downloads/{DISTRIBUTION}.zip"  # in the site. The notebooks look for a file of this name


@cache
def archive() -> bytes | None:
    """Return a zip file of what is committed, in one folder, or None if this copy of the course isn't a git clone."""
    # -1 is the weakest compression: images and weights, which are most of it, don't get smaller.
    command = ["git", "archive", "--format=zip", "-1", f"--prefix={DISTRIBUTION}/", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        log.info("there will be no file to download, because git failed: %s", error)
        return None


def files() -> dict[str, bytes]:
    """Return the file by its path in the site, or nothing."""
    content = archive()
    return {PATH: content} if content else {}
