"""dino/web: the network in a real browser predicts what PyTorch predicts, and no page asks anybody for anything."""

import json
import re
import struct
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino.common.errors import DinoError
from dino.data.words import complete, parse_request, split_words
from dino.few_steps import euler_at_final, step_sizes, warped_schedule
from dino.images import seeded
from dino.noise import mix
from dino.sampler import denoise, noise_schedule
from dino.steering import asking, keeping
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.config import Config
from dino.trainer.model_file import PRETRAINED, load_model, save_model, vocabulary, word_sets
from dino.web.bundle import ENGINE, engine_script
from scripts import build_engine

from .browsing import Tab, served

CLOSE = 1e-3  # of a number in [0, 1]
EMPTY = "<!doctype html><html lang=en><title>a page</title><script src=dino.js></script>"
WORDS = ["stegosaurus", "green", "hat"]
SETS = [[0, 1], [0, 2], [1, 2], [1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with nothing but the engine."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "dino.js").write_text(engine_script(), encoding="utf-8")
    (folder / "index.html").write_text(EMPTY, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tab(browser: Any, folder: Path) -> Iterator[Tab]:
    opened = Tab(browser, (folder / "index.html").as_uri())
    yield opened
    assert not opened.problems
    assert all(url.startswith(("file:", "blob:")) for url in opened.requests)
    opened.close()


def new_file(path: Path, *, half: bool = False, sets: Any = None, **changes: Any) -> tuple[bytes, nn.Module]:
    """Return a weights file of a new network, and the network with the weights of the file."""
    config = {"channels": 3, "widths": [8, 16], "depths": [1, 1], "size": 16} | changes
    torch.manual_seed(0)
    model = Config.from_dict(config).new_network().eval()
    save_model(path, model, {"config": config} | ({"word_sets": sets} if sets else {}), half=half)
    return path.read_bytes(), load_model(path)[0]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[bytes, nn.Module]]:
    return lambda **options: new_file(tmp_path / "model.safetensors", **options)


def level(value: float) -> Tensor:
    return torch.full((1, 1, 1, 1), value)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def assert_close(found: Tensor, expected: Tensor, tolerance: float = CLOSE) -> None:
    assert found.numel() == expected.numel()
    assert (found.view_as(expected) - expected).abs().max() < tolerance


# ---- the network ----------------------------------------------------------------------------------------------------

NETWORKS: dict[str, dict[str, Any]] = {
    "color": {},
    "gray": {"channels": 1},
    "words": {"vocabulary": WORDS},
    "widths that are no multiples of 8": {"widths": [5, 12, 3], "depths": [2, 0, 1], "size": 20},
    "one resolution": {"widths": [8], "depths": [0], "size": 7},
    "down to a single pixel": {"widths": [8, 8, 8, 8, 8], "depths": [0, 0, 0, 0, 1]},
}


@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
def test_each_layer_returns_what_pytorch_returns(tab: Tab, make: Any, changes: dict[str, Any]) -> None:
    file, model = make(**changes)
    unet, size, channels = getattr(model, "unet", model), changes.get("size", 16), changes.get("channels", 3)
    expected: dict[str, Tensor] = {}
    for name, module in unet.named_modules():
        is_layer = name.count(".") == 2 or name in ("head.2", "head.3")
        if is_layer:  # the third Block of the second Stage is "down.1.3"; `head` is a Stage, a convolution and so on
            module.register_forward_hook(lambda _m, _i, out, name=name: expected.update({name: out.clone()}))
    noisy, arguments = noise(1, channels, size, size), ()
    if "vocabulary" in changes:
        arguments = (torch.tensor([[0.0, 1.0, 0.5]]),)
    with torch.no_grad():
        model(noisy, level(0.7), *arguments)
    code = """
        const model = await Dino.load(file);
        const { layers } = await model.denoise(noisy, 0.7, { layers: true, condition, guidance: 1 });
        model.close();
        return layers;"""
    found = tab.run(code, file=file, noisy=noisy, condition=arguments[0] if arguments else None)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name]["shape"] == list(values.shape[1:]), name
        assert_close(found[name]["values"], values, 1e-4)


PREDICT = """
    const model = await Dino.load(file);
    const { denoised } = await model.denoise(noisy, level);
    model.close();
    return denoised;"""


@pytest.mark.parametrize("half", [True, False], ids=["float16", "float32"])
@pytest.mark.parametrize(("channels", "size", "n"), [(3, 32, 1), (1, 32, 4), (3, 64, 4), (1, 64, 1)])
def test_the_denoiser_predicts_what_pytorch_predicts(
    tab: Tab, make: Any, half: bool, channels: int, size: int, n: int
) -> None:
    file, model = make(half=half, channels=channels, size=size)
    noisy = noise(n, channels, size, size)
    with torch.no_grad():
        assert_close(tab.run(PREDICT, file=file, noisy=noisy, level=0.3), model(noisy, level(0.3)))


@pytest.mark.parametrize("name", sorted({path.stem for path in PRETRAINED.values()}))
def test_the_pretrained_models_predict_what_they_predict_in_pytorch(tab: Tab, name: str) -> None:
    path = next(path for path in PRETRAINED.values() if path.stem == name)
    model, metadata = load_model(path)
    size = metadata["config"]["size"]
    noisy = noise(1, metadata["config"]["channels"], size, size)
    with torch.no_grad():
        assert_close(tab.run(PREDICT, file=path.read_bytes(), noisy=noisy, level=0.7), model(noisy, level(0.7)))


def test_images_of_another_size_and_shape_are_predicted(tab: Tab, make: Any) -> None:
    file, model = make()
    code = """
        const model = await Dino.load(file, {workers: 1});
        const options = [{}, { height: 6, width: 20 }, {}];
        const found = [];
        for (const [k, each] of options.entries()) found.push((await model.denoise(images[k], 0.5, each)).denoised);
        model.close();
        return found;"""
    images = [noise(2, 3, 16, 16), noise(1, 3, 6, 20), noise(2, 3, 16, 16)]
    for found, noisy in zip(tab.run(code, file=file, images=images), images, strict=True):
        with torch.no_grad():
            assert_close(found, model(noisy, level(0.5)))


# ---- steering, and the sampler --------------------------------------------------------------------------------------


def without_skips(unet: nn.Module, noisy: Tensor, noise_level: Tensor) -> Tensor:
    """What a UNet predicts when its long skips are cut: `UNet.forward` without `+ skips.pop()`."""
    x = torch.cat([noisy, noise_level.expand(len(noisy), 1, *noisy.shape[2:])], dim=1)
    *larger, smallest = unet.down
    for stage in larger:
        x = F.avg_pool2d(stage(x), 2)
    x = smallest(x)
    for stage in unet.up:
        x = F.interpolate(stage(x), scale_factor=2, mode="nearest")
    return unet.head(x)


def test_the_long_skips_can_be_cut_and_are_back_the_next_time(tab: Tab, make: Any) -> None:
    file, model = make(widths=[8, 16, 16], depths=[1, 1, 1])
    noisy = noise(1, 3, 16, 16)
    with torch.no_grad():
        whole, cut = model(noisy, level(0.7)), without_skips(model, noisy, level(0.7))
    code = """
        const model = await Dino.load(file, { workers: 1 });
        const predict = async (skips) => (await model.denoise(noisy, 0.7, { skips })).denoised;
        const found = [await predict(true), await predict(false), await predict(true)];
        model.close();
        return found;"""
    first, without, last = tab.run(code, file=file, noisy=noisy)
    assert (whole - cut).abs().max() > 10 * CLOSE
    for found, expected in ((first, whole), (without, cut), (last, whole)):
        assert_close(found, expected)


@pytest.mark.parametrize("guidance", [0, 1, 1.5, 3])
def test_a_guided_prediction_is_the_same(tab: Tab, make: Any, guidance: float) -> None:
    file, model = make(vocabulary=WORDS, half=True)
    noisy, condition = noise(2, 3, 16, 16), torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    code = """
        const model = await Dino.load(file);
        const made = await model.denoise(noisy, 0.8, { condition: rows, guidance });
        model.close();
        return made.denoised;"""
    found = tab.run(code, file=file, noisy=noisy, rows=list(condition), guidance=guidance)
    with torch.no_grad():
        assert_close(found, asking(model, condition, guidance)(noisy, level(0.8)))


def test_an_inpainting_step_is_the_same(tab: Tab, make: Any) -> None:
    file, model = make()
    noisy, known = noise(1, 3, 16, 16), noise(1, 3, 16, 16, seed=1)
    mask = noise(1, 1, 16, 16, seed=2) < 0.5
    code = """
        const model = await Dino.load(file);
        const denoiser = Dino.keeping(async (x, level) => (await model.denoise(x, level)).denoised, known, mask);
        for await (const step of Dino.denoise(denoiser, noisy, [0.8, 0.6], [1])) { model.close(); return step; }"""
    found = tab.run(code, file=file, noisy=noisy, known=known, mask=mask.expand(1, 3, 16, 16))
    (step,) = denoise(keeping(model, known, mask), noisy, [0.8, 0.6], 1)
    assert_close(found["denoised"], step.denoised)
    assert_close(found["noisy"], step.noisy)
    assert_close(found["denoised"].view_as(known)[mask.expand_as(known)], known[mask.expand_as(known)], 1e-6)


SAMPLES: dict[str, tuple[dict[str, Any], Callable[[], dict[str, Any]]]] = {
    "warped": ({}, dict),
    "even": ({"spacing": "even", "stepSize": 1.5}, lambda: {"steps": Steps.of(8, "even", 1.5)}),
    "from a drawing": (
        {"start": noise(3, 16, 16, seed=5), "from": 0.6},
        lambda: {"wishes": Wishes(start=noise(1, 3, 16, 16, seed=5), noise_level=0.6)},
    ),
    "filling in": (
        {"known": noise(3, 16, 16, seed=5), "mask": (noise(16, 16, seed=6) < 0.5).float()},
        lambda: {"wishes": Wishes(known=noise(1, 3, 16, 16, seed=5), mask=noise(1, 1, 16, 16, seed=6) < 0.5)},
    ),
}


@pytest.mark.parametrize(("options", "expected"), SAMPLES.values(), ids=SAMPLES)
def test_a_seed_draws_the_images_of_dino_sample(
    tab: Tab, make: Any, options: dict[str, Any], expected: Callable[[], dict[str, Any]]
) -> None:
    file, model = make()
    code = """
        const model = await Dino.load(file);
        let last = null;
        for await (const step of model.sample({ n: 3, seed: 7, steps: 8, ...options })) last = step;
        model.close();
        return last.noisy;"""
    given = {"steps": Steps.of(8)} | expected()
    images = generate_batched(model, 3, image_shape=(3, 16, 16), seed=7, **given)
    assert_close(tab.run(code, file=file, options=options).clamp(0, 1), images)


@pytest.mark.parametrize("request_", ["a green stegosaurus, without a hat", "", "stego"])
def test_words_draw_the_images_of_dino_sample_ask(tab: Tab, make: Any, request_: str) -> None:
    file, model = make(vocabulary=WORDS, sets=SETS)
    code = """
        const model = await Dino.load(file);
        let last = null;
        const options = { n: 3, seed: 9, steps: 8, words, guidance: 2 };
        for await (const step of model.sample(options)) last = step;
        model.close();
        return { images: last.noisy, conditions: model.conditionOf(words, { n: 3, seed: 9 }) };"""
    found = tab.run(code, file=file, words=request_)
    request = parse_request(request_, WORDS) if request_ else None
    chosen = [(request.words, request.unwanted) if request else ((), ())] * 3
    asked, unwanted = (torch.tensor([[float(w in row[k]) for w in WORDS] for row in chosen]) for k in (0, 1))
    sets = word_sets({"config": {"vocabulary": WORDS}, "word_sets": SETS})
    condition = complete(asked, unwanted, sets, generator=seeded("cpu", 9, "words"))
    assert torch.stack(found["conditions"]).equal(condition)
    images = generate_batched(
        model, 3, image_shape=(3, 16, 16), seed=9, steps=Steps.of(8), wishes=Wishes(condition, 2.0)
    )
    assert_close(found["images"].clamp(0, 1), images)


@pytest.mark.parametrize(
    "text",
    [
        "a green stegosaurus with a hat", "T-Rex, striped!", "two purple triceratopses", "stego but no hat or scarf",
        "not spotted, not striped, with a bow", "sleeping longnecks without a scarf with a hat", "nothing known", "",
        "GRÜN und 恐竜", "violet spots; without glasses. red",
    ],
)  # fmt: skip
def test_a_text_is_understood_as_dino_sample_understands_it(tab: Tab, text: str) -> None:
    words = vocabulary(load_model("pretrained")[1])
    found = tab.run(
        "return { request: Dino.parseRequest(text, words), split: Dino.splitWords(text) }", text=text, words=words
    )
    assert found["split"] == list(split_words(text))
    if not found["request"]["words"]:
        with pytest.raises(DinoError, match="knows none"):
            parse_request(text, words)
        return
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        request = parse_request(text, words)
    assert found["request"]["words"] == list(request.words)
    assert found["request"]["unwanted"] == list(request.unwanted)
    assert bool(warned) == bool(found["request"]["unknown"])
    assert all(word in str(warned[0].message) for word in found["request"]["unknown"])


def test_schedules_and_step_sizes_are_those_of_the_course(tab: Tab) -> None:
    code = """
        const floats = (numbers) => Float32Array.from(numbers);
        const of = (schedule) => ({
            schedule: floats(schedule), sizes: floats(Dino.stepSizes(schedule)),
            final: floats(Dino.eulerAtFinal(Dino.stepSizes(schedule))),
        });
        const [even, warped] = [of(Dino.noiseSchedule(9)), of(Dino.warpedSchedule(10))];
        return { even, warped, other: of(Dino.warpedSchedule(8, 0.2)) };"""
    found = tab.run(code)
    for name, schedule in (
        ("even", noise_schedule(9)),
        ("warped", warped_schedule(10)),
        ("other", warped_schedule(8, 0.2)),
    ):
        assert_close(found[name]["schedule"], schedule, 1e-6)
        assert_close(found[name]["sizes"], step_sizes(schedule), 1e-5)
        assert_close(found[name]["final"], euler_at_final(step_sizes(schedule)), 1e-5)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**32 - 1, 2**40 + 3])
