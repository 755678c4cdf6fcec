"""The interactive elements of the lessons: a page with all of them, used in a real browser from a folder of files."""

import base64
import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

pytest.importorskip("mkdocs", reason="the site needs the group docs: uv sync")

from dino.data.words import complete
from dino.evaluation import nearest_neighbors, sliced_distance
from dino.few_steps import euler_at_final, step_sizes, warped_schedule
from dino.images import center_square, seeded, to_unit
from dino.noise import add_noise, mix
from dino.rosetta import PAPERS, predicted_noise, predicted_score, predicted_velocity, to_log_snr
from dino.sampler import denoise, extrapolate, noise_schedule, remix
from dino.steering import asking, keeping
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.model_file import load_model, vocabulary, word_sets
from dino.training import update_average
from scripts.site import elements, elements_data, notebooks, pages, recorded_run
from scripts.site.paths import ROOT, SiteError
from tests.test_site import HEAD, PIXEL, WRITTEN, Visitor
from tests.test_web import without_skips

pytestmark = pytest.mark.timeout(600)

STILL = (
    '<figure class="made" markdown="1">\n<img src="still.svg" alt="The still figure" width="20" height="20">\n</figure>'
)
FAR = '\n\n<div style="height: 1500px"></div>\n\n'
BUILD = """
import logging, sys
logging.basicConfig(level=logging.CRITICAL)
from mkdocs.commands.build import build
from mkdocs.config import load_config
pages = ["elements.md", "about.md"]
config = load_config("mkdocs.yml", docs_dir=sys.argv[1], site_dir=sys.argv[2], nav=pages, plugins=["offline"])
config.plugins.on_startup(command="build", dirty=False)
build(config)
"""
TIMES = "\N{MULTIPLICATION SIGN}"
WITH_NETWORK = (
    "dino-live-row", "dino-neighbors", "dino-redraw", "dino-sampler", "dino-two-levels", "dino-guidance",
    "dino-inpaint", "dino-few-steps", "dino-rosetta",
)  # fmt: skip
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of two pages, one with all elements and one with none, with the theme and the hooks of the real site."""
    docs, site = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("site")
    for folder in ("stylesheets", "javascripts"):
        shutil.copytree(ROOT / "docs" / folder, docs / folder)
    for copy_of_it in ("still.svg", "images/dino.svg"):  # the second is the site's logo
        (docs / copy_of_it).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "docs" / "images" / "dino.svg", docs / copy_of_it)
    shown = [elements.around(STILL, name, f"What does {name} show?", "page") for name in elements.NAMES]
    (docs / "elements.md").write_text("# Elements\n\n" + FAR.join(shown), encoding="utf-8")
    (docs / "about.md").write_text("# About\n\nNo elements here.\n", encoding="utf-8")
    command = [sys.executable, "-c", BUILD, str(docs), str(site)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return site


@pytest.fixture
def visitor(browser: Any, site: Path, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    visiting = Visitor(browser, f"{site.as_uri()}/", **getattr(request, "param", {}))
    yield visiting
    visiting.close()
    assert not visiting.problems, "\n".join(visiting.problems)


class Element:
    """An element in the page, live."""

    def __init__(self, visitor: Visitor, name: str) -> None:
        if not visitor.page.url.endswith("elements.html"):
            visitor.go("elements.html")
        self.page, self.name, self.root = visitor.page, name, visitor.page.locator(name)
        self.root.scroll_into_view_if_needed()
        self.page.wait_for_selector(f"{name}.is-live", timeout=120_000)
        # Elements that use the network draw before they have something to say.
        self.wait("!['', 'Drawing …'].includes(it.querySelector('.status').textContent)")

    @property
    def sentence(self) -> str:
        return str(self.root.locator(".status").inner_text())

    def get(self, expression: str) -> Any:
        """Evaluate JavaScript, in which `it` is the element."""
        return self.page.evaluate(f"(it => {expression})(document.querySelector('{self.name}'))")

    def wait(self, expression: str) -> None:
        """Wait until JavaScript, in which `it` is the element, is true."""
        self.page.wait_for_function(f"(it => {expression})(document.querySelector('{self.name}'))", timeout=120_000)

    def numbers(self, expression: str) -> Tensor:
        """Return the numbers of a picture of the element: (C, H, W)."""
        shape = self.get(f"[{expression}.channels, {expression}.height, {expression}.width]")
        return torch.tensor(self.get(f"Array.from({expression}.values)")).view(shape)

    def slider(self, label: str) -> Any:
        return self.root.locator(".slider").filter(has_text=label).locator("input")

    def drag(self, label: str, share: float) -> None:
        """Move a slider to a share of its length, with the mouse."""
        slider = self.slider(label)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        slider.click(position={"x": share * (box["width"] - 2) + 1, "y": box["height"] / 2})

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def button(self, name: str) -> Any:
        return self.root.get_by_role("button", name=name, exact=True)

    def point(self, place: str, row: int, column: int, size: int = 32) -> None:
        """Point at a pixel of a picture with the mouse."""
        picture = self.root.locator(place)
        box = picture.bounding_box()
        picture.hover(position={"x": (column + 0.5) * box["width"] / size, "y": (row + 0.5) * box["height"] / size})


@cache
def data() -> dict[str, Any]:
    return elements.data()


def unpacked(packed: dict[str, Any]) -> Tensor:
    """The bytes of a picture in a data file: uint8."""
    return torch.frombuffer(bytearray(base64.b64decode(packed["bytes"])), dtype=torch.uint8).view(packed["shape"])


# ---- all elements ---------------------------------------------------------------------------------------------------


def test_every_element_goes_live_and_nothing_is_requested_from_elsewhere(visitor: Visitor) -> None:
    for name in elements.NAMES:
        element = Element(visitor, name)
        assert element.root.locator(".question").inner_text() == f"What does {name} show?"
        assert len(element.sentence) > 20
        assert not element.root.locator("figure").is_visible()


def test_an_element_loads_its_data_only_when_it_comes_near(visitor: Visitor) -> None:
    loaded: list[str] = []
    visitor.page.on("request", lambda request: loaded.append(Path(request.url).stem))
    visitor.go("elements.html")
    visitor.page.wait_for_selector(f"{elements.NAMES[0]}.is-live")
    assert elements.NAMES[0] in loaded
    assert elements.NAMES[-1] not in loaded
    Element(visitor, elements.NAMES[-1])
    assert elements.NAMES[-1] in loaded


def test_a_page_without_elements_loads_neither_their_script_nor_their_styles(site: Path) -> None:
    text = (site / "about.html").read_text(encoding="utf-8")
    assert elements.SCRIPT not in text
    assert elements.STYLES not in text
    assert (site / "elements.html").read_text(encoding="utf-8").count("javascripts/elements.js") == 1


def test_without_javascript_the_figures_are_there(browser: Any, site: Path) -> None:
    visitor = Visitor(browser, f"{site.as_uri()}/", java_script_enabled=False)
    figures = visitor.go("elements.html").locator("figure")
    assert figures.count() == len(elements.NAMES)
    assert all(figures.nth(k).is_visible() for k in range(figures.count()))
    sentences = visitor.page.locator("noscript .notice")
    assert sentences.count() == figures.count()
    assert sentences.first.is_visible()
    visitor.close()


def test_without_simd_the_figure_and_one_sentence_are_there_and_the_network_is_not_loaded(
    visitor: Visitor,
) -> None:
    loaded: list[str] = []
    visitor.page.on("request", lambda request: loaded.append(request.url))
    visitor.page.add_init_script("WebAssembly.validate = () => false")
    page = visitor.go("elements.html")
    for name in WITH_NETWORK:
        element = page.locator(name)
        element.scroll_into_view_if_needed()
        element.get_by_text("it lacks WebAssembly with SIMD").wait_for()
        assert element.locator("figure").is_visible()
        assert element.locator(".live").count() == 0
    assert not any("models/" in url for url in loaded)


def test_the_network_is_loaded_once_and_only_when_an_element_that_uses_it_is_in_the_window(visitor: Visitor) -> None:
    loaded: list[str] = []
    visitor.page.on("request", lambda request: loaded.append(request.url))
    Element(visitor, next(name for name in elements.NAMES if name not in WITH_NETWORK))
    assert not any("models/" in url for url in loaded)
    for name in WITH_NETWORK:
        Element(visitor, name)
    assert sum("models/" in url for url in loaded) == 1
    assert sum(url.endswith("/dino.js") for url in loaded) == 1


def test_a_network_that_is_missing_leaves_the_figure_and_says_so(browser: Any, site: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(site, tmp_path / "site")
    shutil.rmtree(broken / "javascripts" / "models")
    visitor = Visitor(browser, f"{broken.as_uri()}/")
    element = visitor.go("elements.html").locator(WITH_NETWORK[0])
    element.scroll_into_view_if_needed()
    element.get_by_text("The network could not be loaded").wait_for()
    assert element.locator("figure").is_visible()
    visitor.close()


def test_in_print_the_figures_are_there(visitor: Visitor) -> None:
    element = Element(visitor, elements.NAMES[0])
    visitor.page.emulate_media(media="print")
    assert element.root.locator("figure").is_visible()
    assert not element.root.locator(".live").is_visible()


def test_the_still_figure_can_be_shown_beside_the_element(visitor: Visitor) -> None:
    element = Element(visitor, elements.NAMES[0])
    element.button("Show the still figure").click()
    assert element.root.locator("figure").is_visible()
    element.button("Hide the still figure").click()
    assert not element.root.locator("figure").is_visible()


def test_an_element_without_its_data_leaves_the_figure(browser: Any, site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site"
    shutil.copytree(site, broken)
    name = elements.NAMES[0]
    (broken / "javascripts" / "elements" / f"{name}.js").unlink()
    visitor = Visitor(browser, f"{broken.as_uri()}/")
    Element(visitor, elements.NAMES[1])  # the others work
    page = visitor.page
    page.locator(name).scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    assert page.locator(f"{name} figure").is_visible()
    assert page.locator(f"{name} .live").count() == 0
    visitor.close()


@pytest.mark.parametrize(
    "visitor", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_axe_finds_nothing_serious(visitor: Visitor) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for name in elements.NAMES:
        Element(visitor, name)
    found = Axe().run(visitor.page, context=".md-content", options={"resultTypes": ["violations"], "preload": False})
    faults = [
        f"{rule['id']}: " + "; ".join(node["html"][:200] for node in rule["nodes"][:3])
        for rule in found.response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("visitor", [{"viewport": PHONE, "has_touch": True}], indirect=True)
def test_no_element_is_wider_than_a_phone(visitor: Visitor) -> None:
    for name in elements.NAMES:
        live = Element(visitor, name).root.locator(".live")
        assert live.evaluate("live => live.scrollWidth <= live.clientWidth"), name
    assert visitor.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}, {}], indirect=True, ids=["less motion", "motion"])
def test_nothing_moves_until_somebody_asks(visitor: Visitor) -> None:
    every = [Element(visitor, name) for name in elements.NAMES]
    next(each for each in every if each.name == "dino-live-row").wait("it.isFinished")  # it draws one row by itself
    next(each for each in every if each.name == "dino-few-steps").wait("it.reference.ends")  # and it a hundred steps
    visitor.page.wait_for_timeout(600)  # the sentence is busy for a moment
    before = [element.root.locator(".live").inner_html() for element in every]
    visitor.page.wait_for_timeout(700)
    assert [element.root.locator(".live").inner_html() for element in every] == before


def test_every_control_has_a_name_and_can_be_reached_with_the_tab_key(visitor: Visitor) -> None:
    for name in elements.NAMES:
        element = Element(visitor, name)
        controls = element.root.locator(".live :is(input, select, button:enabled, [tabindex])")
        reached = controls.evaluate_all(
            "nodes => nodes.every(node => node.tabIndex >= 0 && getComputedStyle(node).visibility === 'visible')"
        )
        assert controls.count() > 2
        assert reached, name


def test_the_files_are_small() -> None:
    sizes = {path: len(text.encode()) for path, text in elements.files().items()}
    assert sizes[elements.SCRIPT] < 105_000
    assert all(size < 460_000 for size in sizes.values()), sizes


# ---- each element ---------------------------------------------------------------------------------------------------


def test_pixels_shows_the_numbers_behind_a_pixel_by_mouse_and_by_keyboard(visitor: Visitor) -> None:
    element, teal = Element(visitor, "dino-pixels"), unpacked(data()["dino-pixels"]["pictures"]["teal"])
    element.point(".pointable", 18, 7)
    numbers = ", ".join(map(str, teal[:, 18, 7].tolist()))
    floats = ", ".join(f"{x:.2f}" for x in to_unit(teal[:, 18, 7]).tolist())
    assert f"picture[:, 18, 7] is ({numbers}) as bytes, and ({floats}) as floats" in element.sentence
    element.root.locator(".pointable").focus()
    element.press("ArrowDown", "ArrowLeft", "ArrowLeft")
    assert f"picture[:, 19, 5] is ({', '.join(map(str, teal[:, 19, 5].tolist()))})" in element.sentence
    assert element.root.locator(".middle").inner_text().split() == [str(x) for x in teal[:, 19, 5].tolist()]


def test_pixels_changes_a_pixel_with_the_sliders_and_paints_others(visitor: Visitor) -> None:
    element, teal = Element(visitor, "dino-pixels"), unpacked(data()["dino-pixels"]["pictures"]["teal"]).clone()
    element.point(".pointable", 18, 7)
    visitor.page.mouse.down()
    visitor.page.mouse.up()
    element.point(".pointable", 25, 20)  # on the way to the slider, the mouse passes over other pixels
    element.drag("blue", 1)
    teal[2, 18, 7] = 255
    torch.testing.assert_close(element.numbers("it.picture"), to_unit(teal))
    color = teal[:, 18, 7].clone()
    element.root.get_by_label("Paint with these numbers").check()
    element.point(".pointable", 3, 4)
    visitor.page.mouse.down()
    element.point(".pointable", 3, 6)
    visitor.page.mouse.up()
    element.root.locator(".pointable").focus()
    element.press("ArrowRight", "ArrowRight", " ")
    teal[:, 3, [4, 6, 8]] = color[:, None]
    torch.testing.assert_close(element.numbers("it.picture"), to_unit(teal))


def test_pixels_mirrors_and_crops_as_dino_does(visitor: Visitor) -> None:
    element = Element(visitor, "dino-pixels")
    wide = unpacked(data()["dino-pixels"]["pictures"]["three in a row"])
    assert element.button("Crop").is_disabled()  # this picture is square
    element.root.get_by_label("three in a row").check()
    torch.testing.assert_close(element.numbers("it.picture"), to_unit(wide))
    element.button("Mirror").click()
    torch.testing.assert_close(element.numbers("it.picture"), to_unit(wide.flip(-1)))
    element.button("Crop").click()
    torch.testing.assert_close(element.numbers("it.picture"), to_unit(center_square(wide.flip(-1))))
    assert "shape is (3, 32, 32)" in element.sentence


def test_noise_slider_blends_as_torch_does(visitor: Visitor) -> None:
    element, given = Element(visitor, "dino-noise-slider"), data()["dino-noise-slider"]
    noise = (unpacked(given["noise"]).float() + 0.5) / 256
    element.root.get_by_label("yellow").check()
    element.slider("noise level").focus()
    element.press("Home", *["PageUp"] * 4, "ArrowRight", "ArrowRight")
    level = element.get("it.level.value")
    assert 0.1 < level < 0.9
    noisy = torch.lerp(to_unit(unpacked(given["pictures"]["yellow"])), noise, level)
    torch.testing.assert_close(element.numbers("it.noisy"), noisy, atol=1e-6, rtol=0)
    assert f"the mean is {noisy.mean():.2f} and the standard deviation {noisy.std():.3f}" in element.sentence
    element.point(".pointable", 5, 9)
    assert (
        f"goes from {given_red(given, 5, 9):.2f} to {noise[0, 5, 9]:.2f}, and is {noisy[0, 5, 9]:.2f} now"
        in element.sentence
    )


def given_red(given: dict[str, Any], row: int, column: int) -> float:
    return unpacked(given["pictures"]["yellow"])[0, row, column].item() / 255


def test_the_program_recognizes_as_many_pictures_as_lesson_01_says() -> None:
    given = data()["dino-recognize"]
    at = given["levels"].index(0.9)
    assert given["n"] == 159
    assert 0.85 < given["knows"][at] < 0.95  # "nine times out of ten at 0.9"
    assert given["knows"][given["levels"].index(0.8)] == 1  # "right every time at 0.8"
    assert 0.7 < given["doesNotKnow"][given["levels"].index(0.5)] < 0.8  # "three times out of four at level 0.5"
    assert all(riddle["name"] in riddle["choices"] and len(set(riddle["choices"])) == 4 for riddle in given["riddles"])


def test_recognize_is_played_to_the_end_by_keyboard_and_keeps_the_score(visitor: Visitor) -> None:
    element, riddles = Element(visitor, "dino-recognize"), data()["dino-recognize"]["riddles"]
    for n, riddle in enumerate(riddles):
        assert f"Picture {n + 1} of {len(riddles)}" in element.sentence
        element.slider("noise level").focus()
        element.press("End", "PageDown", "PageDown", *["ArrowLeft"] * n)  # 0.80, 0.79, ...
        element.button("I see it!").focus()
        element.press("Enter")
        wrong = next(name for name in riddle["choices"] if name != riddle["name"])
        element.button(wrong if n == 1 else riddle["name"]).focus()
        element.press("Enter")
        assert ("counts as missed" in element.sentence) == (n == 1)
        if n < len(riddles) - 1:
            element.press("Enter")  # "Next picture" has the focus
    levels = [0.8 - 0.01 * n for n in range(len(riddles)) if n != 1]
    assert f"5 of 6 recognized, on average at level {sum(levels) / 5:.2f}" in element.sentence
    assert element.get("it.shareAt(0.785)") == pytest.approx(1 / 6)
    assert element.get("it.shareAt(0.1)") == pytest.approx(5 / 6)
    assert element.root.locator(".you").is_visible()


def test_recognize_lowers_the_noise_by_itself_when_asked(visitor: Visitor) -> None:
    element = Element(visitor, "dino-recognize")
    element.button("Lower it slowly").click()
    visitor.page.wait_for_function("document.querySelector('dino-recognize').level.value < 0.97")
    element.button("Pause").click()
    level = element.get("it.level.value")
    visitor.page.wait_for_timeout(500)
    assert element.get("it.level.value") == level


def test_convolution_agrees_with_torch(visitor: Visitor) -> None:
    element = Element(visitor, "dino-convolution")
    picture = to_unit(unpacked(data()["dino-convolution"]["pictures"]["stegosaurus"])).clone()

    def expected() -> Tensor:
        weights = torch.tensor(element.get("it.weights"), dtype=torch.float32)
        return F.conv2d(picture[None], weights.view(1, 1, 3, 3), padding=1)[0]

    presets = element.root.locator("fieldset").first.get_by_role("radio")
    for k in range(presets.count()):
        presets.nth(k).check()
        torch.testing.assert_close(element.numbers("it.output"), expected(), atol=1e-5, rtol=0)
    element.root.get_by_label("Weight in row 2, column 3").fill("-2.5")
    torch.testing.assert_close(element.numbers("it.output"), expected(), atol=1e-5, rtol=0)
    element.root.get_by_label("paints black").check()
    element.root.locator(".pointable").first.focus()
    element.press(" ")
    row, column = element.get("[it.grid.row, it.grid.column]")
    picture[0, row, column] = 0
    torch.testing.assert_close(element.numbers("it.output"), expected(), atol=1e-5, rtol=0)
    element.point(".pointable >> nth=0", 20, 11)
    assert f"At row 20, column 11 the nine products add up to {expected()[0, 20, 11]:.2f}" in element.sentence
    products = [float(text.removeprefix("= ")) for text in element.root.locator(".product").all_inner_texts()]
    assert sum(products) == pytest.approx(expected()[0, 20, 11].item(), abs=0.05)


@pytest.mark.parametrize(("n", "halvings"), [(1, 0), (2, 0), (4, 0), (4, 1), (5, 2), (16, 3), (1, 1), (3, 3)])
def test_the_receptive_field_is_where_torch_finds_a_gradient(visitor: Visitor, n: int, halvings: int) -> None:
    element = Element(visitor, "dino-receptive-field")
    element.root.get_by_label(["none", "one", "two", "three"][halvings], exact=True).check()
    element.slider("convolutions").focus()
    element.press("Home", *["ArrowRight"] * (n - 1))
    element.point(".pointable", 13, 22)
    convolution = nn.Conv2d(1, 1, 3, padding=1, bias=False, dtype=torch.float64)
    nn.init.constant_(convolution.weight, 1 / 9)
    inner, last = [convolution] * max(0, n - 2), [convolution] * (n > 1)
    half, twice = [nn.AvgPool2d(2)] * halvings, [nn.Upsample(scale_factor=2)] * halvings
    picture = torch.rand(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    nn.Sequential(convolution, *half, *inner, *twice, *last)(picture)[0, 0, 13, 22].backward()
    assert picture.grad is not None
    depends = picture.grad[0, 0] != 0
    found = element.get("it.field.at(-1)")
    assert torch.equal(torch.outer(torch.tensor(found["rows"]), torch.tensor(found["columns"])), depends)
    height, width = int(depends.any(1).sum()), int(depends.any(0).sum())
    assert f"{height} {TIMES} {width} = {height * width} pixels" in element.sentence


def test_with_a_pool_a_pixel_sees_the_whole_picture(visitor: Visitor) -> None:
    element = Element(visitor, "dino-receptive-field")
    element.root.get_by_label("a Pool").focus()
    element.press(" ")
    assert f"all 32 {TIMES} 32 = 1024 pixels" in element.sentence


@pytest.mark.parametrize("clears", [True, False], ids=["zero_grad", "piling up"])
def test_the_ball_goes_where_gradient_descent_takes_the_weights(visitor: Visitor, clears: bool) -> None:
    from dino.data.loading import load_images

    element = Element(visitor, "dino-descent")
    if not clears:
        element.root.get_by_label("zero_grad()").focus()
        element.press(" ")
    element.root.locator(".pointable").focus()
    element.press("ArrowLeft", "ArrowUp", "ArrowUp")
    start = element.get("it.start")
    assert start == pytest.approx([1.25, 0.9])
    element.slider("learning rate").focus()
    element.press("Home", *["ArrowRight"] * 4)
    clean = to_unit(load_images("dinos:600", 16, part="training"))
    noisy, _ = add_noise(clean, generator=seeded("cpu", "descent"))
    weights = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer, path = torch.optim.SGD([weights], lr=0.2), [list(start)]
    for _ in range(8):
        element.button("Step").click()
        if clears:
            optimizer.zero_grad()
        F.mse_loss(weights[0] * noisy.double() + weights[1], clean.double()).backward()
        optimizer.step()
        path.append(weights.tolist())
    torch.testing.assert_close(torch.tensor(element.get("it.path")), torch.tensor(path), atol=1e-4, rtol=0)
    loss = F.mse_loss(weights[0] * noisy.double() + weights[1], clean.double()).item()
    assert float(re.search(r"loss ([\d.]+\d)", element.sentence)[1]) == pytest.approx(loss, abs=2e-4)  # type: ignore[index]


def test_the_ball_can_be_dropped_with_the_mouse_and_rolls_when_asked(visitor: Visitor) -> None:
    element = Element(visitor, "dino-descent")
    surface = element.root.locator(".pointable")
    surface.click(position={"x": 100, "y": 60})
    assert "Step 0" in element.sentence
    start = element.get("it.start")
    assert start != pytest.approx([1.3, 0.8])
    element.button("Let it go").click()
    visitor.page.wait_for_function("document.querySelector('dino-descent').path.length > 3")
    element.button("Pause").click()
    element.button("Back to the start").click()
    assert element.get("it.weights") == pytest.approx(start)


def test_with_too_high_a_learning_rate_the_loss_rises_and_the_sentence_says_that_the_ball_jumped(
    visitor: Visitor,
) -> None:
    element = Element(visitor, "dino-descent")
    element.slider("learning rate").focus()
    element.press("End")
    for _ in range(6):
        element.button("Step").click()
    assert "It jumped across the valley." in element.sentence
    first, last = element.get("[it.loss(it.path[0]), it.loss(it.weights)]")
    assert last > first


def test_the_average_of_a_recorded_run_is_that_of_update_average(visitor: Visitor) -> None:
    element, recording = Element(visitor, "dino-recorded-run"), data()["dino-recorded-run"]["recording"]
    path, decays, steps = recording["path"], recording["decays"], recording["steps"]
    element.slider("EMA decay").focus()
    element.press("Home", "ArrowRight")
    assert element.get("it.decay.value") == decays[1]
    model = nn.Linear(2, 1, bias=False)
    average, expected = copy.deepcopy(model), []
    for weights in (average, model):
        weights.weight.data = torch.tensor([path[0]])
    for point in path:
        model.weight.data = torch.tensor([point])
        update_average(average, model, decays[1])
        expected.append(average.weight.data[0].clone())
    torch.testing.assert_close(
        torch.tensor(element.get("it.average(it.decay.value)")), torch.stack(expected), atol=1e-4, rtol=0
    )
    element.slider("step").focus()
    element.press("End")
    weights_loss, ema_loss = recording["tested"][-1][0], recording["tested"][-1][1]
    assert f"After {steps[-1]} of {steps[-1]} steps" in element.sentence
    assert f"is {weights_loss:.4f} with the weights, and {ema_loss:.4f} with their EMA" in element.sentence


def test_a_recorded_run_is_scrubbed_and_played(visitor: Visitor) -> None:
    element = Element(visitor, "dino-recorded-run")
    picture = element.root.locator(".predictions canvas")
    drawn = "canvas => canvas.toDataURL()"
    visitor.page.wait_for_function("document.querySelector('dino-recorded-run').image.complete")
    first = picture.evaluate(drawn)
    element.drag("step", 0.5)
    assert picture.evaluate(drawn) != first
    element.button("Play").click()
    visitor.page.wait_for_function("document.querySelector('dino-recorded-run').frame > 25")
    element.button("Pause").click()
    frame = element.get("it.frame")
    element.button("Step").click()
    assert element.get("it.frame") == frame + 1


def test_the_ema_of_a_projected_path_is_the_projection_of_the_ema() -> None:
    path = torch.randn(30, 50, generator=seeded("cpu", "a path"), dtype=torch.float64).cumsum(0)
    plane = recorded_run.in_a_plane(torch.cat([path, averaged(path)]))
    assert plane[0].tolist() == [0, 0]
    torch.testing.assert_close(averaged(plane[:30]), plane[30:])


def averaged(path: Tensor) -> Tensor:
    """The EMA of each point and those before it."""
    path = path.clone()
    for before, after in pairwise(path):
        after.lerp_(before, 0.9)
    return path


def test_a_recording_fits_its_image() -> None:
    from PIL import Image

    recording = data()["dino-recorded-run"]["recording"]
    with Image.open(elements.RECORDINGS / "run.webp") as image:
        n_rows = 2 + len(recording["steps"]) * len(recording["decays"])
        assert image.size == (len(recording["levels"]) * recording["size"], n_rows * recording["size"])
    assert (elements.RECORDINGS / "run.webp").stat().st_size <= 300_000
    assert len(recording["path"]) == len(recording["losses"]) + 1 == recording["steps"][-1] + 1
    assert len(recording["tested"]) == len(recording["steps"])


def test_a_projection_is_sorted_as_sliced_distance_sorts_it_by_slider_and_by_dragging_the_line(
    visitor: Visitor,
) -> None:
    element, clouds = Element(visitor, "dino-projection"), data()["dino-projection"]
    a, b = torch.tensor(clouds["a"]), torch.tensor(clouds["b"])
    angles = torch.arange(180).deg2rad()
    directions = torch.stack([angles.cos(), angles.sin()])
    mean = sliced_distance(a, b, directions)
    assert element.get("it.mean") == pytest.approx(mean.item(), abs=1e-4)

    def apart(degrees: int) -> Tensor:
        return sliced_distance(a, b, directions[:, [degrees]])

    assert f"From 30 degrees, the 12 sorted pairs are {apart(30):.2f} apart on average" in element.sentence
    assert f"over all directions is {mean:.2f}" in element.sentence
    element.slider("direction").focus()
    element.press("PageUp", "ArrowRight")
    degrees = element.get("it.angle.value")
    assert degrees > 31
    assert f"From {degrees} degrees, the 12 sorted pairs are {apart(degrees):.2f} apart" in element.sentence
    box = element.root.locator(".turnable").bounding_box()
    origin = 3.2 / 7.2 * box["width"] + box["x"], 4.1 / 7.2 * box["height"] + box["y"]
    visitor.page.mouse.move(origin[0] + 60, origin[1] - 60)
    visitor.page.mouse.down()
    assert element.get("it.angle.value") == pytest.approx(45, abs=1)
    visitor.page.mouse.move(origin[0], origin[1] - 80)
    visitor.page.mouse.up()
    assert element.get("it.angle.value") == pytest.approx(90, abs=1)
    visitor.page.mouse.move(origin[0] + 80, origin[1])
    assert element.get("it.angle.value") == pytest.approx(90, abs=1)


def test_without_sorting_the_pairs_of_a_projection_are_longer(visitor: Visitor) -> None:
    element, clouds = Element(visitor, "dino-projection"), data()["dino-projection"]
    a, b = torch.tensor(clouds["a"]), torch.tensor(clouds["b"])
    element.root.get_by_label("as they come").check()
    direction = torch.tensor([30.0]).deg2rad()
    direction = torch.stack([direction.cos(), direction.sin()])
    unsorted = (a @ direction - b @ direction).abs().mean()
    least = sliced_distance(a, b, direction)
    assert unsorted > least
    assert f"{unsorted:.2f} apart on average if nothing is sorted, and {least:.2f} if both are" in element.sentence
    element.button("Step").click()
    assert element.get("it.angle.value") == 32
    element.button("Turn").click()
    element.wait("it.angle.value > 36")
    element.button("Stop").click()
    angle = element.get("it.angle.value")
    visitor.page.wait_for_timeout(300)
    assert element.get("it.angle.value") == angle


# ---- elements that use the network ----------------------------------------------------------------------------------


@cache
def network() -> tuple[nn.Module, dict[str, Any]]:
    return load_model(elements_data.MODEL)


def level(value: float) -> Tensor:
    return torch.full((1, 1, 1, 1), value)


def noise(seed: int) -> Tensor:
    return torch.rand((1, 3, 32, 32), generator=torch.Generator().manual_seed(seed))


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found.view_as(expected) - expected).abs().max() < 2e-3


def floats(element: Element, expression: str) -> Tensor:
    return torch.tensor(element.get(f"Array.from({expression})"))


def test_the_row_is_what_dino_sample_draws(visitor: Visitor) -> None:
    element = Element(visitor, "dino-live-row")
    element.wait("it.isFinished")
    asked, seed = data()["dino-live-row"]["examples"][0], element.get("it.seed")
    model, metadata = network()
    words = vocabulary(metadata)
    wanted = torch.tensor([[float(word in asked.split()) for word in words]] * 6)
    condition = complete(wanted, torch.zeros_like(wanted), word_sets(metadata), generator=seeded("cpu", seed, "words"))
    expected = generate_batched(
        model, 6, image_shape=(3, 32, 32), seed=seed, steps=Steps.of(16), wishes=Wishes(condition, 1.5)
    )
    assert_close(floats(element, "it.now.noisy").clamp(0, 1), expected)
    assert f'uv run dino sample -n 6 --ask "{asked}" --seed {seed} --steps 16' in element.root.inner_text()


def test_the_row_is_asked_for_paused_and_stepped_by_keyboard(visitor: Visitor) -> None:
    element = Element(visitor, "dino-live-row")
    element.wait("it.isFinished")
    before = element.get("it.seed")
    element.root.get_by_label("What to draw").fill("green stegosaurus, mauve")
    element.press("Enter")
    element.wait("it.now.k >= 1 && !it.isFinished")
    element.button("Pause").click()
    visitor.page.wait_for_timeout(1000)  # a step that had begun
    k = element.get("it.now.k")
    element.button("Step").focus()
    element.press("Enter")
    element.wait(f"it.now.k === {k + 1}")
    assert element.get("it.seed") == before + 1
    assert f"Step {k + 1} of 16" in element.sentence
    assert "doesn't know “mauve”" in element.sentence
    element.button("Go on").click()
    element.wait("it.isFinished")
    element.root.get_by_label("What to draw").fill("cat")
    element.button("Draw").click()
    element.wait("it.querySelector('.status').textContent.startsWith('The model knows none of these words')")
    assert element.get("it.now.k") == 16  # the row is still there


@pytest.mark.parametrize("visitor", [{"reduced_motion": "reduce"}], indirect=True)
def test_with_less_motion_the_first_row_is_there_at_once(visitor: Visitor) -> None:
    element = Element(visitor, "dino-live-row")
    assert element.get("it.now.k") == 16
    drawn = "[...it.views].map(view => view.toDataURL()).join()"
    before = element.get(drawn)
    visitor.page.wait_for_timeout(500)
    assert element.get(drawn) == before
    element.button("Draw").click()
    element.wait("it.now.k >= 1 && !it.isFinished")


@pytest.mark.parametrize("skips", [True, False], ids=["skips", "no skips"])
def test_two_levels_shows_what_the_network_predicts(visitor: Visitor, skips: bool) -> None:
    element = Element(visitor, "dino-two-levels")
    element.slider("noise there is").focus()
    element.press("Home", *["PageUp"] * 4)
    if not skips:
        element.root.get_by_label("skips").focus()
        element.press(" ")
    element.drag("level it gets", 0.85)
    told, there = element.get("[it.told.value, it.there.value]")
    element.wait(f"it.asked.told === {told} && it.asked.there === {there} && it.asked.skips === {str(skips).lower()}")
    first = next(iter(data()["dino-two-levels"]["pictures"].values()))
    clean = to_unit(unpacked(first))[None]
    noisy, model = torch.lerp(clean, noise(2), there), network()[0]
    with torch.no_grad():
        best = model(noisy, level(there))
        padded = torch.cat([noisy, torch.zeros(1, len(vocabulary(network()[1])), 32, 32)], dim=1)
        expected = model(noisy, level(told)) if skips else without_skips(model.unet, padded, level(told))
    assert_close(element.numbers("it.prediction"), expected)
    error, least = ((each - clean).square().mean().sqrt() for each in (expected, best))
    assert f"off by {error:.3f}" in element.sentence
    assert f"it is {least:.3f}" in element.sentence
    assert ("wipes out details" if skips else "Without skips") in element.sentence
    element.button("Tell it the truth").click()
    element.wait(f"it.asked.told === {there}")


@pytest.mark.parametrize("bug", ["none", "next", "one", "clean", "alone", "fresh", "clamp"])
def test_the_sampler_takes_the_steps_of_the_course_with_and_without_a_bug(visitor: Visitor, bug: str) -> None:
    element = Element(visitor, "dino-sampler")
    element.slider("steps").focus()
    element.press("Home", "ArrowRight", "ArrowRight", "ArrowRight")
    if bug == "none":
        element.root.get_by_label("warped").check()
        element.slider("step size").focus()
        element.press("End")  # exact
    element.root.locator("select").select_option(bug)
    element.wait(f"it.walked.nSteps === 4 && it.walked.bug === '{bug}'")
    schedule = warped_schedule(4, 0.5) if bug == "none" else noise_schedule(4)
    sizes = euler_at_final(step_sizes(schedule)).tolist() if bug == "none" else [2.0] * 4
    mixes = sampled(element, bug, schedule, sizes)
    for k, expected in enumerate(mixes):
        assert_close(floats(element, f"it.mixes[{k + 1}]"), expected)
    if bug != "clamp":
        assert_close(element.numbers("it.ends"), mixes[-1])


def sampled(element: Element, bug: str, schedule: Tensor, sizes: list[float]) -> list[Tensor]:
    """Sample with a bug of the sampler's element: the mix after each step."""
    condition = torch.tensor([element.get(f"Array.from(it.model.conditionOf('', {{ seed: {SEED} }})[0])")])
    denoiser = asking(network()[0], condition, 1.5)
    generator = torch.Generator().manual_seed(SEED)
    mixed, previous, mixes = torch.rand((1, 3, 32, 32), generator=generator), None, []
    for (now, after), size in zip(pairwise(schedule.tolist()), sizes, strict=True):
        told = {"next": after, "one": 1.0, "clean": 1 - now}.get(bug, now)
        with torch.no_grad():
            denoised = denoiser(mixed, level(told))
        guess = extrapolate(denoised, previous, size)
        if bug == "fresh":
            mixed = mix(guess, torch.rand(mixed.shape, generator=generator), level(after))
        elif bug == "alone":
            mixed = torch.lerp(guess, mixed, after)
        else:
            mixed = remix(mixed, guess, level(now), level(after))
        previous = denoised
        mixes.append(mixed)
    return mixes


