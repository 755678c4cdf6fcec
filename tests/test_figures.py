"""Figures of the site: text and lines have enough contrast on light and on dark pages, and wide ones fit a phone."""

import base64
import io
from itertools import product

import matplotlib as mpl
import pytest
import torch
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure

pytest.importorskip("jupytext", reason="the site needs the group docs: uv sync")
from dino.common import plots
from scripts.site import pages
from scripts.site import plots as site_plots
from scripts.site.figures import backgrounds, contrast, inked, readable, recolored, stacked, variants

BOTH = ("light", "dark")


def curves(columns: int = 2) -> Figure:
    """Plots beside each other, with lines, points, bars and a legend in the course's colors and in stubborn ones."""
    with mpl.rc_context(plots.STYLE):
        figure = Figure(figsize=(8, 3), layout="constrained")
        for axes in figure.subplots(1, columns, squeeze=False)[0]:
            for color in ("C0", "C1", "C2", "C3", "C4", "C5", "white", "black", "#E69F00"):
                axes.plot([0, 1], [0, 1], "o-", color=color, label=color)
            axes.scatter([0, 1], [0, 1], c=["#ffffff", "#000000"])
            axes.bar([0, 1], [1, 1], color="#56B4E9")
            axes.plot([0, 1], [1, 0], color="yellow", alpha=0.3)
            axes.set(title="title", xlabel="x", ylabel="y")
            axes.legend()
            axes.grid(alpha=0.3)
    return figure


def grid_of_images() -> Figure:
    figure = plots.labeled({"row": torch.rand(3, 3, 8, 8)}, ["a", "b", "c"])
    figure.axes[0].text(1, 1, "7", color="white")
    return figure


def ratios(figure: Figure, on: str) -> dict[float, list[float]]:
    """The contrast of everything in a figure with a page, by the contrast that it needs."""
    found: dict[float, list[float]] = {}
    for artist, name, needed in inked(figure):
        colors = getattr(artist, f"get_{name}")()
        rows = colors if getattr(colors, "ndim", 1) == 2 else [colors]
        seen = [to_rgba(color) for color in rows if not isinstance(color, str) or color != "auto"]
        found.setdefault(needed, []).extend(contrast(rgba[:3], backgrounds()[on]) for rgba in seen if rgba[3] == 1)
    return found


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)
    assert contrast(to_rgb("#767676"), (1, 1, 1)) == pytest.approx(4.54, abs=0.01)
    assert backgrounds() == {"light": to_rgb("#fffefb"), "dark": to_rgb("#131a19")}


@pytest.mark.parametrize("on", BOTH)
@pytest.mark.parametrize("draw", [curves, grid_of_images], ids=["curves", "images"])
def test_text_has_a_contrast_of_4_5_and_lines_of_3_on_light_and_on_dark_pages(draw, on: str) -> None:
    figure = draw()
    with recolored(figure, backgrounds()[on]) as changes:
        for needed, found in ratios(figure, on).items():
            assert min(found) >= needed
            assert needed >= 4.5 or needed == 3
    assert changes


def test_a_figure_keeps_its_colors_and_its_layout() -> None:
    figure = curves()
    before = [ratios(figure, on) for on in BOTH], figure.get_size_inches().tolist()
    with recolored(figure, backgrounds()["dark"]), stacked(figure):
        assert ([ratios(figure, on) for on in BOTH], figure.get_size_inches().tolist()) != before
    assert ([ratios(figure, on) for on in BOTH], figure.get_size_inches().tolist()) == before


def test_what_is_drawn_on_a_picture_and_what_is_faint_on_purpose_stays_as_it_is() -> None:
    figure = grid_of_images()
    with recolored(figure, backgrounds()["light"]):
        assert to_rgb(figure.axes[0].texts[0].get_color()) == (1, 1, 1)
    figure = curves()
    with recolored(figure, backgrounds()["light"]):
        faint = [line for line in figure.axes[0].lines if line.get_alpha() == 0.3]
        assert to_rgb(faint[0].get_color()) == to_rgb("yellow")


def test_a_color_that_is_readable_stays_and_the_others_change_as_little_as_it_takes() -> None:
    for name, text in product(BOTH, ("#000000", "#ffffff", "#E69F00", "#0072B2", "#767676")):
        background, color = backgrounds()[name], to_rgb(text)
        after = readable(color, background, 3.0)
        assert contrast(after, background) >= 3
        assert (after == color) == (contrast(color, background) >= 3.06)
        assert after == color or contrast(after, background) < 3.4