def test_random_numbers_are_those_of_pytorch(tab: Tab, seed: int) -> None:
    code = """
        return { rand: new Dino.Random(BigInt(seed)).rand(2000), whole: new Dino.Random(BigInt(seed)).randint(1000, 50),
                 named: Dino.seeded(BigInt(seed), "words").rand(5) };"""
    found = tab.run(code, seed=str(seed))
    generator = torch.Generator().manual_seed
    assert found["rand"].equal(torch.rand(2000, generator=generator(seed)))
    assert found["whole"] == torch.randint(1000, (50,), generator=generator(seed)).tolist()
    assert found["named"].equal(torch.rand(5, generator=seeded("cpu", seed, "words")))


def test_mixing_is_that_of_the_course(tab: Tab) -> None:
    clean, noisy = noise(3, 4, 4), noise(3, 4, 4, seed=1)
    found = tab.run("return Dino.mix(clean, noisy, 0.3)", clean=clean, noisy=noisy)
    assert_close(found, mix(clean[None], noisy[None], level(0.3)), 1e-6)


# ---- stopping, progress and memory ----------------------------------------------------------------------------------


def test_drawing_reports_each_step_and_each_prediction(tab: Tab, make: Any) -> None:
    file, _ = make()
    code = """
        const model = await Dino.load(file);
        const seen = [], progress = [];
        const onProgress = (done, total) => progress.push([done, total]);
        for await (const { k, nSteps, noiseLevel } of model.sample({ n: 2, steps: 3, spacing: "even", onProgress }))
          seen.push([k, nSteps, noiseLevel]);
        model.close();
        return { seen, progress };"""
    found = tab.run(code, file=file)
    assert [each[:2] for each in found["seen"]] == [[0, 3], [1, 3], [2, 3], [3, 3]]
    assert [each[2] for each in found["seen"]] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert found["progress"] == [[1, 2], [2, 2]] * 3