def test_without_a_clamp_values_outside_0_to_1_wrap_around_and_that_is_seen(visitor: Visitor) -> None:
    element = Element(visitor, "dino-sampler")
    clamped = element.numbers("it.ends").clamp(0, 1)
    element.root.locator("select").select_option("clamp")
    element.wait("it.walked.bug === 'clamp'")
    noisy, shown = floats(element, "it.mixes.at(-1)").view(3, 32, 32), element.numbers("it.ends")
    as_bytes = (255 * noisy.double()).trunc().to(
        torch.int64
    ) % 256  # torch's floats to uint8 do the same on most machines
    torch.testing.assert_close(shown, (as_bytes / 255).float())
    outside = ((noisy < 0) | (noisy >= 256 / 255)).any(dim=0)
    flipped = (shown - clamped).abs().amax(dim=0) > 0.9
    assert outside.float().mean() > 0.02
    assert flipped.float().mean() > 0.02  # of the pixels go from one end to the other
    assert "begin again at 0" in element.sentence


SEED = 7  # of the sampler, at first


def test_the_path_of_a_pixel_is_followed_step_by_step(visitor: Visitor) -> None:
    element = Element(visitor, "dino-sampler")
    element.point(".pointable", 9, 20)
    visitor.page.mouse.down()
    visitor.page.mouse.up()
    element.slider("after step").focus()
    element.press("Home", "ArrowRight")
    element.button("Next step").click()
    value, predicted = element.get("[it.mixes[2][9 * 32 + 20], it.predictions[2][9 * 32 + 20]]")
    assert f"After step 2 of 20, at noise level {noise_schedule(20)[2]:.2f}" in element.sentence
    assert f"is {value:.2f} in the mix; the network predicts {predicted:.2f}" in element.sentence
    element.button("Play").click()
    element.wait("it.isAtEnd")
    assert "After step 20 of 20, at noise level 0.00" in element.sentence


