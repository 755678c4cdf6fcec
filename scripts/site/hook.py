"""The hooks that MkDocs calls while it builds the site. Each step is a module beside this one:

- `pages` renders the lessons: `running` runs their cells, and `macros` inserts what `lessons` and `reference` read from
  the course and the code.
- `links` changes links that would lead nowhere.
- `formulas` converts LaTeX to MathML.
- `papers` makes the tables of the papers' symbols from dino/rosetta.py.
- `terms` links the first use of each term in a page to the glossary.
- `docstrings` completes what mkdocstrings shows.
- `diagrams` inserts the drawings of docs/diagrams, and `course_map` the map of the course.
- `elements` adds the interactive elements of dino/web/elements, whose data `elements_data` computes.
- `plots` shows the plots of the measurements, drawn for light and dark pages.
- `gallery` shows the runs of scripts/benchmarks/gallery.py and what the doctor says about them.
- `tables` marks the tables that a phone shows as cards.
- `playground` adds the network that runs in the page.
- `download` adds the course as a zip file, while the repository has no public address.
- `sharing` says what other programs show of a page.

These modules are programs: `notebooks` makes lessons/NN/lesson.ipynb from the same pages, `contact_sheets`,
`animation` and `sharing` make images, and `math_font` makes the font of the formulas.
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

from scripts.site import course_map, download, elements, gallery, papers, playground, plots, reference, sharing
from scripts.site.address import Address
from scripts.site.formulas import set_formulas
from scripts.site.lessons import PageMacros
from scripts.site.links import resolve_links
from scripts.site.macros import Macros, expand
from scripts.site.pages import Page, is_notebook, render
from scripts.site.paths import SiteError
from scripts.site.running import AT_ONCE
from scripts.site.tables import with_cards
from scripts.site.terms import mark_terms

log = logging.getLogger("mkdocs.hooks.site")

_lessons: dict[str, Page] = {}
_planned: set[str] = set()


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave unwritten pages out of the menu, and set what depends on the addresses of the site and the repository."""
    _planned.clear()
    config.nav = _without_planned(config.nav, Path(config.docs_dir))
    for name in sorted(_planned):
        log.warning("%s is in the menu, and there is no such page", name)
    if not config.site_url:  # 404.html may be shown at any address, so it names its files by the site's own
        config.theme.static_templates.discard("404.html")
    config.markdown_extensions.append(elements.KnownToMarkdown())
    address = Address.from_extra(dict(config.extra))
    if address.url:
        config.repo_url = config.repo_url or address.url
        config.repo_name = config.repo_name or address.url.rsplit("/", 1)[-1]
        config.edit_uri = config.edit_uri or f"edit/{address.branch}/docs/"
    return config


def _without_planned(nav: Any, docs: Path) -> Any:
    """Return the menu without pages that don't exist, and without sections that have none. The pages are collected."""
    if isinstance(nav, str):
        if (docs / nav).is_file():
            return nav
        _planned.add(nav)
        return None
    if isinstance(nav, list):
        return [entry for entry in (_without_planned(entry, docs) for entry in nav) if entry]
    kept = {title: _without_planned(entry, docs) for title, entry in nav.items()}
    return {title: entry for title, entry in kept.items() if entry}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Render the lessons, and add their figures to the site."""
    started = time.perf_counter()
    macros = _macros(config)
    lessons = {file.src_uri: file.content_string for file in files.documentation_pages()}
    lessons = {name: source for name, source in lessons.items() if is_notebook(source)}
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pages = pool.map(lambda item: render(item[1], item[0], macros), lessons.items())
            _lessons.clear()
            _lessons.update(zip(lessons, pages, strict=True))
    except SiteError as error:
        raise PluginError(str(error)) from None
    for name, page in _lessons.items():
        folder = Path(name).parent.as_posix()
        for figure, content in page.figures.items():
            files.append(File.generated(config, f"{folder}/figures/{figure}", content=content))
    for path, text in (elements.files() | playground.files() | plots.files()).items():
        files.append(File.generated(config, path, content=text))
    if not Address.from_extra(dict(config.extra)).url:
        for path, content in download.files().items():
            files.append(File.generated(config, path, content=content))
    log.info("%s lessons ready after %.1f s", len(lessons), time.perf_counter() - started)
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Expand a page's macros and resolve its links."""
    name = page.file.src_uri
    try:
        text = _lessons[name].markdown if name in _lessons else expand(markdown, _macros(config), name)
        if name.startswith("benchmarks/") and name != "benchmarks/index.md":
            text = reference.measurement(Path(name).stem, text)
        return resolve_links(text, name, set(files.src_uris), _planned, Address.from_extra(dict(config.extra)))
    except SiteError as error:
        raise PluginError(str(error)) from None


