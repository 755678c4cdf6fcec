"""The site: built as CI builds it, then visited in a real browser, from a server and from a folder of files."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("mkdocs", reason="the site needs the group docs: uv sync")
import nbformat  # noqa: E402
from mkdocs.exceptions import PluginError  # noqa: E402

import dino  # noqa: E402
from dino.course.curriculum import LESSONS, Lesson  # noqa: E402
from dino.trainer.model_file import PRETRAINED  # noqa: E402
from scripts.benchmarks.gallery import ENTRIES  # noqa: E402
from scripts.site import (  # noqa: E402
    cache,
    course_map,
    diagrams,
    download,
    gallery,
    hook,
    notebooks,
    pages,
    reference,
    running,
    terms,
)
from scripts.site.address import Address  # noqa: E402
from scripts.site.lessons import PageMacros, shortened, stub_of  # noqa: E402
from scripts.site.links import module_pages, resolve_links  # noqa: E402
from scripts.site.macros import expand  # noqa: E402
from scripts.site.paths import SiteError  # noqa: E402

from .browsing import served  # noqa: E402

pytestmark = pytest.mark.timeout(1800)  # the first build runs every lesson

HOME = "http://site/"  # stands for the address of the built pages
KNOWN = Address("https://github.com/someone/dino-diffusion")
WRITTEN = [lesson for lesson in LESSONS if notebooks.page_of(lesson).is_file()]


# ---- the built site -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # Without --quiet, because then --strict would count no warnings.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


class Html(HTMLParser):
    """The links, files and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.files: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.files.append(found["href"])
        elif tag == "source" and "srcset" in found:
            self.files.append(found["srcset"])
        elif tag in ("img", "script") and "src" in found:
            self.files += [found["src"], *([found["data-still"]] if "data-still" in found else [])]