def test_a_drawing_is_painted_and_redrawn(visitor: Visitor) -> None:
    element = Element(visitor, "dino-redraw")
    drawing = to_unit(unpacked(data()["dino-redraw"]["sketch"])).clone()
    element.root.get_by_label("red", exact=True).check()
    element.slider("brush").focus()
    element.press("Home")
    element.point(".pointable", 5, 5)
    visitor.page.mouse.down()
    element.point(".pointable", 5, 6)
    visitor.page.mouse.up()
    element.root.locator(".pointable").focus()
    element.press("ArrowDown", "ArrowDown", " ")
    for row, column in ((5, 5), (5, 6), (7, 6)):
        drawing[:, row, column] = torch.tensor([215, 70, 60]) / 255
    torch.testing.assert_close(element.numbers("it.drawing"), drawing)
    element.slider("start from level").focus()
    element.press("End", "PageDown", "PageDown", "PageDown")
    start = element.get("it.level.value")
    element.wait(f"it.querySelector('.status').textContent.includes('from level {start:.2f}')")
    noisy, schedule = mix(drawing[None], noise(1), level(start)), warped_schedule(10)
    *_, last = denoise(network()[0], noisy, start * schedule, euler_at_final(step_sizes(schedule)))
    assert_close(element.numbers("it.redrawn"), last.noisy)
    element.button("Empty").click()
    assert element.numbers("it.drawing").min() == 1
    element.button("Other noise").click()
    element.button("The first drawing").click()
    torch.testing.assert_close(element.numbers("it.drawing"), to_unit(unpacked(data()["dino-redraw"]["sketch"])))


