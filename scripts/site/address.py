"""The public address of the repository. Only mkdocs.yml has it. While it is empty, pages and notebooks say what to
do instead.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from scripts.site.paths import ROOT


@dataclass(frozen=True)
class Address:
    """The address of the repository on the web, or an empty one while there is none."""

    url: str = ""
    branch: str = "main"

    @classmethod
    def from_extra(cls, extra: dict[str, Any]) -> "Address":
        """Return the address in the `extra` of mkdocs.yml."""
        url = str(extra.get("repository") or "").rstrip("/").removesuffix(".git")
        return cls(url, str(extra.get("branch") or "main"))

    @classmethod
    def read(cls) -> "Address":
        """Read the address from mkdocs.yml."""
        return cls.from_extra(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["extra"])

    def file(self, path: str) -> str:
        """Return the address of a file or folder of the repository."""
        return f"{self.url}/blob/{self.branch}/{path}" if self.url else ""

    def colab(self, path: str) -> str:
        """Return the address that opens a notebook in Colab. It exists only for repositories on GitHub."""
        host, _, name = self.url.partition("github.com/")
        return f"https://colab.research.google.com/github/{name}/blob/{self.branch}/{path}" if host and name else ""

    def clone(self) -> str:
        """Return the instructions to get a copy of the repository, in Markdown."""
        if not self.url:
            return (
                "Get a copy of the course's folder from the person who showed you this page. Open a terminal in that "
                "folder, which holds `README.md` and `lessons`."
            )
        return f"```console\ngit clone {self.url}\ncd {self.url.rsplit('/', 1)[-1].removesuffix('.git')}\n```"