def test_the_colors_of_plots_can_be_seen_on_white_and_on_dark_pages() -> None:
    """Notebooks show figures as they are."""
    for color in plots.STYLE["axes.prop_cycle"].split("[")[1].rstrip("])").replace("'", "").split(", "):
        assert min(contrast(to_rgb(color), background) for background in (*backgrounds().values(), (1, 1, 1))) >= 3, (
            color
        )
    assert contrast(to_rgb(plots.INK), (1, 1, 1)) >= 4.5


def png(figure: Figure) -> tuple[bytes, dict[str, int]]:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=30)
    width, height = figure.get_size_inches()
    return file.getvalue(), {"width": round(72 * width), "height": round(72 * height)}


def test_plots_beside_each_other_stand_below_each_other_on_a_phone() -> None:
    _, metadata = variants(curves(), png)
    assert metadata["variants"].keys() == {"dark", "phone", "phone-dark"}
    phone = metadata["variants"]["phone"]
    assert phone["width"] < 340
    assert phone["height"] > metadata["height"]
    assert base64.b64decode(phone["png"]).startswith(b"\x89PNG")
    for other in (curves(columns=1), grid_of_images()):
        assert variants(other, png)[1]["variants"].keys() == {"dark"}


def test_a_figure_with_a_background_of_its_own_has_no_variants() -> None:
    figure = Figure()
    figure.subplots().plot([0, 1])
    assert "variants" not in variants(figure, png)[1]


def test_a_page_shows_the_variant_for_its_colors_and_its_width() -> None:
    _, metadata = variants(curves(), png)
    image = {"image": "AAAA", "width": 576, "height": 216}
    others = {
        name: {"image": "AAAA", **{key: each[key] for key in ("width", "height")}}
        for name, each in metadata["variants"].items()
    }
    page = pages.Page("")
    shown = pages.figure(page, image | {"variants": others}, 'two "plots"', "a-1-1", "here")
    assert page.figures.keys() == {f"a-1-1{kind}.webp" for kind in ("", "-dark", "-phone", "-phone-dark")}
    light, dark = shown.split('<picture class="for-dark">')
    assert 'class="for-light"' in light
    assert 'srcset="figures/a-1-1-phone.webp"' in light
    assert 'srcset="figures/a-1-1-phone-dark.webp"' in dark
    assert shown.count('alt="two &quot;plots&quot;"') == 2
    assert pages.figure(page, image, "a", "a-2-1", "here") == (
        '<div class="frame wide"><img src="figures/a-2-1.webp" alt="a" width="576" height="216" loading="lazy"></div>'
    )


# ---- the plots of measurements --------------------------------------------------------------------------------------


def test_every_plot_of_a_measurement_is_drawn_from_its_numbers_in_a_light_and_a_dark_variant() -> None:
    names = {path.stem for path in site_plots.FOLDER.glob("*.png")} - {"sampling-pictures"}
    assert set(site_plots.PLOTS) == {name for name in names if not name.endswith("-grid")}
    figure = site_plots.plot("order")
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 2


def test_a_page_shows_the_variants_in_place_of_a_plots_png(monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"image": base64.b64encode(b"light").decode(), "width": 500, "height": 300}
    dark = image | {"image": base64.b64encode(b"dark").decode()}
    monkeypatch.setattr(site_plots, "_images", lambda: {"levels": image | {"variants": {"dark": dark}}})
    html = '<p><img alt="a &lt; b" src="../benchmarks/levels.png"></p>'
    shown = site_plots.with_plots(html, "guides/reading-a-run.md")
    assert 'src="../benchmarks/figures/levels.webp" alt="a &lt; b"' in shown
    assert '<picture class="for-dark"><img src="../benchmarks/figures/levels-dark.webp"' in shown
    assert set(site_plots.files()) == {"benchmarks/figures/levels.webp", "benchmarks/figures/levels-dark.webp"}
    assert 'src="figures/levels.webp"' in site_plots.with_plots(
        html.replace("../benchmarks/", ""), "benchmarks/levels.md"
    )
    other = html.replace("levels", "asking-quick-grid")
    assert site_plots.with_plots(other, "guides/steering.md") == other