def test_drawing_can_be_stopped_and_started_again(tab: Tab, make: Any) -> None:
    file, _ = make()
    code = """
        const model = await Dino.load(file, { workers: 1 });
        const stop = new AbortController();
        let reason = null, steps = 0;
        try {
          for await (const step of model.sample({ n: 50, steps: 100, signal: stop.signal })) {
            steps = step.k;
            if (step.k === 2) setTimeout(() => stop.abort(new Error("enough")));
          }
        } catch (error) { reason = error.message; }
        for await (const step of model.sample({ steps: 5 })) if (step.k === 1) break;
        let last = null;
        for await (const step of model.sample({ steps: 2 })) last = step.k;
        model.close();
        return { reason, steps, last };"""
    found = tab.run(code, file=file)
    assert found["reason"] == "enough"
    assert 2 <= found["steps"] < 100
    assert found["last"] == 2


def test_a_closed_model_says_so(tab: Tab, make: Any) -> None:
    file, _ = make()
    code = """
        const model = await Dino.load(file);
        model.close();
        try { await model.denoise(new Float32Array(3 * 16 * 16), 1); } catch (error) { return error.message; }"""
    assert tab.run(code, file=file) == "This model was closed."


def test_the_page_goes_on_while_the_network_works(tab: Tab) -> None:
    code = """
        const model = await Dino.load(file, { workers: 1 });
        let turns = 0, done = false;
        const turn = () => { turns++; if (!done) setTimeout(turn); };
        turn();
        await model.denoise(new Float32Array(8 * 3 * 32 * 32), 1);
        done = true;
        model.close();
        return turns;"""
    assert tab.run(code, file=PRETRAINED["pretrained-32"].read_bytes()) > 3


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_memory_stays_flat_over_many_pictures(browser: Any, folder: Path, tmp_path: Path, n: int) -> None:
    file, _ = new_file(tmp_path / "model.safetensors", vocabulary=WORDS, sets=SETS)
    tab = Tab(browser, (folder / "index.html").as_uri())
    tab.run("window.model = await Dino.load(file, { workers: 2 });", file=file)
    draw = """
        for (let k = 0; k < n; k++)
          for await (const step of model.sample({ n: 2, seed: k, steps: 8, words: "green" }));"""
    devtools = tab.context.new_cdp_session(tab.page)

    def used() -> int:
        devtools.send("HeapProfiler.collectGarbage")
        return tab.page.evaluate("performance.memory.usedJSHeapSize + model.memory")

    tab.run(draw, n=20)
    before = used()
    tab.run(draw, n=n)
    assert used() < before + 2e5  # a leak of one image in each step would be n * 16 * 3 kB
    assert not tab.problems
    tab.close()


