"""The public addresses of the repository and of the site. Only mkdocs.yml has them, and `scripts/set_address` writes
them from there into the files that can't ask. While there is no address, pages and notebooks say what to do instead.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from dino.common.version import DISTRIBUTION, VERSION
from scripts.site.paths import ROOT

GITHUB = re.compile(r"https://github\.com/(?P<owner>[\w-]+)/(?P<name>[\w.-]+)", re.ASCII)


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

    def raw(self) -> str:
        """Return the address below which GitHub serves the files themselves, such as images."""
        return f"{self.url.replace('//github.com/', '//raw.githubusercontent.com/')}/{self.branch}" if self.url else ""

    def site(self) -> str:
        """Return the address of the site on GitHub's Pages, or "" if the repository isn't on GitHub."""
        found = GITHUB.fullmatch(self.url)
        return f"https://{found['owner'].lower()}.github.io/{found['name']}/" if found else ""

    # ---- what pages say ---------------------------------------------------------------------------------------------

    def clone(self, download: str = "") -> str:
        """Return the instructions to get a copy of the course, in Markdown.

        Args:
            download: the path of a zip file with the course, for a site without an address of the repository.
        """
        if self.url:
            return f"```console\ngit clone {self.url}\ncd {self.url.rsplit('/', 1)[-1].removesuffix('.git')}\n```"
        if download:
            return (
                f"[Download the course]({download}) and unpack the file. Open a terminal in the folder "
                f"`{DISTRIBUTION}`, which holds `README.md` and `lessons`."
            )
        return (
            "This site was built from a copy of the course: a folder that holds `README.md` and `lessons`. Open a "
            "terminal in that folder."
        )

    def start(self) -> str:
        """Return the instructions to make a learner's folder without a copy of the repository, in Markdown."""
        wheel = f"./{DISTRIBUTION.replace('-', '_')}-{VERSION}-py3-none-any.whl"
        if self.url:
            return f"```sh\nuvx --from git+{self.url} dino init my-course\n```"
        return (
            f"```sh\n# in the folder that holds the course's folder\nuvx --from ./{DISTRIBUTION} dino init my-course\n"
            f"# or from a wheel\nuvx --from {wheel} dino init my-course\n```"
        )

    def open_in_colab(self) -> str:
        """Return the way to lesson 00 in Colab, in Markdown."""
        if address := self.colab("lessons/00/lesson.ipynb"):
            return (
                f"[Open lesson 00 in Colab]({address}){{ .md-button }}\n\n"
                "The first code cell of each notebook downloads and installs the course."
            )
        return (
            f"1. Pack the course's folder as `{DISTRIBUTION}.zip`, without `.venv` and `runs`. If you downloaded a "
            "file of this name, use that.\n"
            "2. Go to [colab.research.google.com](https://colab.research.google.com), and upload "
            "`lessons/00/lesson.ipynb` from the folder.\n"
            "3. Click on the folder icon on the left, and upload the zip file.\n"
            "4. Run the first code cell. It unpacks and installs the course."
        )

    def report(self) -> str:
        """Return the sentence that says where to report what is wrong, in Markdown."""
        return f"Report it [on GitHub]({self.url}/issues/new/choose)." if self.url else "Report it where you got it."