INLINE_CODE = re.compile(r"<code>([^<\n]*)</code>")  # code in blocks holds spans
OPTION = re.compile(r"(?<![\w-])--?\w[\w-]*")
SHORT_FORMULA = re.compile(r'(<span class="arithmatex">[^<]{1,40}</span>)([.,;:)]+)')


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Put plots in, mark tables and terms, set formulas, and forbid line breaks inside `--option` and before commas."""
    html = with_cards(plots.with_plots(html, page.file.src_uri))
    html = INLINE_CODE.sub(lambda code: OPTION.sub(r'<span class="nowrap">\g<0></span>', code[0]), html)
    html = SHORT_FORMULA.sub(r'<span class="nowrap">\1\2</span>', html)
    try:
        return mark_terms(set_formulas(html, page.file.src_uri), page.file.src_uri)
    except SiteError as error:
        raise PluginError(str(error)) from None


def on_post_page(output: str, page: Any, config: MkDocsConfig) -> str:
    """Finish a page."""
    to_root = get_relative_url("about.html", page.url).removesuffix("about.html")
    description = str(page.meta.get("description") or config.site_description)
    title = config.site_name if page.is_homepage else str(page.title)
    output = sharing.with_metadata(output, title, description, page.url, config.site_url or "", to_root)
    return elements.load_in(_finish(output, f"{to_root}about.html"), to_root)


def on_post_template(output_content: str, config: MkDocsConfig, **_: Any) -> str:
    """Finish 404.html."""
    return _finish(output_content, f"{urlsplit(config.site_url or '').path.rstrip('/')}/about.html")


def _finish(html: str, about_page: str) -> str:
    """Link the last word of the footer, and keep the header from asking GitHub for the repository's stars."""
    html = html.replace("See About.", f'See <a href="{about_page}">About</a>.')
    return html.replace(' data-md-component="source"', "")


def _macros(config: MkDocsConfig) -> Macros:
    """Return all macros that pages may use."""
    address = Address.from_extra(dict(config.extra))
    lesson = PageMacros(address)
    return {
        "facts": lesson.facts,
        "exercise": lesson.exercise,
        "contact_sheet": lesson.contact_sheet,
        "mistake": lesson.mistake,
        "wrong_answer": lesson.wrong_answer,
        "deeper": lesson.deeper,
        "end_deeper": lesson.end_deeper,
        "diagram": lesson.diagram,
        "course_map": course_map.inline,
        "clone": lambda: address.clone(download.PATH if download.archive() else ""),
        "start": address.start,
        "open_in_colab": address.open_in_colab,
        "report": address.report,
        "api": reference.api,
        "presets": reference.presets,
        "configuration": reference.configuration,
        "command_line": reference.command_line,
        "measured": reference.measured,
        "code": reference.code,
        "short_code": reference.short_code,
        "playground": playground.playground,
        "side_by_side": gallery.side_by_side,
        "reveal": gallery.reveal,
        "end_reveal": gallery.end_reveal,
        "verdict": gallery.verdict,
        "papers": papers.papers,
        "levels": papers.levels,
    }