# ---- refusals -------------------------------------------------------------------------------------------------------


def changed(file: bytes, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> bytes:
    """Return a file with another header. `change` gets the header, and the description of the network in it."""
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + length])
    description = json.loads(header["__metadata__"]["dino"])
    change(header, description)
    if "__metadata__" in header:
        header["__metadata__"]["dino"] = json.dumps(description)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + file[8 + length :]


def set_in(path: str, value: Any) -> Callable[[bytes], bytes]:
    """Return a change of one entry of the description."""

    def change(_header: dict[str, Any], description: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            description = description[parent]
        description[last] = value

    return lambda file: changed(file, change)


REFUSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an image": (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(100), "isn't a safetensors file"),
    "nothing": (lambda _: b"", "isn't a safetensors file"),
    "cut in its header": (lambda file: file[:200], "was cut short"),
    "cut in its weights": (lambda file: file[:-100], "was cut short"),
    "a header that is no JSON": (
        lambda file: file[:8] + file[8:].replace(b'"', b"'", 9), "header of this file is damaged",
    ),
    "of another program": (
        lambda file: changed(file, lambda header, _: header.pop("__metadata__")), "wasn't written by dino",
    ),
    "the state of a run": (set_in("kind", "state"), "holds no weights"),
    "of another version": (set_in("format", 9), "format 9, not 3"),
    "without a config": (set_in("metadata.config", None), "doesn't describe a network"),
    "of an impossible size": (set_in("metadata.config.size", 17), "doesn't describe a network"),
    "bfloat16": (
        lambda file: changed(file, lambda header, _: header["head.3.bias"].update(dtype="BF16")),
        "head.3.bias is stored as BF16",
    ),
    "of another network": (set_in("metadata.config.widths", [8, 8]), "isn't a network of dino's: down.1.0.weight"),
    "with a tensor too many": (
        lambda file: changed(file, lambda header, _: header.update(more=header["head.3.bias"])),
        "more is [3] and should be absent",
    ),
    "with a tensor too few": (
        lambda file: changed(file, lambda header, _: header.pop("head.3.bias")),
        "head.3.bias is absent and should be [3]",
    ),
    "with wrong offsets": (
        lambda file: changed(file, lambda header, _: header["head.3.bias"].update(data_offsets=[0, 4])),
        "another length than its header says",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "sentence"), REFUSED.values(), ids=REFUSED)
