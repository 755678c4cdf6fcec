"""Paths of the project, and the error that names a page."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CACHE = ROOT / ".cache" / "site"


class SiteError(Exception):
    """A mistake in a page that its author can correct. The message names the page and the mistake."""
