"""The repository's public address, which stands in mkdocs.yml alone, and what to say while there is none."""

from dataclasses import dataclass
from typing import Any

import yaml

from scripts.site.places import ROOT


@dataclass(frozen=True)
class Address:
    """Where the repository is on the web. Empty while nobody knows."""

    url: str = ""
    branch: str = "main"

    @classmethod
    def of(cls, extra: dict[str, Any]) -> "Address":
        """The one in the `extra` of mkdocs.yml."""
        url = str(extra.get("repository") or "").rstrip("/").removesuffix(".git")
        return cls(url, str(extra.get("branch") or "main"))

    @classmethod
    def read(cls) -> "Address":
        """The one in mkdocs.yml."""
        return cls.of(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["extra"])

    def file(self, path: str) -> str:
        """The page of a file or folder of the repository."""
        return f"{self.url}/blob/{self.branch}/{path}" if self.url else ""

    def colab(self, path: str) -> str:
        """Where a notebook opens in Colab, which knows GitHub."""
        host, _, name = self.url.partition("github.com/")
        return f"https://colab.research.google.com/github/{name}/blob/{self.branch}/{path}" if host and name else ""

    def clone(self) -> str:
        """How to come by a copy, as Markdown."""
        if not self.url:
            return (
                "Get a copy of the course's folder from whoever showed you this page, and open a terminal in it: in "
                "the folder that holds `README.md` and `lessons`."
            )
        return f"```console\ngit clone {self.url}\ncd {self.url.rsplit('/', 1)[-1].removesuffix('.git')}\n```"