def test_any_other_file_is_refused_in_one_sentence(
    tab: Tab, make: Any, spoil: Callable[[bytes], bytes], sentence: str
) -> None:
    code = """
        try { await Dino.load(file); }
        catch (error) { return { text: error.message, known: error instanceof Dino.Problem }; }"""
    found = tab.run(code, file=spoil(make()[0]))
    assert sentence in found["text"]
    assert found["known"]
    assert "\n" not in found["text"]
    assert found["text"].endswith(".")


ERRORS = {
    "await model.denoise(new Float32Array(10), 1)": "10 numbers aren't images of 3 channels, 16 x 16",
    "await model.denoise(new Float32Array(3 * 15 * 15), 1, { height: 15, width: 15 })": "with sides divisible by 2",
    "for await (const step of model.sample({ steps: 0 })) {}": "at least 1 step, not 0",
    "for await (const step of model.sample({ spacing: 'odd' })) {}": "warped or even, not odd",
    "for await (const step of model.sample({ words: 'dragon' })) {}": "was trained without words",
}


@pytest.mark.parametrize(("code", "sentence"), ERRORS.items(), ids=ERRORS)
def test_an_impossible_wish_is_refused_in_one_sentence(tab: Tab, make: Any, code: str, sentence: str) -> None:
    body = f"""
        const model = await Dino.load(file);
        try {{ {code} }} catch (error) {{ return error.message; }} finally {{ model.close(); }}"""
    assert sentence in tab.run(body, file=make()[0])