@pytest.mark.parametrize("keys", [["Home"], ["PageUp", "PageUp"]], ids=["ignored", "exaggerated"])
def test_guidance_draws_the_same_noise_as_dino_sample_does(visitor: Visitor, keys: list[str]) -> None:
    element = Element(visitor, "dino-guidance")
    element.root.get_by_label("What to draw").fill("blue triceratops, mauve")
    element.press("Enter")
    element.wait("it.asked.words.startsWith('blue')")
    element.slider("guidance").focus()
    element.press(*keys)
    guidance = element.get("it.guidance.value")
    element.wait(f"it.asked.guidance === {guidance}")
    condition = torch.tensor(
        element.get("it.model.conditionOf(it.words, { n: 4, seed: 1 }).map(row => Array.from(row))")
    )
    model, metadata = network()
    words = vocabulary(metadata)
    assert condition[:, [words.index("blue"), words.index("triceratops")]].eq(1).all()
    expected = generate_batched(
        model, 4, image_shape=(3, 32, 32), seed=1, steps=Steps.of(10), wishes=Wishes(condition, guidance)
    )
    ends = floats(element, "it.ends").view(expected.shape)
    assert_close(ends.clamp(0, 1), expected)
    outside = ((ends < -0.02) | (ends > 1.02)).float().mean().item()
    assert f"At guidance {guidance:.2f}, {100 * outside:.1f}% of the numbers are outside" in element.sentence
    assert f"are {torch.pdist(ends.clamp(0, 1).flatten(1)).mean():.1f} apart" in element.sentence
    assert "doesn't know “mauve”" in element.sentence


