"""`python -m scripts.site.math_font` makes docs/stylesheets/stix-two-math.woff, the font of the site's formulas.

The file has a fiftieth of the size of STIX Two Math (SIL Open Font License), because it holds only the characters that
a formula may need. The whole font comes with the package ziamath, which nothing else needs:

    uv run --with ziamath python -m scripts.site.math_font
"""

from importlib.resources import files

from fontTools import subset

from scripts.site.paths import DOCS, ROOT

FONT = DOCS / "stylesheets" / "stix-two-math.woff"
RANGES = (
    (0x20, 0x7E), (0xA0, 0xA0), (0x391, 0x3C9), (0x3D1, 0x3D6), (0x3F1, 0x3F5),  # ASCII, the space inside text, Greek
    (0x1D434, 0x1D467), (0x1D6E2, 0x1D71B),  # Latin and Greek italics
)  # fmt: skip
SIGNS = "¬¯±·×÷ˆˇ˘˙˜′″‖†…ℎℓℝℕℤ𝔼𝟙←↑→↓↔↦⇒⇔∀∂∃∅∇∈∉∏∑−∓∗∘√∝∞∣∥∧∨∩∪∫∼≈≠≡≤≥≪≫⊂⊆⊕⊗⊙⊤⋅⋆⌈⌉⌊⌋⟨⟩⟵⟶𝒟𝒩ℒ𝒰"  # noqa: RUF001


def main() -> None:
    """Write the file and print its size."""
    options = subset.Options(flavor="woff", name_IDs=["*"], layout_features=[], hinting=False)
    source = files("ziamath.fonts") / "STIXTwoMath-Regular.ttf"
    font = subset.load_font(str(source), options)
    subsetter = subset.Subsetter(options)
    ranges = (range(first, last + 1) for first, last in RANGES)
    subsetter.populate(unicodes=[*(code for codes in ranges for code in codes), *map(ord, SIGNS)])
    subsetter.subset(font)
    subset.save_font(font, str(FONT), options)
    print(f"{FONT.relative_to(ROOT)}: {FONT.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