def test_words_that_the_model_does_not_know_are_refused_with_those_it_knows(tab: Tab, make: Any) -> None:
    code = """
        const model = await Dino.load(file);
        try { model.conditionOf("dragon"); } catch (error) { return error.message; } finally { model.close(); }"""
    found = tab.run(code, file=make(vocabulary=WORDS)[0])
    assert found == "The model knows none of these words. It knows: stegosaurus, green, hat."


def test_a_browser_without_simd_gets_one_sentence(browser: Any, folder: Path) -> None:
    tab = Tab(browser, (folder / "index.html").as_uri(), script="WebAssembly.validate = () => false;")
    found = tab.run(
        "try { await Dino.load(new Uint8Array(100)); } catch (error) { return [error.message, Dino.obstacle()]; }"
    )
    assert found[0] == found[1]
    assert "lacks WebAssembly with SIMD" in found[0]
    assert not tab.problems
    tab.close()


# ---- where it runs --------------------------------------------------------------------------------------------------


def test_it_works_from_a_server_and_asks_it_for_nothing_but_the_page(browser: Any, folder: Path, make: Any) -> None:
    file, model = make()
    noisy = noise(1, 3, 16, 16)
    with served(folder) as address, torch.no_grad():
        tab = Tab(browser, f"{address}index.html")
        assert_close(
            tab.run("return (await (await Dino.load(file)).denoise(noisy, 1)).denoised", file=file, noisy=noisy),
            model(noisy, level(1)),
        )
        fetched = {url for url in tab.requests if not url.startswith("blob:")}
        assert fetched <= {f"{address}index.html", f"{address}dino.js", f"{address}favicon.ico"}
        assert not [problem for problem in tab.problems if "favicon" not in problem and "404" not in problem]
        tab.close()