def test_guidance_marks_what_is_no_color_and_refuses_words_that_nobody_knows(visitor: Visitor) -> None:
    element = Element(visitor, "dino-guidance")
    element.drag("guidance", 1)
    element.wait("it.asked.guidance === 8")
    element.root.get_by_label("Mark what is no color").focus()
    element.press(" ")
    ends = floats(element, "it.ends").view(4, 3, 32, 32)[0]
    is_outside = ((ends < -0.02) | (ends > 1.02)).any(dim=0).flatten()
    colors = element.get("Array.from(it.views[0].getContext('2d').getImageData(0, 0, 32, 32).data)")
    is_marked = (torch.tensor(colors).view(-1, 4)[:, :3] == torch.tensor([217, 0, 191])).all(dim=1)
    assert torch.equal(is_marked, is_outside)
    element.root.get_by_label("What to draw").fill("cat")
    element.button("Draw").click()
    element.wait("it.querySelector('.status').textContent.startsWith('The model knows none of these words')")
    assert element.get("it.asked.guidance") == 8  # the pictures are still there
    element.root.get_by_label("What to draw").fill("green stegosaurus")
    element.button("Other noise").click()
    element.wait("it.asked.seed === 2")


def test_what_is_outside_of_the_brush_stays_and_the_rest_is_drawn_anew(visitor: Visitor) -> None:
    element = Element(visitor, "dino-inpaint")
    known = to_unit(unpacked(data()["dino-inpaint"]["pictures"]["stegosaurus"]))[None]
    assert_inpainted(element, known, None)
    element.button("Keep all").click()
    element.wait("it.querySelector('.status').textContent.startsWith('0 of 1024')")
    assert torch.equal(floats(element, "it.ends").view(4, 3, 32, 32), known.expand(4, -1, -1, -1))
    element.slider("brush").focus()
    element.press("Home", "ArrowRight", "ArrowRight")  # a spot of 3 x 3 pixels
    element.point(".pointable", 10, 12)
    visitor.page.mouse.down()
    element.point(".pointable", 10, 13)
    visitor.page.mouse.up()
    element.root.locator(".pointable").focus()
    element.press("ArrowDown", "ArrowDown", " ")
    element.wait("it.querySelector('.status').textContent.startsWith('18 of 1024')")
    free = torch.ones(32, 32)
    free[9:12, 11:15] = 0
    free[11:14, 12:15] = 0
    assert torch.equal(floats(element, "it.mask").view(32, 32).float(), free)
    element.root.get_by_label("What the new part should show").fill("purple")
    element.button("Ask").click()
    element.wait("it.asked.words === 'purple'")
    assert_inpainted(element, known, "purple")


