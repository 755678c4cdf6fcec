"""The folders of pictures of docs/showcase.md."""

from itertools import islice
from pathlib import Path

import pytest
from PIL import ImageStat

from dino.common.errors import DinoError
from scripts.benchmarks import showcase


def test_letters_are_drawn_in_the_middle_of_their_images_in_a_folder_for_each_script() -> None:
    drawn = list(islice(showcase.letters(), 300))
    assert {folder for folder, _, _ in drawn} >= {"latin", "greek"}
    assert len({name for _, name, _ in drawn}) == len(drawn)
    for _, _, image in drawn:
        assert image.size == (showcase.SIZE, showcase.SIZE)
        assert 30 < ImageStat.Stat(image).mean[0] < 254.9, "it is neither black nor empty"


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showcase, "find_spec", lambda name: None)
    with pytest.raises(DinoError, match="the package sklearn isn't installed"):
        next(showcase.digits())


def test_each_set_becomes_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showcase, "SETS", {"letters": lambda: islice(showcase.letters(), 3)})
    showcase.main(tmp_path)
    assert len(list(tmp_path.glob("letters/latin/*.png"))) == 3