def test_the_page_in_the_guide_draws(browser: Any, folder: Path, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "page.md").read_text(encoding="utf-8")
    example = re.search(r"```html\n(.*?)```", guide, flags=re.DOTALL)
    assert example
    (tmp_path / "dino.js").write_bytes((folder / "dino.js").read_bytes())
    (tmp_path / "index.html").write_text(f"<!doctype html>{example[1]}", encoding="utf-8")
    tab = Tab(browser, (tmp_path / "index.html").as_uri())
    tab.page.set_input_files("#file", PRETRAINED["pretrained-32"])
    is_white = "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1).data.every((c) => c > 240)"
    tab.page.wait_for_function(is_white)  # the corner of a finished picture
    assert not [problem for problem in tab.problems if "getImageData" not in problem]  # which this test calls
    tab.close()


# ---- the compiled module --------------------------------------------------------------------------------------------


def test_the_module_is_small_and_was_built_from_the_committed_source() -> None:
    assert ENGINE.stat().st_size < 50_000
    assert json.loads(build_engine.RECORD.read_text())["source"] == build_engine.source_fingerprint()


def test_the_installed_compiler_builds_the_committed_module(tab: Tab, make: Any) -> None:
    version, made_by = build_engine.compiler(), json.loads(build_engine.RECORD.read_text())["zig"]
    if version is None:
        pytest.skip("ziglang isn't installed: uv sync --group engine")
    module = build_engine.build()
    if version == made_by:
        assert module == ENGINE.read_bytes()
        return
    print(f"zig {version} isn't zig {made_by}, which built the module: comparing what both compute, not their bytes")
    file, model = make(widths=[5, 12])
    noisy = noise(1, 3, 16, 16)
    code = """
        const network = await Dino.Network.create(module, Dino.readModel(file));
        return network.predict({ noisy, height: 16, width: 16, noiseLevel: 0.5 });"""
    with torch.no_grad():
        assert_close(tab.run(code, module=module, file=file, noisy=noisy), model(noisy, level(0.5)))


def test_git_keeps_the_module_as_it_is() -> None:
    root = Path(__file__).parents[1]
    shown = subprocess.run(
        ["git", "check-attr", "text", "dino/web/engine.wasm"], cwd=root, capture_output=True, text=True, check=False
    )
    if shown.returncode:
        pytest.skip("this isn't a clone")
    assert shown.stdout.strip().endswith("unset")