def assert_inpainted(element: Element, known: Tensor, word: str | None) -> None:
    """Check the element's pictures against `keeping`, and that the kept pixels are exactly as they were."""
    model, metadata = network()
    mask, schedule = floats(element, "it.asked.mask").view(1, 1, 32, 32) == 1, warped_schedule(10)
    condition = torch.tensor([[float(each == word) for each in vocabulary(metadata)]])
    denoiser = keeping(asking(model, condition, 2.0 if word else 0.0), known, mask)
    start = torch.rand((4, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        *_, last = denoise(denoiser, start, schedule, euler_at_final(step_sizes(schedule)))
    ends = floats(element, "it.ends").view(4, 3, 32, 32)
    assert_close(ends, last.noisy)
    assert torch.equal(torch.where(mask, ends, 0), torch.where(mask, known, 0).expand(4, -1, -1, -1))


def test_few_steps_are_even_or_warped_as_in_dino(visitor: Visitor) -> None:
    element = Element(visitor, "dino-few-steps")
    element.slider("steps").focus()
    element.press("Home", "ArrowRight", "ArrowRight")
    element.slider("warp").focus()
    element.press("ArrowLeft")
    element.wait("it.asked.n === 4 && it.asked.warp === 0.3 && it.reference.ends")
    even, warped = noise_schedule(4), warped_schedule(4, 0.3)
    torch.testing.assert_close(floats(element, "it.schedules.warped"), warped)
    dots = [float(dot) for dot in element.get("[...it.plot.marks.children].map(dot => dot.getAttribute('cx'))")]
    ends = {
        "many": sampled_in_steps(noise_schedule(100), 2.0),
        "even": sampled_in_steps(even, 2.0),
        "warped": sampled_in_steps(warped, euler_at_final(step_sizes(warped))),
    }
    for name, expected in ends.items():
        found = "it.reference.ends" if name == "many" else f"it.ends.{name}"
        assert_close(floats(element, found), expected)
    left, right = dots[0], dots[4]
    assert dots == pytest.approx(
        [left + (right - left) * (1 - t) for t in [*even.tolist(), *warped.tolist()]], abs=0.01
    )
    off = [(ends[name].clamp(0, 1) - ends["many"].clamp(0, 1)).square().mean().sqrt() for name in ("even", "warped")]
    said = [float(number) for number in re.findall(r"0\.\d{3}", element.sentence)]
    assert said == pytest.approx([each.item() for each in off], abs=2e-3)
    element.button("Other noise").focus()
    element.press("Enter")
    element.wait("it.asked.seed === 2")


def sampled_in_steps(schedule: Tensor, sizes: Any) -> Tensor:
    """Three pictures from the element's first noise, when nothing is asked for."""
    noise = torch.rand((3, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    *_, last = denoise(network()[0], noise, schedule, sizes)
    return last.noisy


@pytest.mark.parametrize("moved", ["this course", "DDPM", "EDM", "IADB", "log-SNR"])
def test_the_symbols_of_the_papers_move_together_as_in_rosetta(visitor: Visitor, moved: str) -> None:
    element = Element(visitor, "dino-rosetta")
    element.drag(moved, 0.75)
    t = element.get("it.level")
    assert 0.01 <= t <= 0.99
    assert t != 0.6
    element.wait(f"it.told === {t}")
    units = {paper.name: paper.to_level for paper in PAPERS} | {"log-SNR": to_log_snr}
    assert element.get("it.sliders.map(each => each.name)") == list(units)
    exact = torch.tensor(t, dtype=torch.float64)
    digits = {"EDM": "", "DDPM": ".3f", "DDIM": ".3f"}
    for k, (name, to_level) in enumerate(units.items()):
        value = to_level(exact).item()
        assert element.get(f"it.sliders[{k}].of(it.level)") == pytest.approx(value), name
        shown = float(element.get(f"it.sliders[{k}].input.getAttribute('aria-valuetext')"))
        places = digits.get(name, ".2f")
        assert shown == pytest.approx(float(f"{value:{places}}"), rel=0.01, abs=0.011), name


def test_each_paper_sees_the_picture_of_rosetta_and_predicts_as_in_rosetta(visitor: Visitor) -> None:
    element = Element(visitor, "dino-rosetta")
    element.slider("this course").focus()
    element.press(*["ArrowLeft"] * 10)
    element.wait("it.told === it.level && it.told < 0.51")
    t = level(element.get("it.told"))
    clean = to_unit(unpacked(data()["dino-rosetta"]["picture"]))[None]
    noisy = mix(clean, noise(3), t)
    with torch.no_grad():
        denoised = network()[0](noisy, t)
    assert_close(floats(element, "it.denoised"), denoised)
    noisy, denoised = 2 * noisy - 1, 2 * floats(element, "it.denoised").view(1, 3, 32, 32) - 1
    for name, coordinates in {paper.coordinates.__name__: paper.coordinates for paper in PAPERS}.items():
        seen = coordinates(noisy, t)
        assert_close(floats(element, f"it.seen('{name}')"), seen)
        notes = element.root.locator(".note").all_inner_texts()
        assert any(f"standard deviation {seen.std():.2f}" in note for note in notes), name
    targets = {
        "image": denoised,
        "noise": predicted_noise(noisy, denoised, t),
        "image - noise": -predicted_velocity(noisy, denoised, t),
        "score": predicted_score(noisy, denoised, t),
    }
    for name, expected in targets.items():
        assert_close(floats(element, f"it.predicted('{name}')"), expected)
    assert {paper.predicts for paper in PAPERS} < set(targets)
    assert "There is as much noise as image." in element.sentence


def training_pictures() -> Tensor:
    """The pictures that the element searches, as a WebP decoder has them: in [0, 1]."""
    sprite = data()["dino-neighbors"]["sprite"].removeprefix("data:image/webp;base64,")
    return to_unit(elements_data.from_webp(base64.b64decode(sprite)))


def assert_nearest(element: Element, picture: Tensor) -> None:
    """Check the training pictures that the element found for a picture, against `nearest_neighbors`."""
    distances, places = nearest_neighbors(picture.view(1, 3, 32, 32), training_pictures(), k=4)
    found = element.get("it.found")
    assert [each["distance"] for each in found] == pytest.approx(distances[0].tolist(), abs=2e-3)
    assert found[0]["place"] == places[0, 0]
    shown = [float(text) for text in element.root.locator(".found .note").all_inner_texts()]
    assert shown == pytest.approx(distances[0].tolist(), abs=2e-3)
    assert f"is {shown[0]:.3f} away from the nearest" in element.sentence


def test_a_picture_that_the_network_draws_has_the_nearest_training_pictures_beside_it(visitor: Visitor) -> None:
    element = Element(visitor, "dino-neighbors")
    element.button("Another one").focus()
    element.press("Enter")
    element.wait("it.asked.seed === 2")
    model, metadata = network()
    nothing = torch.zeros(1, len(vocabulary(metadata)))
    condition = complete(nothing, nothing, word_sets(metadata), generator=seeded("cpu", 2, "words"))
    expected = generate_batched(
        model, 1, image_shape=(3, 32, 32), seed=2, steps=Steps.of(10), wishes=Wishes(condition, 1.5)
    )
    assert_close(element.numbers("it.shown"), expected)
    assert_nearest(element, expected)
    assert "Picture 2, drawn by the network" in element.sentence


def test_a_copy_of_a_training_picture_is_recognized_unless_it_is_moved_or_under_noise(visitor: Visitor) -> None:
    element = Element(visitor, "dino-neighbors")
    element.root.get_by_label("a changed training picture").check()
    element.wait("it.asked.source === 'changed'")
    assert element.get("it.found[0].distance") == 0
    assert "This is a copy." in element.sentence
    clean = training_pictures()[37]
    element.slider("noise level").focus()
    element.press("ArrowRight", "ArrowRight", "ArrowRight")
    element.wait("it.asked.level === 0.03")
    assert_nearest(element, torch.lerp(clean, noise(1)[0], 0.03))
    assert element.get("it.found[0].place") == 37
    assert "This is a copy." in element.sentence
    element.drag("noise level", 0.4)
    share = element.get("it.level.value")
    element.wait(f"it.asked.level === {share}")
    assert_nearest(element, torch.lerp(clean, noise(1)[0], share))
    assert "This is a copy." not in element.sentence
    element.slider("noise level").focus()
    element.press("Home")
    element.slider("moved by").focus()
    element.press("End")
    element.wait("it.asked.level === 0 && it.asked.moved === 4")
    assert_nearest(element, clean.roll(4, dims=-1))
    assert "moved by 4 px" in element.sentence
    assert "This is a copy." not in element.sentence


def test_the_training_pictures_in_a_webp_are_nearly_as_they_were() -> None:
    images = elements_data.load_images("dinos", 32, part="training")[: elements_data.N_INDEXED]
    assert (training_pictures() - to_unit(images)).square().mean().sqrt() < 0.04


# ---- in the lessons -------------------------------------------------------------------------------------------------


def test_a_figure_of_a_lesson_stands_inside_its_element(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "run", lambda *_: [[{"image": PIXEL, "width": 1, "height": 1}]])
    fence = '```python alt="what" caption="that" element="dino-pixels" question="Which \\"one\\"?"'
    page = pages.render(f"{HEAD}\n{fence}\ndraw()\n```\n", "lessons/a.md", {})
    element = re.search(r"<dino-pixels .*?>\n(.*)</dino-pixels>", page.markdown, re.DOTALL)
    assert element
    assert "<figure" in element[1]
    assert "How this figure is made" in element[1]
    assert 'question="Which &quot;one&quot;?"' in page.markdown


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('element="dino-nothing" question="a?"', "no element dino-nothing"),
        ('element="dino-pixels"', 'needs question="..."'),
    ],
)
def test_an_element_that_does_not_exist_or_asks_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, written: str, message: str
) -> None:
    monkeypatch.setattr(pages, "run", lambda *_: [[{"image": PIXEL, "width": 1, "height": 1}]])
    with pytest.raises(SiteError, match=re.escape(message)):
        pages.render(f'{HEAD}\n```python alt="a" caption="b" {written}\ndraw()\n```\n', "lessons/a.md", {})


def test_every_element_is_used_in_a_page_and_notebooks_keep_the_figures_and_drop_the_elements() -> None:
    used: list[str] = []
    for lesson in WRITTEN:
        source = notebooks.page_of(lesson).read_text(encoding="utf-8")
        used += re.findall(r'element="([\w-]+)"', source)
        notebook = notebooks.notebook_text(lesson)
        assert not elements.USED.search(notebook)
        assert not re.search(r"question=|element=", notebook)
    home = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    used += elements.USED.findall(home)
    assert set(used) == set(elements.NAMES)


def test_the_data_are_the_same_each_time() -> None:
    for name in ("dino-pixels", "dino-noise-slider", "dino-descent"):
        assert json.loads(json.dumps(elements_data.ELEMENTS[name]())) == data()[name]
