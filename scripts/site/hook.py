"""What MkDocs calls while it builds the site. Each step is a module beside this one:

pages runs the lessons' cells (running) and puts their figures in; lessons and reference are what [[ macros ]] bring in
from the course and the code; links leads where it can; katex sets the formulas; notebooks, a command of its own, makes
lessons/NN/lesson.ipynb from the same pages.
"""

import logging
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.site import reference
from scripts.site.address import Address
from scripts.site.katex import katex
from scripts.site.lessons import OnTheSite
from scripts.site.links import mended
from scripts.site.macros import Macros, expand
from scripts.site.pages import Page, is_notebook, written_out
from scripts.site.places import SiteError
from scripts.site.running import AT_ONCE

log = logging.getLogger("mkdocs.hooks.site")

_lessons: dict[str, Page] = {}
_planned: set[str] = set()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the menu what isn't written yet, and what needs an address while it isn't known."""
    _planned.clear()
    config.nav = _written(config.nav, Path(config.docs_dir))
    for name in sorted(_planned):
        log.warning("%s is in the menu, and there is no such page", name)
    if not config.site_url:  # it may be shown in place of any page, so it names its files by the site's address
        config.theme.static_templates.discard("404.html")
    address = Address.of(dict(config.extra))
    if address.url:
        config.repo_url = config.repo_url or address.url
        config.repo_name = config.repo_name or address.url.rsplit("/", 1)[-1]
        config.edit_uri = config.edit_uri or f"edit/{address.branch}/docs/"
    return config


def _written(nav: Any, docs: Path) -> Any:
    """The menu without the pages that aren't there, and without sections that have none."""
    if isinstance(nav, str):
        if (docs / nav).is_file():
            return nav
        _planned.add(nav)
        return None
    if isinstance(nav, list):
        return [entry for entry in (_written(entry, docs) for entry in nav) if entry]
    kept = {title: _written(entry, docs) for title, entry in nav.items()}
    return {title: entry for title, entry in kept.items() if entry}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Run the lessons, and add what they and KaTeX bring along."""
    started = time.perf_counter()
    macros = _macros(config)
    lessons = {file.src_uri: file.content_string for file in files.documentation_pages()}
    lessons = {name: source for name, source in lessons.items() if is_notebook(source)}
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pages = pool.map(lambda item: written_out(item[1], item[0], macros), lessons.items())
            _lessons.clear()
            _lessons.update(zip(lessons, pages, strict=True))
        extra = {f"katex/{name}": content for name, content in katex().items()}
    except SiteError as error:
        raise PluginError(str(error)) from None
    for name, page in _lessons.items():
        folder = Path(name).parent.as_posix()
        extra |= {f"{folder}/figures/{figure}": content for figure, content in page.figures.items()}
    for name, content in extra.items():
        files.append(File.generated(config, name, content=content))
    log.info("%s lessons ready after %.1f s", len(lessons), time.perf_counter() - started)
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Write out a page's macros and mend its links."""
    name = page.file.src_uri
    try:
        text = _lessons[name].markdown if name in _lessons else expand(markdown, _macros(config), name)
        if name.startswith("benchmarks/"):
            text = reference.measurement(Path(name).stem, text)
        return mended(text, name, set(files.src_uris), _planned, Address.of(dict(config.extra)))
    except SiteError as error:
        raise PluginError(str(error)) from None


INLINE_CODE = re.compile(r"<code>([^<\n]*)</code>")  # that of blocks holds spans
OPTION = re.compile(r"(?<![\w-])--?\w[\w-]*")
INLINE_MATHS = re.compile(r'(<span class="arithmatex">[^<]{1,40}</span>)([.,;:)]+)')


def on_page_content(html: str, **_: Any) -> str:
    """Keep together what must not be parted at the end of a line: `--option`, and a formula and its comma."""
    html = INLINE_CODE.sub(lambda code: OPTION.sub(r'<span class="whole">\g<0></span>', code[0]), html)
    return INLINE_MATHS.sub(r'<span class="whole">\1\2</span>', html)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The last touches to a page."""
    return _finished(output, get_relative_url("about.html", page.url))


def on_post_template(output_content: str, config: MkDocsConfig, **_: Any) -> str:
    """The same for the page that is shown where there is none."""
    return _finished(output_content, f"{urlsplit(config.site_url or '').path.rstrip('/')}/about.html")


def _finished(html: str, about: str) -> str:
    """The footer's last word is a link, and the header doesn't ask GitHub how many stars the repository has."""
    html = html.replace("See About.", f'See <a href="{about}">About</a>.')
    return html.replace(' data-md-component="source"', "")


def _macros(config: MkDocsConfig) -> Macros:
    """All that may stand in double brackets."""
    address = Address.of(dict(config.extra))
    lesson = OnTheSite(address)
    return {
        "facts": lesson.facts,
        "exercise": lesson.exercise,
        "picture": lesson.picture,
        "mistake": lesson.mistake,
        "clone": address.clone,
        "presets": reference.presets,
        "configuration": reference.configuration,
        "command_line": reference.command_line,
        "code": reference.code,
    }