@pytest.fixture(scope="module")
def html(site: Path) -> dict[str, Html]:
    """All pages, by their paths below the site."""
    return {
        path.relative_to(site).as_posix(): Html(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


def test_every_internal_link_and_anchor_leads_somewhere(site: Path, html: dict[str, Html]) -> None:
    broken, n_links = [], 0
    for name, page in html.items():
        if name == "404.html":  # its links start at the root of a server
            continue
        for link in page.links + page.files:
            target = urlsplit(urljoin(HOME + name, link))
            if target.netloc != "site":
                continue
            n_links += 1
            path = unquote(target.path).lstrip("/") or "index.html"
            if not (site / path).is_file():
                broken.append(f"{name}: {link}")
            elif path in html and unquote(target.fragment) not in html[path].anchors:
                broken.append(f"{name}: {link} (no such place in the page)")
    assert not broken, "\n".join(broken)
    assert n_links > 1000


def test_every_page_can_be_reached_from_the_home_page(html: dict[str, Html]) -> None:
    seen, to_see = set(), ["index.html"]
    while to_see:
        name = to_see.pop()
        if name in html and name not in seen:
            seen.add(name)
            links = (urlsplit(urljoin(HOME + name, link)) for link in html[name].links)
            to_see += [link.path.lstrip("/") for link in links if link.netloc == "site"]
    assert html.keys() - seen <= {"404.html"}


def test_no_page_loads_a_file_of_another_site(html: dict[str, Html]) -> None:
    assert not [(name, file) for name, page in html.items() for file in page.files if "//" in file]


def test_every_page_has_a_title_and_a_description_of_its_own(site: Path) -> None:
    heads: dict[tuple[str, str], Path] = {}
    for path in site.rglob("*.html"):
        if path.name == "404.html":
            continue
        text = path.read_text(encoding="utf-8")
        title, description = (
            re.search(r"<title>(.*?)</title>", text),
            re.search(r'name="description" content="(.*?)"', text),
        )
        assert title, path
        assert description, path
        assert (title[1], description[1]) not in heads, (path, heads[title[1], description[1]])
        assert not re.search(r"<p>title: ", text), f"{path}: its front matter is not YAML"
        heads[title[1], description[1]] = path


def test_no_macro_and_no_source_file_is_left_in_the_site(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = re.sub(r"<pre.*?</pre>|<code.*?</code>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"\[\[ ?\w+\(|\n:::|\?\?\? \w+", text), path
    assert not list(site.rglob("*.py"))


def test_every_image_has_a_description(site: Path) -> None:
    for path in site.rglob("*.html"):
        for image in re.findall(r"<img [^>]*>", path.read_text(encoding="utf-8")):
            alt = re.search(r'alt="([^"]*)"', image)
            assert alt, (path.name, image)
            assert len(alt[1]) > 15 or alt[1] == "logo", (path.name, image)


# ---- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as started:
        yield started


class Visitor:
    """A browser that goes from page to page, and records errors, warnings and requests to other servers."""

    def __init__(self, browser: Any, home: str, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page, self.home, self.problems = self.context.new_page(), home, []  # type: ignore[var-annotated]
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"{self.page.url}: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("requestfailed", self._on_failure)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{self.page.url}: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:", "blob:", "about:")):
            self.problems.append(f"{self.page.url} requests {request.url}")

    def _on_failure(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # because the visitor went on before the page had loaded
            self.problems.append(f"{self.page.url}: no {request.url} ({request.failure})")

    def go(self, name: str) -> Any:
        self.page.goto(self.home + name)  # waits until the page has loaded
        return self.page

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def visitor(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    visiting = Visitor(browser, address, **getattr(request, "param", {}))
    yield visiting
    visiting.close()


def test_every_page_loads_without_a_problem_and_requests_nothing_from_other_servers(
    visitor: Visitor, html: dict[str, Html]
) -> None:
    n_formulas = 0
    for name in html:
        if name == "404.html":
            continue
        page = visitor.go(name)
        # Images further down are loaded when they come into view.
        page.evaluate("document.querySelectorAll('img').forEach(image => image.loading = 'eager')")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)") == []
        # The browser must know the elements as MathML, or it would show a formula as a line of letters.
        assert page.locator(".arithmatex").count() == page.locator(".arithmatex > math").count()
        assert page.evaluate("[...document.querySelectorAll('math')].every(math => math instanceof MathMLElement)")
        n_formulas += page.locator("math").count()
    assert not visitor.problems, "\n".join(visitor.problems)
    assert n_formulas > 0 or not WRITTEN


def test_the_playground_draws_with_each_pretrained_model_and_the_readers_own(
    browser: Any, site: Path, address: str, tmp_path: Path
) -> None:
    """The engine and the model that is open at first weigh less than four megabytes, and are loaded after the text."""
    for home in (address, f"{site.as_uri()}/"):
        visitor = Visitor(browser, home)
        page = visitor.go("playground.html")
        page.wait_for_function("document.querySelector('.status').textContent.startsWith('Drawn')")
        page.wait_for_function("document.querySelector('.model').textContent.includes('The model pretrained-32')")
        for path in set(PRETRAINED.values()):
            page.get_by_role("button", name=path.stem).click()
            page.wait_for_function(f"document.querySelector('.model').textContent.includes('The model {path.stem}')")
        own = shutil.copy(ROOT / "dino" / "data" / "pretrained-32.safetensors", tmp_path / "mine.safetensors")
        page.set_input_files(".file input", own)
        page.wait_for_function("document.querySelector('.model').textContent.includes('The model mine')")
        assert not visitor.problems, "\n".join(visitor.problems)
        visitor.close()
    scripts = site / "javascripts"
    assert sum((scripts / name).stat().st_size for name in ("dino.js", "models/pretrained-32.js")) < 4e6


def test_the_site_works_from_a_folder_of_files(browser: Any, site: Path, html: dict[str, Html]) -> None:
    visitor = Visitor(browser, f"{site.as_uri()}/")
    chosen = [
        "index.html",
        "set-up.html",
        "reference/noise.html",
        *(name for name in html if name.startswith("lessons/")),
    ]
    for name in chosen:
        visitor.go(name)
    assert _found(visitor.go("index.html"), "noise level")
    assert not visitor.problems, "\n".join(visitor.problems)
    visitor.close()


def _found(page: Any, words: str) -> list[str]:
    """The addresses of the search results for some words."""
    typed = page.locator("[data-md-component='search-query']")
    typed.click()
    typed.fill(words)  # at once, so that no part of it is searched for
    typed.press("End")  # the search listens to keys
    page.wait_for_selector(".md-search-result__item a", timeout=120_000)
    links = page.locator(".md-search-result__item a")
    return [links.nth(n).get_attribute("href") for n in range(links.count())]


def test_the_search_finds_noise_level(visitor: Visitor) -> None:
    found = _found(visitor.go("index.html"), "noise level")
    assert any("noise" in link for link in found), found
    assert not visitor.problems, "\n".join(visitor.problems)


SEARCHED = {  # words that readers type, each with a page that must be among the first results
    "memorized": "guides/evaluation.html",
    "glossary": "glossary.html",
    "faq": "faq.html",
    "std": "glossary.html",
    "ema": "glossary.html",
    "epsilon": "elsewhere.html",
    "CUDA out of memory": "faq.html",
    "no tests ran": "faq.html",
    "gray samples": "faq.html",
    "loss is nan": "faq.html",
    "timestep": "glossary.html",
    "sigma": "elsewhere.html",
    "classifier-free guidance": "glossary.html",
    "inpainting": "glossary.html",
    "img2img": "glossary.html",
    "DDIM": "elsewhere.html",
    "VAE": "stable-diffusion.html",
    "cheat sheet": "cheat-sheet.html",
}


def test_the_search_finds_what_readers_type(visitor: Visitor) -> None:
    wrong = {}
    for words, wanted in SEARCHED.items():
        found = _found(visitor.go("about.html"), words)  # a new page each time, without the results of other words
        first = list(dict.fromkeys(urlsplit(link).path.removeprefix("/") for link in found))[:5]
        if wanted not in first:
            wrong[words] = first
    assert not wrong


def test_the_cheat_sheet_prints_on_one_page(visitor: Visitor) -> None:
    page = visitor.go("cheat-sheet.html")
    for paper in ("A4", "Letter"):
        assert len(re.findall(rb"/Type */Page\b", page.pdf(format=paper))) == 1


def test_a_term_shows_its_definition_to_the_keyboard_too(visitor: Visitor) -> None:
    page = visitor.go("stable-diffusion.html")
    page.locator("a.term", has_text="sampler").focus()
    page.locator(".md-tooltip2", has_text="The algorithm that turns pure noise into a picture").wait_for()


WITH_AN_ADDRESS = """
import logging, sys
logging.basicConfig(level=logging.WARNING)  # prints what --strict fails on
from mkdocs.commands.build import build
from mkdocs.config import load_config
config = load_config("mkdocs.yml", strict=True, site_dir=sys.argv[1], site_url="https://someone.github.io/dino/")
config.extra["repository"] = sys.argv[2]
config.plugins.on_startup(command="build", dirty=False)
build(config)
"""


def test_with_an_address_pages_link_to_the_repository_and_still_request_nothing(browser: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITH_AN_ADDRESS, str(tmp_path), f"{KNOWN.url}.git"]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for name in ("index.html", "lessons/01-noise.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert f"{KNOWN.url}/edit/main/docs/{name.replace('.html', '.md')}" in text
        assert ".git/" not in text
    assert 'href="/dino/about.html">About' in (tmp_path / "404.html").read_text(encoding="utf-8")
    visitor = Visitor(browser, f"{tmp_path.as_uri()}/")
    for name in ("index.html", "lessons/01-noise.html"):
        visitor.go(name).wait_for_timeout(500)
    assert visitor.page.locator(".md-source__repository").first.inner_text() == "dino-diffusion"
    assert not visitor.problems, "\n".join(visitor.problems)
    visitor.close()


@pytest.mark.parametrize("visitor", [{"viewport": {"width": 360, "height": 740}}], indirect=True)
def test_no_page_is_wider_than_a_phone(visitor: Visitor, html: dict[str, Html]) -> None:
    too_wide = {}
    for name in html:
        width = visitor.go(name).evaluate("document.documentElement.scrollWidth")
        if width > 360:
            too_wide[name] = width
    assert not too_wide


@pytest.mark.parametrize("visitor", [{"viewport": {"width": 360, "height": 740}}], indirect=True)
def test_a_figure_wider_than_a_phone_can_be_scrolled_and_its_edge_shows_that(visitor: Visitor) -> None:
    frame = visitor.go("lessons/04-sampler.html").locator(".frame.wide").first
    frame.scroll_into_view_if_needed()
    assert "more" in frame.get_attribute("class").split()
    assert frame.get_attribute("tabindex") == "0"  # so that the keyboard can scroll it
    frame.focus()
    for _ in range(40):
        visitor.page.keyboard.press("ArrowRight")
        visitor.page.wait_for_timeout(50)
        if "more" not in frame.get_attribute("class").split():
            break
    else:
        pytest.fail("the edge shows that there is more, and scrolling never reaches the end")
    assert frame.evaluate("frame => frame.scrollLeft > 100")


@pytest.mark.skipif(not WRITTEN, reason="no lesson is written yet")
def test_hints_can_be_opened_with_the_keyboard_alone(visitor: Visitor, html: dict[str, Html]) -> None:
    page = visitor.go(next(name for name in html if name.startswith("lessons/")))
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('details.tip > summary')"):
            break
    else:
        pytest.fail("the Tab key reached no hint")
    opened = "document.activeElement.parentElement.open"
    assert not page.evaluate(opened)
    page.keyboard.press("Enter")
    assert page.evaluate(opened)
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus must be visible"


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}], indirect=True)
def test_the_animation_stands_still_if_the_system_asks_for_less_motion(visitor: Visitor) -> None:
    visitor.page.route("**/elements.js", lambda route: route.abort())  # the live row would take its place
    page = visitor.go("index.html")
    animation, button = page.locator(".animation img"), page.locator(".animation button")
    assert "still" in animation.get_attribute("src")
    button.click()
    assert "still" not in animation.get_attribute("src")


@pytest.mark.parametrize(
    "visitor",
    [{"viewport": {"width": 1280, "height": 800}}, {"viewport": {"width": 360, "height": 740}}],
    indirect=True,
    ids=["laptop", "phone"],
)
def test_the_first_screen_has_the_sentence_the_button_the_row_and_its_text_box(visitor: Visitor) -> None:
    page = visitor.go("index.html")
    height = page.viewport_size["height"]
    page.wait_for_selector("dino-live-row .fresh", timeout=120_000)  # the network has loaded
    for part in (".lead", ".begin .md-button", ".begin ul", "dino-live-row .fresh", "dino-live-row .ask"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= height, part
    page.get_by_role("link", name="Start lesson 00").click()
    assert page.url.endswith("lessons/00-images.html")
    assert not visitor.problems, "\n".join(visitor.problems)


@pytest.mark.parametrize(
    ("visitor", "left_out"),
    # All pages of the code are made alike, so one of them is enough in dark mode, where only colors differ.
    [({"color_scheme": "light"}, "404"), ({"color_scheme": "dark"}, "404|reference/(?!noise|command-line|files)")],
    indirect=["visitor"],
    ids=["light", "dark"],
)
def test_axe_finds_nothing_serious(visitor: Visitor, html: dict[str, Html], left_out: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    faults = []
    for name in html:
        if re.match(left_out, name):
            continue
        page = visitor.go(name)
        page.evaluate("document.querySelectorAll('details:not(.mkdocstrings-source)').forEach(box => box.open = true)")
        found = Axe().run(page, context=".md-content", options={"resultTypes": ["violations"]})
        for rule in found.response["violations"]:
            if rule["impact"] in ("serious", "critical"):
                where = "; ".join(node["html"][:200] for node in rule["nodes"][:3])
                faults.append(f"{name}: {rule['id']} ({len(rule['nodes'])}): {where}")
    assert not faults, "\n".join(faults)


# ---- how it is made -------------------------------------------------------------------------------------------------

HEAD = """---
title: "A page"
jupyter:
  jupytext:
    text_representation: {extension: .md, format_name: markdown}
  kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A page
"""


def test_the_first_use_of_a_term_leads_to_the_glossary() -> None:
    text = "<h2>Samplers</h2><p><code>sampler</code> <a href='#'>sampler</a> Samplers, a sampler, a <b>U-Net</b></p>"
    marked = terms.mark_terms(text, "guides/a.md")
    links = re.findall(r'<a class="term" href="([^"]*)" title="([^"]*)">(.*?)</a>', marked)
    assert [(link, words) for link, _, words in links] == [
        ("../glossary.html#sampler", "Samplers"), ("../glossary.html#u-net", "U-Net"),
    ]  # fmt: skip
    assert links[0][1].startswith("The algorithm that turns pure noise")
    assert re.sub(r'<a class="term"[^>]*>(.*?)</a>', r"\1", marked) == text
    linked = '<p><a href="../glossary.html#sampler">sampler</a> and a sampler</p>'
    assert terms.mark_terms(linked, "guides/a.md") == linked, "the page leads there already"
    assert terms.mark_terms(text, "glossary.md") == text


def test_a_page_with_all_kinds_of_markup_keeps_every_character() -> None:
    text = '<pre><code><span>sampler</span></code></pre><svg aria-label="a>b"><text>EMA</text></svg><br/>x<!-- <b> -->'
    assert terms.mark_terms(text, "a.md") == text


def test_a_definition_is_short_plain_text_and_its_anchor_is_that_of_the_page() -> None:
    from markdown.extensions.toc import slugify

    found = terms.entries(terms.GLOSSARY.read_text(encoding="utf-8"))
    assert len(found) == len(re.findall("^### ", terms.GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)) > 60
    for term in found:
        assert 20 < len(term.definition) < 230, term
        assert not re.search(r"[`\\]|\]\(", term.definition), term
        assert term.anchor == slugify(term.name, "-")


QUOTED = (  # by the FAQ, from messages of dino
    "was still running after",
    "No exercise was graded: no name matches",
    "there is not enough memory for",
    "was not a finite number, so the run stopped",
    "The last save is good. Start",
    "could be read",
    "the model knows none of the words in",
    "so their size must be divisible by",
    "exists and is not empty. Choose a new folder",
    "there is no device",
    "the lessons are not here",
)


def test_the_faq_quotes_messages_that_dino_still_prints() -> None:
    def words(text: str) -> str:
        return " ".join(text.replace('" f"', "").replace('"', " ").split()).lower()

    faq = words((ROOT / "docs" / "faq.md").read_text(encoding="utf-8"))
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "dino").rglob("*.py"))
    code = words(re.sub(r'"\s+f?"', "", code).replace("{remedy}", "start"))
    for message in QUOTED:
        assert message.lower() in faq, message
        assert message.lower() in code, message


def test_the_index_of_measurements_lists_every_page() -> None:
    index = (ROOT / "docs" / "benchmarks" / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\(([\w-]+)\.md\)", index)
    assert sorted(listed) == sorted(reference.MEASUREMENTS)
    assert set(listed) | {"index"} == {path.stem for path in (ROOT / "docs" / "benchmarks").glob("*.md")}


def test_short_code_has_no_docstring_comment_or_annotation() -> None:
    shown = reference.short_code("training.train_step", "sampler.denoise")
    assert "def train_step(model, optimizer, clean, *, generator=None):" in shown
    assert '"""' not in shown
    assert "#" not in shown
    assert 'title="dino/training.py, dino/sampler.py"' in shown
    assert max(map(len, shown.splitlines()[1:])) <= 70


class NamedPage:
    file = type("File", (), {"src_uri": "lessons/a.md"})


def test_no_line_breaks_inside_an_option_or_before_the_comma_of_a_formula() -> None:
    formula = '<span class="arithmatex">\\(x_0\\)</span>'
    kept = hook.on_page_content(f"<p><code>dino train --no-compile</code>, {formula}, a-b</p>", NamedPage)
    assert '<code>dino train <span class="nowrap">--no-compile</span></code>' in kept
    mathml = "<math><msub><mi>x</mi><mn>0</mn></msub></math>"
    assert f'<span class="nowrap"><span class="arithmatex">{mathml}</span>,</span> a-b' in kept
    block = "<pre><span></span><code><span>python</span> --help\n</code></pre>"
    assert hook.on_page_content(block, NamedPage) == block


def test_a_formula_that_is_not_latex_is_reported_with_its_page() -> None:
    with pytest.raises(PluginError, match=r"lessons/a\.md: the formula \\frac\{1 is not right"):
        hook.on_page_content('<span class="arithmatex">\\(\\frac{1\\)</span>', NamedPage)


def test_the_font_has_every_character_of_the_formulas(site: Path) -> None:
    from fontTools.ttLib import TTFont

    font = TTFont(site / "stylesheets" / "stix-two-math.woff").getBestCmap()
    invisible = {0x2061, 0xFE00}  # "function application" and a variation selector
    for path in site.rglob("*.html"):
        for formula in re.findall(r"<math.*?</math>", path.read_text(encoding="utf-8"), re.DOTALL):
            text = re.sub(r"<code>.*?</code>|<[^>]*>", "", formula)
            assert {ord(character) for character in unescape(text)} <= font.keys() | invisible, (path.name, formula)


def test_every_page_links_to_the_licenses(site: Path, html: dict[str, Html]) -> None:
    for name in html.keys() - {"404.html"}:
        link = f'See <a href="{"../" * name.count("/")}about.html">About</a>.'
        assert link in (site / name).read_text(encoding="utf-8"), name


def test_kernels_that_start_at_once_share_no_sockets(tmp_path: Path) -> None:
    cell = "import json; from ipykernel import get_connection_file as file; print(json.load(open(file()))['ip'])"

    def where(_: int) -> str:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
        return running.execute(notebook, tmp_path).cells[0].outputs[0].text.strip()

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(where, range(2))
    if os.name != "nt":
        assert one != other
        assert not Path(one).parent.exists(), "the sockets are left behind"


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """Cells are recorded instead of run: the list of a page's cells, once for each time that it would run."""
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    recorded: list[list[str]] = []

    def run_cells(page: str, sources: list[str]) -> list[Any]:
        import nbformat

        recorded.append(sources)
        made = [nbformat.v4.new_code_cell(source) for source in sources]
        for cell in made:
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=json.dumps([str(Path(__file__))]))]
        return made

    monkeypatch.setattr(running, "_run_cells", run_cells)
    return recorded


def test_editing_prose_runs_no_cell_again(cells: list[list[str]]) -> None:
    source = f"{HEAD}\nSome words.\n\n```python\nprint(1)\n```\n"
    pages.render(source, "lessons/a.md", {})
    page = pages.render(source.replace("Some", "Other"), "lessons/a.md", {})
    assert len(cells) == 1
    assert "Other words." in page.markdown
    pages.render(source.replace("print(1)", "print(2)"), "lessons/a.md", {})
    assert len(cells) == 2


def test_a_change_in_a_file_that_the_cells_used_runs_the_cells_again(
    cells: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"{HEAD}\n```python\nprint(1)\n```\n"
    pages.render(source, "lessons/a.md", {})
    monkeypatch.setattr(cache, "fingerprint", lambda paths: dict.fromkeys(map(str, paths), "another"))
    pages.render(source, "lessons/a.md", {})
    assert len(cells) == 2


@pytest.mark.parametrize("language", ["sh", "bash", "html", "c++", "R", "text", "{ .sh }"])
def test_only_python_is_run(cells: list[list[str]], language: str) -> None:
    fence = f"```{language}\nrm -r runs  # 100%\n\nls\n```"
    page = pages.render(f"{HEAD}\nBefore.\n\n{fence}\n\nAfter.\n\n```python\nprint(1)\n```\n", "lessons/a.md", {})
    assert [sources[1:-1] for sources in cells] == [["print(1)"]]
    assert f"Before.\n\n{fence}\n\nAfter." in page.markdown


def test_a_cell_that_raises_is_reported_with_its_page_and_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    source = f"{HEAD}\n```python\nx = 1\n```\n\n```python\ny = 2\nx / 0\n```\n"
    with pytest.raises(SiteError, match=r"lessons/a\.md, cell 2: ZeroDivisionError: division by zero") as raised:
        pages.render(source, "lessons/a.md", {})
    assert "x / 0" in str(raised.value)


def test_cells_run_in_the_projects_folder_and_show_figures_and_text(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cache, "CACHE", tmp_path)
    source = (
        f'{HEAD}\n```python tags=["setup"]\nfrom matplotlib.figure import Figure\n```\n\n'
        "```python\nfrom pathlib import Path\nPath('README.md').is_file()\n```\n\n"
        '```python alt="A line that \\"rises\\"." caption="Up, `x` by `x`."\n'
        "figure = Figure(figsize=(4, 3))\nfigure.subplots().plot([1, 2])\nfigure\n```\n"
    )
    page = pages.render(source, "lessons/a.md", {})
    assert "from matplotlib.figure" not in page.markdown
    assert "```{ .text .output }\nTrue\n```" in page.markdown
    assert list(page.figures) == ["a-3-1.webp"]
    assert 'alt="A line that &quot;rises&quot;."' in page.markdown
    assert "Up, `x` by `x`." in page.markdown
    assert '??? made "How this figure is made"' in page.markdown


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("fence", ["```python", '```python alt="what"', '```python caption="what"'])
def test_a_figure_without_alt_or_caption_is_refused(monkeypatch: pytest.MonkeyPatch, fence: str) -> None:
    monkeypatch.setattr(pages, "run", lambda *_: [[{"image": PIXEL, "width": 1, "height": 1}]])
    with pytest.raises(SiteError, match=r"lessons/a\.md, cell 1 \(draw\(\) \.\.\.\): a figure needs alt="):
        pages.render(f"{HEAD}\n{fence}\ndraw()\n```\n", "lessons/a.md", {})


def test_a_figure_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "run", lambda *_: [[{"image": PIXEL, "width": 1, "height": 1}]])
    monkeypatch.setattr(pages, "MAX_FIGURE_SIZE", 10)
    with pytest.raises(SiteError, match="at most 0 are allowed"):
        pages.render(f'{HEAD}\n```python alt="a" caption="b"\ndraw()\n```\n', "lessons/a.md", {})


def test_code_comes_from_the_file_without_its_docstring() -> None:
    shown = reference.code("trainer.nonfinite.NonfiniteCheck._before_step")
    lines = shown.splitlines()
    assert lines[:2] == ['```{ .python title="dino/trainer/nonfinite.py" }', "@torch.no_grad()"]
    assert lines[-2:] == ["    optimizer.found_inf = self.broken.float()", "```"]
    assert "Returns:" not in reference.code("trainer.model_file.load_model")
    assert reference.code("trainer.model_file.load_model").endswith(".eval(), metadata\n```")
    with pytest.raises(SiteError, match=r"a\.md: .*code.* went wrong: 'setps'"):
        expand('[[ code("trainer.trainer.Trainer.setps") ]]', {"code": reference.code}, "a.md")


def test_the_public_api_is_all_documented() -> None:
    rows = [row for row in reference.api().splitlines() if "dino." in row]
    linked = {row.partition("`dino.")[2].partition("`")[0] for row in rows if row.startswith("| [")}
    assert linked == set(dino.__all__) - {"__version__"}


def test_every_module_that_the_reference_shows_has_one_page(site: Path) -> None:
    shown = module_pages()
    assert len(shown) > 40
    for module, page in shown.items():
        assert f'id="{module}"' in (site / page.replace(".md", ".html")).read_text(encoding="utf-8"), module


def test_an_unknown_macro_and_a_wrong_argument_are_reported() -> None:
    with pytest.raises(SiteError, match=r"a\.md: there is no \[\[ excercise"):
        expand('[[ excercise("1.1") ]]', {"exercise": str}, "a.md")
    with pytest.raises(SiteError, match=r"a\.md: .* there is no exercise 9\.9"):
        expand('[[ exercise("9.9") ]]', {"exercise": PageMacros(Address()).exercise}, "a.md")


@pytest.mark.parametrize("written", ['see [[ facts("01") ]]', '    [[ facts("01") ]]', "[[facts '01']]"])
def test_a_misspelled_macro_is_refused(written: str) -> None:
    with pytest.raises(SiteError, match=r"page\.md: \[\[.*alone on its line"):
        expand(f"a\n\n{written}\n\n`[[ x() ]]`\n", {"facts": lambda number: number}, "page.md")


def test_a_link_to_a_file_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SiteError, match="nothere"):
        resolve_links("[a](../../dino/nothere.py)", "lessons/00-images.md", {"lessons/00-images.md"}, set(), Address())


def test_front_matter_that_is_not_yaml_is_reported() -> None:
    with pytest.raises(SiteError, match=r"page\.md: its front matter"):
        pages.parse("---\ntitle: a: b\njupyter: {\n---\n", "page.md")


def test_an_exercise_has_its_stub_and_three_folded_hints_and_no_answer() -> None:
    shown = PageMacros(Address()).exercise("1.1")
    assert "raise NotImplementedError" in shown
    assert shown.count('??? tip "Hint ') == 3
    assert "return torch.lerp(clean, noise, noise_level)" not in shown.split("???")[0]
    assert "uv run pytest lessons/01" in shown


def test_a_stub_keeps_the_first_paragraph_of_each_docstring() -> None:
    for lesson in LESSONS:
        for exercise in lesson.exercises:
            source = stub_of(exercise)[2]
            shown = shortened(source)
            paragraphs = [text.split("\n\n")[0].split() for text in source.split('"""')[1::2]]
            assert [text.split() for text in shown.split('"""')[1::2]] == paragraphs
            assert max(map(len, shown.splitlines())) <= 75  # quotes may stand after the last character
            assert shown.count("raise NotImplementedError") == source.count("raise NotImplementedError")


def test_a_diagram_has_a_description_and_takes_its_colors_from_the_page() -> None:
    for path in sorted(diagrams.FOLDER.glob("*.svg")):
        shown = diagrams.inline(path.stem, 'of "boxes"')
        assert 'role="img" aria-label="of &quot;boxes&quot;"' in shown
        assert f'id="arrow-{path.stem}"' in shown
        assert "<style" not in shown
        assert 'src="data:image/svg+xml;base64,' in diagrams.as_image(path.stem, "of boxes")
    with pytest.raises(SiteError, match=r"there is no docs/diagrams/nonsense\.svg"):
        diagrams.inline("nonsense", "")


def test_a_diagram_with_colors_of_its_own_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagrams, "FOLDER", tmp_path)
    (tmp_path / "red.svg").write_text('<svg xmlns="" viewBox="0 0 9 9"><path fill="red" d=""/></svg>')
    with pytest.raises(SiteError, match=r"sets fill\. Its colors come from classes"):
        diagrams.inline("red", "")


def test_the_map_of_the_course_links_to_every_lesson_and_marks_the_readers_place() -> None:
    for lesson in WRITTEN:
        shown = course_map.inline(lesson.number)
        links = re.findall(r'<a href="([^"]+)" aria-label="Lesson (\d\d) [^"]+"([^>]*)>', shown)
        assert [number for _, number, _ in links] == [each.number for each in WRITTEN]
        assert [number for _, number, marked in links if "aria-current" in marked] == [lesson.number]
        folder = notebooks.page_of(lesson).parent
        assert all((folder / href).with_suffix(".md").is_file() for href, _, _ in links)
        assert shown.count("box accent") == 1
        assert f"You are here: lesson {lesson.number}" in shown
    assert "aria-current" not in course_map.inline()
    assert all(href.startswith("lessons/") for href in re.findall(r'href="([^"]+)"', course_map.inline("", "lessons/")))
    assert 'src="data:image/svg+xml;base64,' in course_map.as_image("01")


def test_the_map_of_the_course_grows_with_the_course(monkeypatch: pytest.MonkeyPatch) -> None:
    longer = [*LESSONS, *(Lesson(f"9{n}", f"later_{n}", ("x",), "later") for n in range(4))]
    monkeypatch.setattr(course_map, "LESSONS", longer)
    shown = course_map.inline("00")
    boxes = re.findall(r'<rect class="box[^"]*" x="(\d+)" y="(\d+)"', shown)
    height = re.search(r'viewBox="0 0 360 (\d+)"', shown)
    assert len(set(boxes)) == len(boxes) == len(longer)
    assert height
    assert all(int(y) + course_map.HEIGHT < int(height[1]) for _, y in boxes)
    assert "90 later 0" in shown  # it has no page yet, so it is no link
    assert shown.count("<a ") == len(WRITTEN)


def test_the_words_of_the_map_fit_into_its_boxes() -> None:
    lines = [does for _, _, does in course_map.PARTS.values()] + list(course_map.LATER.values())
    lines += [f"{lesson.number} {lesson.name}" for lesson in LESSONS]
    assert not [line for line in lines if len(line) > 16]


def test_a_mistake_is_shown_as_the_grader_reports_it() -> None:
    report = " ".join(PageMacros(Address()).mistake("1.1", "swapped").split())
    assert "At level 0 the result is the noise instead of the clean image: the two are swapped." in report
    assert "stuck? uv run dino hint 1.1" in report
    with pytest.raises(ValueError, match="no mistake in mix is called nonsense"):
        PageMacros(Address()).mistake("1.1", "nonsense")


def test_without_an_address_the_site_offers_the_committed_course(site: Path, html: dict[str, Html]) -> None:
    assert download.PATH in html["set-up.html"].links
    with zipfile.ZipFile(site / download.PATH) as archive:
        names = archive.namelist()
        inside = {name.partition("/")[2] for name in names}
        assert {"README.md", "pyproject.toml", "lessons/00/images.py", "dino/data/dinos.parquet"} <= inside
        assert {name.partition("/")[0] for name in names} == {"dino-diffusion"}
        assert b"raise NotImplementedError" in archive.read("dino-diffusion/lessons/00/images.py")


def test_the_gallery_shows_every_broken_run_beside_a_healthy_one_and_hides_its_verdict() -> None:
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    broken = [entry.name for entry in ENTRIES if entry.advice]
    assert re.findall(r'\[\[ side_by_side\("([\w-]+)"', page) == broken
    hidden = re.findall(r"\[\[ reveal\(.*?\[\[ end_reveal\(\) \]\]", page, re.DOTALL)
    assert [re.findall(r'verdict\("([\w-]+)"', part) for part in hidden] == [[name] for name in broken]
    for name in (*broken, "healthy-0"):
        assert re.search(
            r"losses of 0\.00\d\d to 0\.00\d\d\. `dino doctor` says:\n\n> step [\d,]+: ", gallery.verdict(name)
        )
    for name in broken:
        assert f"(images/gallery/{name}.png)" in gallery.side_by_side(name, "sixteen squares")
    with pytest.raises(SiteError, match="there is no run nonsense in the gallery"):
        gallery.verdict("nonsense")


def test_a_copy_that_is_no_git_clone_offers_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ROOT", tmp_path)
    assert download.archive.__wrapped__() is None


def test_a_wrong_answer_is_shown_as_a_learner_would_write_it() -> None:
    shown = PageMacros(Address()).wrong_answer("3.1", "target_is_noisy")
    assert 'title="lessons/03/training.py"' in shown
    assert "def denoising_loss(model, clean, *, generator=None):\n    noisy, level = add_noise(" in shown
    assert "@mistake" not in shown
    with pytest.raises(ValueError, match="no mistake in denoising_loss is called nonsense"):
        PageMacros(Address()).wrong_answer("3.1", "nonsense")


def test_links_that_lead_nowhere_yet_become_plain_words() -> None:
    there, planned = {"a.md", "reference/noise.md"}, {"glossary.md"}
    text = (
        "[level](../glossary.md#noise-level), [a](../a.md), [noise.py](../../dino/noise.py), "
        "[tests](../../lessons/01/test_noise.py)\n\n```text\n[x](../glossary.md)\n```\n"
    )
    unknown = resolve_links(text, "lessons/b.md", there, planned, Address())
    assert "level, [a](../a.md), [noise.py](../reference/noise.md), tests (`lessons/01/test_noise.py`)" in unknown
    assert "```text\n[x](../glossary.md)\n```" in unknown
    known = resolve_links(text, "lessons/b.md", there, planned, KNOWN)
    assert "[noise.py](https://github.com/someone/dino-diffusion/blob/main/dino/noise.py)" in known


def test_with_an_address_there_are_links_to_colab_and_commands_to_clone() -> None:
    colab = "https://colab.research.google.com/github/someone/dino-diffusion/blob/main/lessons/01/lesson.ipynb"
    assert colab in PageMacros(KNOWN).facts("01")
    assert "http" not in PageMacros(Address()).facts("01")
    assert "git clone https://github.com/someone/dino-diffusion" in KNOWN.clone()
    assert "git clone" not in Address().clone()


# ---- the notebooks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda lesson: lesson.number)
def test_a_notebook_is_up_to_date_with_its_page(lesson: Any) -> None:
    text = notebooks.notebook_text(lesson)
    assert text == notebooks.notebook_text(lesson)
    assert notebooks.notebook_file(lesson).read_text(encoding="utf-8") == text, "run: python -m scripts.site.notebooks"


def test_a_notebook_that_prints_a_warning_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    warning = "tqdm/auto.py:21: TqdmWarning: IProgress not found.\n"

    def execute(notebook: Any, folder: Path) -> Any:
        streams = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in printed.items()]
        notebook.cells = [nbformat.v4.new_code_cell("load_images()", outputs=streams)]
        return notebook

    monkeypatch.setattr(notebooks, "execute", execute)
    printed = {"stdout": "Warning: a word of the lesson", "stderr": "decoding: 100%"}
    assert "lesson.ipynb: 1 cells in" in notebooks._run(LESSONS[0])
    printed = {"stderr": warning}
    with pytest.raises(SiteError, match="TqdmWarning"):
        notebooks._run(LESSONS[0])


ON_COLAB = """
import json, subprocess, sys, types
sys.modules["google.colab"] = types.ModuleType("google.colab")
asked, run = [], subprocess.run
subprocess.run = lambda command, **more: asked.append(command) if "pip" in command else run(command, **more)
try:
    exec(open("cell.py").read())
finally:
    import os
    print(json.dumps([asked, os.getcwd()]))
"""


@pytest.mark.parametrize("inside", ["", "my-copy/"], ids=["the course itself", "a folder with it"])
def test_on_colab_the_first_cell_unpacks_the_course_from_a_zip(tmp_path: Path, inside: str) -> None:
    (tmp_path / "cell.py").write_text(notebooks.SET_UP.format(url="").replace("%matplotlib inline", ""))

    def first_cell() -> tuple[subprocess.CompletedProcess[str], list[list[str]], Path]:
        done = subprocess.run(
            [sys.executable, "-c", ON_COLAB], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        asked, where = json.loads(done.stdout)
        return done, asked, Path(where)

    done, asked, _ = first_cell()
    assert done.returncode == 1
    assert "Upload the course as dino-diffusion.zip" in done.stderr
    assert not asked
    with zipfile.ZipFile(tmp_path / "dino-diffusion.zip", "w") as archive:
        archive.writestr(f"{inside}lessons/conftest.py", "")
    done, asked, where = first_cell()
    assert done.returncode == 0, done.stderr
    assert where == tmp_path / "dino-diffusion" / inside
    assert asked == [[sys.executable, "-m", "pip", "install", "--quiet", "-e", str(where)]]
    assert first_cell()[1:] == ([], where)  # the second time, nothing is installed


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda lesson: lesson.number)
def test_a_notebook_holds_plain_markdown_and_no_outputs(lesson: Any) -> None:
    notebook = json.loads(notebooks.notebook_text(lesson))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        assert not cell.get("outputs")
        assert not cell.get("execution_count")
        prose = (
            re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
            if cell["cell_type"] == "markdown"
            else ""
        )
        assert not re.search(r"^\?\?\?|^!!!|\[\[ \w+\(|\\\(|\{ \.|markdown=", prose, re.MULTILINE), prose
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    for exercise in lesson.exercises:
        assert f"Write `{exercise}` there" in code
    assert "from dino.course.parts import parts" in code


def test_a_notebook_leaves_out_the_comments_of_its_page() -> None:
    page = "Before.\n\n<!-- To do:\n     two lines. -->\n\nAfter `<!-- this -->`.\n"
    assert list(notebooks._pieces(page, "docs/lessons/00-images.md")) == [
        ("markdown", "Before.\n\nAfter `<!-- this -->`.")
    ]
    assert not list(notebooks._pieces("<!-- To do. -->", "docs/lessons/00-images.md"))


@pytest.mark.parametrize("lesson", WRITTEN, ids=lambda lesson: lesson.number)
def test_the_links_of_a_notebook_lead_to_files(lesson: Any) -> None:
    folder = notebooks.notebook_file(lesson).parent
    prose = "\n".join(
        "".join(c["source"])
        for c in json.loads(notebooks.notebook_text(lesson))["cells"]
        if c["cell_type"] == "markdown"
    )
    prose = re.sub(r"^ *```.*?^ *```", "", prose, flags=re.MULTILINE | re.DOTALL)
    broken = [
        target
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", prose)
        if "://" not in target and not (folder / target).exists() and not target.endswith(("glossary.md", "set-up.md"))
    ]
    later = {f"../../docs/lessons/{each.number}-{each.name}.md" for each in LESSONS if each not in WRITTEN}
    assert set(broken) <= later
