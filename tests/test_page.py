"""`dino page`: a model in a single-file web page, used by mouse, by keyboard, on a phone and in the dark."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from dino import cli
from dino.images import to_unit
from dino.trainer.batched_sampling import generate_batched
from dino.trainer.config import Config
from dino.trainer.model_file import PRETRAINED, image_shape, load_model, save_model

from .browsing import Tab
from .test_web import SETS, WORDS

SIZE = 16
DONE = "document.querySelector('.status').textContent.startsWith('Drawn in')"


def small_model(path: Path, **changes: Any) -> Path:
    config = {"channels": 3, "widths": [8, 16], "depths": [1, 1], "size": SIZE, "data": "/home/alice/dinos"} | changes
    torch.manual_seed(0)
    metadata = {"config": config, "images_seen": 1234} | ({"word_sets": SETS} if "vocabulary" in config else {})
    save_model(path, Config.from_dict(config).new_network(), metadata)
    return path


def make_page(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["page", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small model that knows words."""
    folder = tmp_path_factory.mktemp("run") / "mine-1"
    small_model(folder / "model.safetensors", vocabulary=WORDS)
    make_page(str(folder))
    return folder / "page.html"


@pytest.fixture
def visit(browser: Any, page: Path) -> Iterator[Callable[..., Tab]]:
    """Open the page, wait until the first picture is drawn, and check at the end that nothing went wrong."""
    tabs: list[Tab] = []

    def opened(path: Path = page, *, wait: bool = True, **options: Any) -> Tab:
        tabs.append(Tab(browser, path.as_uri(), **options))
        if wait:
            tabs[-1].page.wait_for_function(DONE)
        return tabs[-1]

    yield opened
    for tab in tabs:
        assert not tab.problems
        assert all(url.startswith(("file:", "blob:", "data:")) for url in tab.requests), tab.requests
        tab.close()


def status(tab: Tab) -> str:
    return tab.page.inner_text(".status")


def settle(tab: Tab, words: str) -> None:
    """Wait until the page says something with these words."""
    tab.page.wait_for_function("(words) => document.querySelector('.status').textContent.includes(words)", arg=words)


def shown(tab: Tab, view: str = "mix") -> torch.Tensor:
    """Return what a canvas shows, (3, H, W) in [0, 1]."""
    code = f"""
        const canvas = document.querySelector(".of-{view} canvas");
        return Float32Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);"""
    pixels = tab.run(code)
    side = round((len(pixels) / 4) ** 0.5)
    return pixels.view(side, side, 4)[..., :3].permute(2, 0, 1) / 255


def download(tab: Tab, selector: str) -> tuple[str, bytes]:
    with tab.page.expect_download() as waiting:
        tab.page.click(selector)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


# ---- the file -------------------------------------------------------------------------------------------------------


def test_the_command_writes_one_file_beside_the_weights_and_names_it(tmp_path: Path) -> None:
    small_model(tmp_path / "mine-1" / "model.safetensors")
    output = make_page(str(tmp_path / "mine-1"))
    assert str(tmp_path / "mine-1" / "page.html") in output.replace("\n", "")
    make_page(str(tmp_path / "mine-1"), "--out", str(tmp_path / "other.html"))
    assert (tmp_path / "other.html").read_bytes() == (tmp_path / "mine-1" / "page.html").read_bytes()


def test_the_page_of_the_pretrained_model_is_small_and_loads_nothing_else(tmp_path: Path) -> None:
    make_page("pretrained", "--out", str(tmp_path / "page.html"))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(text) < 6e6
    without_weights = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)
    assert not re.search(r"https?://|<link rel=.stylesheet|src=", without_weights)


def test_the_page_tells_nobody_where_the_training_images_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    weights = re.search(r'id="weights">(.*?)</script>', text, flags=re.DOTALL)
    assert weights
    assert b"dinos" in base64.b64decode(weights[1])
    assert b"alice" not in base64.b64decode(weights[1])
    assert "alice" not in text


def test_a_name_cannot_become_a_program(tmp_path: Path) -> None:
    folder = tmp_path / "a<!--<script>"
    small_model(folder / "model.safetensors")
    make_page(str(folder))
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert "a<!--<script>" not in text
    assert "a&lt;!--&lt;script&gt;" in text


# ---- drawing --------------------------------------------------------------------------------------------------------


def test_the_first_thing_one_sees_is_a_picture_coming_out_of_noise(visit: Callable[..., Tab], page: Path) -> None:
    tab = visit()
    model, _ = load_model(page.with_name("model.safetensors"))
    levels = tab.run("return [...document.querySelectorAll('.step')].map((s) => [s.min, s.max, s.value])")
    assert levels == [["0", "10", "10"]]
    tab.page.locator(".step").fill("0")
    noise = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    assert (shown(tab) - noise).abs().max() < 1 / 255
    assert "mine-1 has" in tab.page.inner_text(".model")
    n_weights = sum(weight.numel() for weight in model.parameters())
    assert f"{n_weights:,} weights and has seen 1,234 pictures of dinos" in tab.page.inner_text(".model")


def test_the_page_draws_what_dino_sample_draws(visit: Callable[..., Tab], tmp_path: Path) -> None:
    path = small_model(tmp_path / "model.safetensors")
    make_page(str(path), "--out", str(tmp_path / "page.html"))
    tab = visit(tmp_path / "page.html")
    model, metadata = load_model(path)
    expected = generate_batched(model, 1, image_shape=image_shape(metadata), seed=3)[0]
    assert (shown(tab) - expected).abs().max() < 2 / 255


def test_a_gray_model_draws_gray_pictures(visit: Callable[..., Tab], tmp_path: Path) -> None:
    small_model(tmp_path / "model.safetensors", channels=1)
    make_page(str(tmp_path))
    tab = visit(tmp_path / "page.html")
    picture = shown(tab)
    assert picture[0].equal(picture[1])
    assert picture[0].std() > 0
    tab.page.click(".paint")
    tab.page.click(".palette button[title=red]")
    tab.page.locator(".of-mix canvas").click()
    assert (shown(tab)[:, SIZE // 2, SIZE // 2] - 0.45).abs().max() < 0.05  # red as gray


def test_a_new_picture_has_the_next_seed_and_the_last_ones_can_be_brought_back(visit: Callable[..., Tab]) -> None:
    tab = visit()
    first = shown(tab)
    tab.page.click(".draw")
    settle(tab, "from seed 4")
    assert not shown(tab).equal(first)
    assert tab.page.locator(".shelf button").count() == 2
    tab.page.locator(".shelf button").last.click()
    assert shown(tab).equal(first)
    assert "from seed 3" in status(tab)


def test_each_step_can_be_looked_at_with_the_prediction_beside_it(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.click(".both")
    tab.page.locator(".step").focus()
    seen = [(shown(tab), shown(tab, "prediction"))]
    for _ in range(3):
        tab.page.keyboard.press("ArrowLeft")
        seen.append((shown(tab), shown(tab, "prediction")))
    assert tab.page.get_attribute(".step", "aria-valuetext").startswith("step 7 of 10, noise level 0.")
    assert all(not a.equal(b) for (a, _), (b, _) in pairwise(seen))
    assert tab.page.locator(".of-prediction").is_visible()
    tab.page.click(".replay")
    tab.page.wait_for_function("document.querySelector('.step').value === '10'")


def test_settings_change_the_picture_at_once(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.click("summary")
    before = shown(tab)
    tab.page.locator(".seed").fill("5")
    settle(tab, "from seed 5")
    assert not shown(tab).equal(before)
    tab.page.locator(".steps").fill("4")
    settle(tab, "in 4 steps")
    tab.page.select_option(".spacing", "even")
    tab.page.locator(".size").fill("2")
    assert tab.page.locator(".size + output").inner_text() == "2.0"
    assert tab.page.locator(".shelf button").count() == 1  # the same picture, drawn in another way


def test_many_steps_can_be_stopped(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.click("summary")
    tab.page.locator(".steps").fill("50")
    settle(tab, "in 50 steps")
    tab.page.click(".draw")
    settle(tab, "Drawing")
    tab.page.click(".replay")  # which is "Stop" meanwhile
    settle(tab, "Stopped.")
    assert tab.page.get_attribute(".replay", "aria-label") == "Replay the steps"


# ---- words ----------------------------------------------------------------------------------------------------------


def test_words_are_asked_for_by_text_and_by_buttons(visit: Callable[..., Tab]) -> None:
    tab = visit()
    assert tab.page.input_value(".ask") == "green stegosaurus"  # the first wish
    tab.page.fill(".ask", "stego")
    assert tab.page.locator(".chips button", has_text="stegosaurus").get_attribute("class") == "fits"
    tab.page.fill(".ask", "gre")
    assert "fits" in tab.page.locator(".chips button", has_text="green").get_attribute("class")
    tab.page.click(".chips button:has-text('green')")  # completes the word
    assert tab.page.input_value(".ask") == "green"
    settle(tab, "green")
    tab.page.click(".chips button:has-text('hat')")
    assert tab.page.input_value(".ask") == "green hat"
    pressed = tab.page.locator(".chips button[aria-pressed=true]").all_inner_texts()
    assert sorted(pressed) == ["green", "hat"]
    tab.page.click(".chips button:has-text('green')")
    assert tab.page.input_value(".ask") == "hat"


def test_unknown_words_are_named_in_one_sentence(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.fill(".ask", "a green dragon")
    tab.page.keyboard.press("Enter")
    settle(tab, "know: dragon.")
    tab.page.fill(".ask", "dragon")
    tab.page.keyboard.press("Enter")
    settle(tab, "The model knows none of these words. It knows: stegosaurus, green, hat.")
    assert "problem" in tab.page.get_attribute(".status", "class")


# ---- painting -------------------------------------------------------------------------------------------------------


def drag(tab: Tab, *, start: tuple[float, float], end: tuple[float, float]) -> None:
    canvas = tab.page.locator(".of-mix canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    (x0, y0), (x1, y1) = ((box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end))
    tab.page.mouse.move(x0, y0)
    tab.page.mouse.down()
    tab.page.mouse.move(x1, y1, steps=4)
    tab.page.mouse.up()


def test_what_is_painted_stays_and_what_is_free_is_filled_in(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.click(".paint")
    tab.page.click(".fill")
    settle(tab, "Nothing is free yet")
    tab.page.click(".empty")
    tab.page.click(".palette button[title=red]")
    tab.page.locator(".brush").fill("3")
    drag(tab, start=(0.25, 0.5), end=(0.75, 0.5))
    red = (shown(tab) - torch.tensor([0xD9, 0x48, 0x3B])[:, None, None] / 255).abs().amax(0) < 0.01
    assert 3 * 8 <= red.sum() <= 3 * 12
    tab.page.click(".fill")
    tab.page.wait_for_function(DONE)
    assert (shown(tab)[:, red] - shown(tab)[:, red][:, :1]).abs().max() < 0.01  # still one color
    assert shown(tab)[:, ~red].std() > 0.001
    first = shown(tab)
    tab.page.click(".paint")  # the painting is still there, and another picture fits it too
    tab.page.click(".fill")
    settle(tab, "from seed 4")
    assert not shown(tab).equal(first)


def test_a_drawing_is_redrawn_from_a_noise_level(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.click(".paint")
    tab.page.locator(".from").fill("0.3")
    tab.page.click(".vary")
    tab.page.wait_for_function(DONE)
    tab.page.locator(".step").fill("0")
    assert tab.page.inner_text(".of-mix figcaption") == "the mix: noise level 0.30"


def test_the_keyboard_paints(visit: Callable[..., Tab]) -> None:
    tab = visit()
    tab.page.click(".paint")
    tab.page.locator(".brush").fill("1")
    tab.page.locator(".of-mix canvas").focus()
    for key in ("ArrowLeft", "ArrowUp", " ", "Shift+ArrowUp"):
        tab.page.keyboard.press(key)
    assert status(tab) == f"Column {SIZE // 2}, row {SIZE // 2 - 1}: free."
    gray = (shown(tab) * 255).round()
    assert {value.item() for value in gray[0, SIZE // 2 - 2 : SIZE // 2, SIZE // 2 - 1]} <= {172, 190}
    assert tab.page.locator(".cell").is_visible()


def test_touch_paints_without_scrolling_the_page(visit: Callable[..., Tab]) -> None:
    tab = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    tab.page.click(".paint")
    canvas = tab.page.locator(".of-mix canvas")
    assert canvas.evaluate("element => getComputedStyle(element).touchAction") == "none"
    before = shown(tab)
    canvas.tap()
    assert not shown(tab).equal(before)


# ---- saving ---------------------------------------------------------------------------------------------------------


def test_the_picture_is_saved_as_png(visit: Callable[..., Tab]) -> None:
    tab = visit()
    name, data = download(tab, ".png")
    assert name == "green-stegosaurus-seed-3.png"
    image = Image.open(io.BytesIO(data)).convert("RGB")
    assert image.size == (512, 512)
    small = torch.frombuffer(
        bytearray(image.resize((SIZE, SIZE), Image.Resampling.NEAREST).tobytes()), dtype=torch.uint8
    )
    assert to_unit(small.view(SIZE, SIZE, 3).permute(2, 0, 1)).equal(shown(tab))


def test_the_steps_are_saved_as_gif(visit: Callable[..., Tab]) -> None:
    tab = visit()
    name, data = download(tab, ".gif")
    assert name.endswith(".gif")
    image = Image.open(io.BytesIO(data))
    assert (image.n_frames, image.size, image.info["loop"]) == (11, (256, 256), 0)
    for frame in (0, 4, 10):
        image.seek(frame)
        tab.page.locator(".step").fill(str(frame))
        small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.NEAREST)
        pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(SIZE, SIZE, 3).permute(2, 0, 1)
        assert (to_unit(pixels) - shown(tab)).abs().max() < 3 / 255  # 256 pixels, so nearly each has its own color


def test_a_gif_of_more_colors_than_it_can_hold_comes_close(visit: Callable[..., Tab]) -> None:
    tab = visit()
    side = 64
    pixels = torch.randint(256, (side, side, 4), generator=torch.Generator().manual_seed(0)).float()
    code = "return Array.from(Dino.gif([{ pixels: new Uint8ClampedArray(pixels), delay: 7 }], 64, 4))"
    image = Image.open(io.BytesIO(bytes(tab.run(code, pixels=pixels))))
    assert image.info["duration"] == 70
    found = torch.frombuffer(
        bytearray(image.convert("RGB").resize((side, side), Image.Resampling.NEAREST).tobytes()), dtype=torch.uint8
    )
    assert (found.view(side, side, 3).float() - pixels[..., :3]).abs().mean() < 20


# ---- for everybody --------------------------------------------------------------------------------------------------


def test_nothing_moves_until_asked_where_motion_is_unwelcome(visit: Callable[..., Tab]) -> None:
    tab = visit(wait=False, reduced_motion="reduce")
    settle(tab, "This is noise.")
    tab.page.wait_for_timeout(500)
    assert tab.page.locator(".shelf button").count() == 0
    tab.page.click(".draw")
    settle(tab, "Drawn in 10 steps from seed 3")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit: Callable[..., Tab], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    tab = visit(color_scheme=scheme, viewport={"width": 360, "height": 740})
    tab.page.click("summary")
    tab.page.click(".both")
    tab.page.click(".paint")
    found = axe.run(tab.page).response["violations"]
    serious = [
        (each["id"], [node["target"] for node in each["nodes"]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert not serious


@pytest.mark.parametrize("width", [320, 360, 800, 1400])
def test_the_page_fits_any_width(visit: Callable[..., Tab], width: int) -> None:
    tab = visit(viewport={"width": width, "height": 800})
    tab.page.click("summary")
    tab.page.click(".paint")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_control_has_a_name(visit: Callable[..., Tab]) -> None:
    tab = visit()
    code = """
        const isNamed = (each) => each.ariaLabel || each.textContent.trim() || each.labels?.[0]?.textContent.trim();
        const controls = [...document.querySelectorAll("button, input, select")];
        return controls.filter((each) => !isNamed(each)).map((each) => each.outerHTML);"""
    assert tab.run(code) == []


def test_a_browser_without_simd_reads_one_sentence(visit: Callable[..., Tab]) -> None:
    tab = visit(wait=False, script="WebAssembly.validate = () => false;")
    settle(tab, "lacks WebAssembly with SIMD")
    assert tab.page.locator(".draw").is_disabled()


def test_a_damaged_page_says_so_in_one_sentence(visit: Callable[..., Tab], page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    start = text.index('id="weights">') + len('id="weights">')
    (tmp_path / "page.html").write_text(text[: start + 4000] + text[text.index("</script>", start) :], encoding="utf-8")
    tab = visit(tmp_path / "page.html", wait=False)
    settle(tab, "was cut short")


# ---- opening other models -------------------------------------------------------------------------------------------


def test_another_model_can_be_opened_where_there_is_a_picker(
    visit: Callable[..., Tab], page: Path, tmp_path: Path
) -> None:
    other = small_model(tmp_path / "gray.safetensors", channels=1, size=8)
    (tmp_path / "page.html").write_text(
        page.read_text(encoding="utf-8").replace('name: "mine-1"', 'picker: true, name: "mine-1"'), encoding="utf-8"
    )
    tab = visit(tmp_path / "page.html")
    tab.page.set_input_files(".file input", other)
    settle(tab, "from seed 3: whatever comes")
    assert shown(tab).shape == (3, 8, 8)
    assert "The model gray" in tab.page.inner_text(".model")
    assert not tab.page.locator(".of-words").is_visible()
    (tmp_path / "broken.safetensors").write_bytes(b"not weights at all")
    tab.page.set_input_files(".file input", tmp_path / "broken.safetensors")
    settle(tab, "This isn't a safetensors file.")
    tab.page.click(".draw")  # the last model is still there
    settle(tab, "from seed 4")


def test_the_pretrained_models_fit_into_a_page_each() -> None:
    assert all(path.stat().st_size * 4 / 3 < 5.8e6 for path in PRETRAINED.values())
