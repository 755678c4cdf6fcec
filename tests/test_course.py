"""Grading in the sandbox: every file of a learner's gets the right verdict, and the next exercise is unharmed."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dino.course.curriculum import LESSONS, N_EXERCISES, RENAMED, Course, Lesson, find_exercise, find_lesson
from dino.course.sandbox import Sandbox
from dino.course.stubs import exercise_source, stub
from dino.course.tutor import in_words

REPOSITORY = Course(Path(__file__).parents[1])
EXERCISES = [(lesson, exercise) for lesson in LESSONS for exercise in lesson.exercises]


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A copy of the course in which every lesson is solved."""
    root = tmp_path_factory.mktemp("course")
    for name in ("lessons", "solutions"):
        shutil.copytree(REPOSITORY.root / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY.root / "pyproject.toml", root)
    solved = Course(root)
    for lesson in LESSONS:
        shutil.copy(solved.solution(lesson), solved.lesson_file(lesson))
    return solved


@pytest.fixture(scope="module")
def sandbox(course: Course) -> Iterator[Sandbox]:
    # Seconds of processor time: every right answer takes less than one. The exercises that hang take all of it.
    with Sandbox(course, time_limit=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def patient_sandbox(course: Course) -> Iterator[Sandbox]:
    """A sandbox with the usual time limit, for what takes many seconds."""
    with Sandbox(course) as sandbox:
        yield sandbox


@pytest.fixture
def write(course: Course) -> Iterator[object]:
    """Put another text into a lesson's file. Afterwards the solution is put back."""
    changed = []

    def write(lesson: Lesson, text: str) -> None:
        changed.append(lesson)
        course.lesson_file(lesson).write_text(text)

    yield write
    for lesson in changed:
        shutil.copy(course.solution(lesson), course.lesson_file(lesson))


def solved_but(lesson: Lesson, exercise: str, code: str) -> str:
    """Return the solution of a lesson with other code for one exercise."""
    source = REPOSITORY.solution(lesson).read_text()
    return source.replace(exercise_source(source, exercise), code + "\n")


def ids(pairs: list[tuple[Lesson, str]]) -> list[str]:
    return [f"{lesson.exercise_number(exercise)}-{exercise}" for lesson, exercise in pairs]


# ---- stubs and solutions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES, ids=ids(EXERCISES))
def test_every_solution_passes(sandbox: Sandbox, lesson: Lesson, exercise: str) -> None:
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.passed, verdict
    assert not verdict.note


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])
def test_every_stub_fails_as_unwritten(sandbox: Sandbox, write, lesson: Lesson) -> None:
    write(lesson, stub(REPOSITORY, lesson))
    for exercise in lesson.exercises:
        assert sandbox.grade(lesson, exercise).outcome == "unwritten"


@pytest.mark.parametrize(("missing", "begun"), [("forward", True), ("__init__", True), ("both", False)])
def test_a_class_with_one_method_written_is_begun(sandbox: Sandbox, write, missing: str, begun: bool) -> None:
    lesson, exercise = find_exercise("Pool")
    bodies = {"__init__": "super().__init__()", "forward": "return x"}
    for name in bodies:
        if missing in (name, "both"):
            bodies[name] = "raise NotImplementedError"
    code = (
        f"class Pool(nn.Module):\n    def __init__(self, channels):\n        {bodies['__init__']}\n"
        f"    def forward(self, x):\n        {bodies['forward']}\n"
    )
    write(lesson, solved_but(lesson, exercise, code))
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.outcome == "unwritten"
    assert verdict.says == (f"begun: `{missing}` is not written yet" if begun else "not written yet")
    assert in_words(verdict)[0] == verdict.says


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])
def test_the_committed_lessons_are_the_stubs_of_the_solutions(lesson: Lesson) -> None:
    # The committed files, because those in the folder may be a learner's work.
    path = REPOSITORY.lesson_file(lesson).relative_to(REPOSITORY.root)
    found = subprocess.run(
        ["git", "show", f"HEAD:{path.as_posix()}"], cwd=REPOSITORY.root, capture_output=True, check=False
    )
    if found.returncode:
        pytest.skip("this copy of the course is no git repository")
    assert found.stdout.decode() == stub(REPOSITORY, lesson), (
        f"run dino reset {lesson.number}, then commit {path}: this test reads the committed file"
    )


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])
def test_in_a_file_that_raises_every_exercise_fails(sandbox: Sandbox, write, lesson: Lesson) -> None:
    write(lesson, "raise RuntimeError('nothing here')")
    for exercise in lesson.exercises:
        verdict = sandbox.grade(lesson, exercise)
        assert verdict.outcome == "unloaded"
        assert "RuntimeError: nothing here" in verdict.says
        assert verdict.where is not None
        assert "line 1" in verdict.where


def test_the_docs_count_the_exercises_right() -> None:
    pages = {path: path.read_text(encoding="utf-8") for path in (REPOSITORY.root / "docs").rglob("*.md")}
    counts = [(path.name, int(n)) for path, text in pages.items() for n in re.findall(r"\d+ of (\d+) in all", text)]
    assert counts
    assert [(name, n) for name, n in counts if n != N_EXERCISES] == []


# ---- mistakes, as learners write them -------------------------------------------------------------------------------

DRAWN = "generator=generator, device=clean.device)"
WRITTEN = {
    "tosses as places, in a loop": (
        "random_flip",
        "tosses_as_places",
        "def random_flip(images, *, generator=None):\n"
        "    new = images.clone()\n"
        "    for i in torch.randint(0, 2, (len(images),), generator=generator):\n"
        "        new[i] = images[i].flip(-1)\n"
        "    return new",
    ),
    "the last quarter, which no mistake is about": (
        "random_flip",
        None,
        "def random_flip(images, *, generator=None):\n"
        "    n = 3 * len(images) // 4\n"
        "    return torch.cat([images[:n], images[n:].flip(-1)])",
    ),
    "a bare row, in the first weight": (
        "mix",
        "bare_row",
        "def mix(clean, noise, noise_level):\n"
        "    level = noise_level.squeeze()\n"
        "    return (1 - level) * clean + level * noise",
    ),
    "Gaussian noise, then levels": (
        "add_noise",
        "gaussian_noise",
        "def add_noise(clean, *, generator=None):\n"
        f"    noise = torch.randn(clean.shape, {DRAWN}\n"
        f"    level = sample_noise_levels(len(clean), {DRAWN}\n"
        "    return mix(clean, noise, level), level",
    ),
    "levels, then Gaussian noise": (
        "add_noise",
        "gaussian_noise",
        "def add_noise(clean, *, generator=None):\n"
        f"    level = sample_noise_levels(len(clean), {DRAWN}\n"
        f"    noise = torch.randn(clean.shape, {DRAWN}\n"
        "    return mix(clean, noise, level), level",
    ),
    "a level for the mix and one to return": (
        "add_noise",
        "level_drawn_twice",
        "def add_noise(clean, *, generator=None):\n"
        f"    noise = torch.rand(clean.shape, {DRAWN}\n"
        f"    noisy = mix(clean, noise, sample_noise_levels(len(clean), {DRAWN})\n"
        f"    return noisy, sample_noise_levels(len(clean), {DRAWN}",
    ),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_mistake_is_recognized_as_learners_write_it(sandbox: Sandbox, write, name: str) -> None:
    exercise, mistake, code = WRITTEN[name]
    lesson, _ = find_exercise(exercise)
    write(lesson, solved_but(lesson, exercise, code))
    verdict = sandbox.grade(lesson, exercise)
    assert not verdict.passed
    assert verdict.mistake == mistake


@pytest.mark.parametrize(
    ("exercise", "code", "facts"),
    [
        (
            "center_square",
            "def center_square(image):\n    _, h, w = image.shape\n"
            "    if w > h:\n        return image[:, :, (w - h) // 2 :][:, :, :h]\n"
            "    if h > w:\n        return image[:, (h - w) // 2 :][:, :w]",
            "got None for an image that is already square (is a `return` missing?)",
        ),
        ("to_unit", "def to_unit(images_uint8):\n    return images_uint8.numpy()", "got an ndarray"),
        (
            "mix",
            "def mix(clean, noise, noise_level):\n    return clean.lerp_(noise, noise_level)",
            "expected `clean` unchanged, got `clean` changed in place",
        ),
        (
            "sample_noise_levels",
            "def sample_noise_levels(n, *, generator=None, device=None):\n"
            "    return torch.rand(1, generator=generator).expand(n, 1, 1, 1)",
            "got only 1 different value in 4,000 levels",
        ),
    ],
)
def test_the_facts_are_in_good_english(sandbox: Sandbox, write, exercise: str, code: str, facts: str) -> None:
    lesson, _ = find_exercise(exercise)
    write(lesson, solved_but(lesson, exercise, code))
    assert facts in sandbox.grade(lesson, exercise).facts


# ---- borrowed work --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])
@pytest.mark.parametrize("package", ["dino", "solutions"])
def test_a_lesson_that_re_exports_is_refused(sandbox: Sandbox, write, lesson: Lesson, package: str) -> None:
    if package == "dino":
        write(lesson, f"from dino.{lesson.name} import *\n")
    else:
        path = REPOSITORY.solution(lesson)
        write(lesson, f"import runpy\nglobals().update(runpy.run_path({str(path)!r}))\n")
    for exercise in lesson.exercises:
        verdict = sandbox.grade(lesson, exercise)
        assert verdict.outcome == "borrowed"
        assert "must be your own work" in verdict.says


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES, ids=ids(EXERCISES))
def test_an_answer_that_calls_the_reference_is_refused(sandbox: Sandbox, write, lesson: Lesson, exercise: str) -> None:
    if exercise[0].isupper():
        code = f"import dino.{lesson.name}\nclass {exercise}(dino.{lesson.name}.{exercise}):\n    pass\n"
    else:
        code = (
            f"import importlib\n\n\ndef {exercise}(*args, **options):\n"
            f"    return importlib.import_module('dino.{lesson.name}').{exercise}(*args, **options)\n"
        )
    write(lesson, solved_but(lesson, exercise, code))
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.outcome == "borrowed"
    assert "must be your own work" in verdict.says


@pytest.mark.parametrize(
    "code",
    [
        "mix = torch.lerp",
        "from functools import partial\nmix = partial(torch.lerp)",
        "exec('def mix(clean, noise, noise_level):\\n    return torch.lerp(clean, noise, noise_level)')",
        "import inspect, dino.noise\nexec(inspect.getsource(dino.noise.mix))",
    ],
)
def test_an_answer_that_is_written_elsewhere_is_refused(sandbox: Sandbox, write, code: str) -> None:
    lesson, exercise = find_exercise("mix")
    write(lesson, solved_but(lesson, exercise, code))
    assert "must be your own work" in sandbox.grade(lesson, exercise).says


SOLUTION = REPOSITORY.solution(find_lesson("04"))
CALLING = {  # ways to another answer: the first lines, and an expression for the module or the function
    "the package": ("import dino", "dino.sampler.generate"),
    "a public name": ("import dino", "dino.generate"),
    "a public name, imported": ("from dino import generate as theirs", "theirs"),
    "a module, imported": ("from dino import sampler", "sampler.generate"),
    "a function, imported": ("from dino.sampler import generate as theirs", "theirs"),
    "importlib": ("import importlib", "importlib.import_module('dino.sampler').generate"),
    "the loaded modules": ("import dino.sampler, sys", "sys.modules['dino.sampler'].generate"),
    "another import": (
        "import dino.sampler, importlib, sys",
        "(sys.modules.pop('dino.sampler'), importlib.import_module('dino.sampler'))[1].generate",
    ),
    "a reload": ("import dino.sampler, importlib", "importlib.reload(dino.sampler).generate"),
    "the file of the reference": ("import dino, runpy", "runpy.run_path(dino.__path__[0] + '/sampler.py')['generate']"),
    "a module that imports it": (
        "import dino.trainer.batched_sampling as trainer",
        "lambda model, n, **options: list(trainer.denoise(model, torch.rand(n, *options['image_shape']), [1, 0]))",
    ),
    "the solution": ("import runpy", f"runpy.run_path({str(SOLUTION)!r})['generate']"),
    "the solution as a module": (
        f"import importlib, sys\nsys.path.append({str(REPOSITORY.root)!r})",
        "importlib.import_module('solutions.04.sampler').generate",
    ),
    "the text of the solution": (
        "import pathlib",
        f"(names := {{}}, exec(pathlib.Path({str(SOLUTION)!r}).read_text(), names))[0]['generate']",
    ),
}


@pytest.mark.parametrize("name", CALLING)
def test_an_answer_that_finds_another_answer_is_refused(sandbox: Sandbox, write, name: str) -> None:
    lesson, exercise = find_exercise("generate")
    first, found = CALLING[name]
    code = f"{first}\n\n\ndef generate(*args, **options):\n    return ({found})(*args, **options)"
    write(lesson, solved_but(lesson, exercise, code))
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.outcome == "borrowed", verdict
    assert verdict.says.startswith("`generate` must be your own work, and it "), verdict
    assert sandbox.grade(lesson, "remix").passed


@pytest.mark.parametrize("answer", ["return dino.sampler.denoise(*args)", "yield from dino.sampler.denoise(*args)"])
def test_a_generator_that_borrows_is_refused_however_late_it_runs(sandbox: Sandbox, write, answer: str) -> None:
    lesson, exercise = find_exercise("denoise")
    code = f"import dino.sampler\n\n\ndef denoise(model, noisy, schedule, step_size=2.0):\n    {answer}"
    write(lesson, solved_but(lesson, exercise, code.replace("*args", "model, noisy, schedule, step_size")))
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.says == "`denoise` must be your own work, and it calls `denoise` of dino/sampler.py."


def test_a_class_that_calls_the_methods_of_the_reference_is_refused(sandbox: Sandbox, write) -> None:
    lesson, exercise = find_exercise("Pool")
    code = (
        "import dino.denoiser\n\n\nclass Pool(nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n"
        "        self.theirs = dino.denoiser.Pool(channels)\n"
        "    def forward(self, x):\n        return self.theirs(x)\n"
    )
    write(lesson, solved_but(lesson, exercise, code))
    assert (
        sandbox.grade(lesson, exercise).says == "`Pool` must be your own work, and it calls `Pool` of dino/denoiser.py."
    )
    code = code.replace("self.theirs = dino.denoiser.Pool(channels)", "self.mlp = nn.Identity()")
    write(lesson, solved_but(lesson, exercise, code.replace("self.theirs(x)", "dino.denoiser.Pool.forward(self, x)")))
    assert sandbox.grade(lesson, exercise).outcome == "borrowed"


def test_a_file_that_calls_the_reference_when_it_is_loaded_is_refused(sandbox: Sandbox, write) -> None:
    lesson = find_lesson("04")
    code = REPOSITORY.solution(lesson).read_text()
    write(lesson, f"{code}\nimport dino.sampler\nLEVELS = dino.sampler.noise_schedule(4)\n")
    verdict = sandbox.grade(lesson, "remix")
    assert verdict.outcome == "borrowed"
    assert verdict.says == "`remix` must be your own work, and it calls `noise_schedule` of dino/sampler.py."


def test_importing_the_reference_or_calling_another_lesson_is_not_borrowing(sandbox: Sandbox, write) -> None:
    lesson, exercise = find_exercise("noise_schedule")
    code = (
        "import dino.sampler\nfrom dino import sampler\nfrom dino.noise import mix\n"
        "from dino.sampler import noise_schedule as theirs\n\n\n"
        "def noise_schedule(n_steps):\n    if n_steps < 1:\n        raise ValueError\n"
        "    mix(torch.zeros(1), torch.ones(1), torch.ones(1))\n    return torch.linspace(1, 0, n_steps + 1)\n"
    )
    write(lesson, solved_but(lesson, exercise, code))
    assert sandbox.grade(lesson, exercise).passed


# ---- misbehaving answers --------------------------------------------------------------------------------------------

MISBEHAVING = {
    "hangs": ("while True:\n        pass", "stopped", "still running"),
    "hangs and prints": ("while True:\n        print('x' * 1000)", "broken", "20,000,000 characters"),
    "hangs and prints little": ("while True:\n        print()", "broken", "1,000,000 pieces of text"),
    "hangs and catches all": (
        "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "stopped",
        "still running",
    ),
    "sleeps": ("import time\n    time.sleep(1000)", "stopped", "does it wait for something?"),
    "exits": ("import sys\n    sys.exit(0)", "broken", "exit()"),
    "exits at once": ("import os\n    os._exit(0)", "stopped", "ended Python"),
    "crashes": ("import ctypes\n    ctypes.string_at(0)", "stopped", "ended Python"),
    "floods below Python": (
        "import os\n    for _ in range(5000): os.write(1, b'x' * 1000); os.write(2, b'{}')\n    return clean",
        "wrong",
        "",
    ),
    "recurses": ("return mix(clean, noise, noise_level)", "broken", "RecursionError"),
    "asks": ("return input('level?')", "broken", "EOFError"),
    "stops at a breakpoint": ("breakpoint()\n    return clean", "broken", "breakpoint"),
    "raises": ("raise ValueError('no\\nidea')", "broken", "ValueError: no"),
    "raises oddly": ("raise KeyboardInterrupt", "broken", "KeyboardInterrupt"),
    "changes its input": (
        "return clean.lerp_(noise, noise_level)",
        "wrong",
        "belongs to the caller and must not change",
    ),
    "answers in another dtype": ("return torch.lerp(clean, noise, noise_level).half()", "wrong", "dtype"),
    "answers nothing": ("torch.lerp(clean, noise, noise_level)", "wrong", "must be a tensor"),
    "answers a list": ("return torch.lerp(clean, noise, noise_level).tolist()", "wrong", "must be a tensor"),
    "answers nan": ("return clean * float('nan')", "wrong", "finite"),
    "reseeds": ("torch.manual_seed(0)\n    return torch.lerp(clean, noise, noise_level)", "wrong", "as it was"),
    "patches torch": (
        "torch.lerp = lambda a, b, w: a\n    return clean + noise_level * (noise - clean)",
        "wrong",
        "as it was",
    ),
    "patches a tensor": (
        "torch.Tensor.lerp = lambda a, b, w: a\n    return clean + noise_level * (noise - clean)",
        "wrong",
        "as it was",
    ),
    "patches dino": (
        "import dino.noise\n    dino.noise.mix = None\n    return clean + noise_level * (noise - clean)",
        "wrong",
        "as it was",
    ),
    "patches the grader": (
        "import dino.course.grader.expect as e\n    e.expect_close = lambda *a, **k: None\n    return clean * 0 + 1",
        "wrong",
        "",
    ),
    "changes the default dtype": (
        "torch.set_default_dtype(torch.float64)\n    return torch.lerp(clean, noise, noise_level)",
        "wrong",
        "as it was",
    ),
    "changes the default device": (
        "torch.set_default_device('meta')\n    return torch.lerp(clean, noise, noise_level)",
        "wrong",
        "as it was",
    ),
    "leaves inference mode on": (
        "global kept\n    kept = torch.inference_mode()\n    kept.__enter__()\n"
        "    return torch.lerp(clean, noise, noise_level)",
        "wrong",
        "as it was",
    ),
    "puts the watchdog to sleep": (
        "import faulthandler, signal\n    faulthandler.cancel_dump_traceback_later()\n"
        "    signal.setitimer(signal.ITIMER_PROF, 0)\n    while True: pass",
        "stopped",
        "still running",
    ),
    "sweeps temporary folders": (
        "import glob, shutil, tempfile\n"
        "    for path in glob.glob(tempfile.gettempdir() + '/dino-sandbox-*'): shutil.rmtree(path)\n"
        "    return clean",
        "wrong",
        "",
    ),
    "raises an error without a message": (
        "class Mute(Exception):\n        def __str__(self): raise ValueError\n    raise Mute",
        "broken",
        "Mute",
    ),
    "raises escape codes": ("raise ValueError('\\x1b[2Jgone' * 1000)", "broken", "ValueError: ?[2Jgone"),
    "switches gradients off": (
        "torch.set_grad_enabled(False)\n    return torch.lerp(clean, noise, noise_level)",
        "wrong",
        "as it was",
    ),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_a_misbehaving_answer_is_reported_and_the_next_exercise_is_unharmed(sandbox: Sandbox, write, name: str) -> None:
    body, outcome, words = MISBEHAVING[name]
    lesson, exercise = find_exercise("mix")
    code = f"def mix(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:\n    {body}"
    write(lesson, solved_but(lesson, exercise, code))
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.outcome == outcome, verdict
    assert words in verdict.says + verdict.rule + verdict.facts, verdict
    assert "\n" not in verdict.says
    if name in ("hangs", "sleeps", "raises", "recurses", "asks", "exits"):
        assert verdict.where is not None, verdict
        assert "lessons/01/noise.py, line" in verdict.where
    assert sandbox.grade(lesson, "sample_noise_levels").passed


UNLOADABLE = {
    "a syntax error": ("def mix(clean:\n", "SyntaxError"),
    "a missing library": ("import no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library'"),
    "a missing name": ("from dino.noise import no_such_name\n", "ImportError"),
    "an exit": ("import sys\nsys.exit(3)\n", "exit()"),
    "an endless loop": ("while True:\n    pass\n", "still running"),
    "a flood": ("while True:\n    print('again' * 100)\n", "printed more than"),
    "nothing": ("", "There is no `mix`"),
    "tabs and spaces": ("def mix(clean):\n\tpass\n        pass\n", "Error"),
    "a NUL": ("x = '\0'", "Error"),
}


@pytest.mark.parametrize("change", ["a byte order mark", "CRLF", "another encoding", "tabs"])
def test_a_right_file_passes_however_it_was_saved(sandbox: Sandbox, write, course: Course, change: str) -> None:
    lesson = find_lesson("01")
    text = course.solution(lesson).read_text()
    write(lesson, text)
    saved = {
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
        "CRLF": text.replace("\n", "\r\n").encode(),
        "another encoding": ("# coding: latin-1\n# \u00e9\n" + text).encode("latin-1"),
        "tabs": text.replace("    ", "\t").encode(),
    }
    course.lesson_file(lesson).write_bytes(saved[change])
    for exercise in lesson.exercises:
        assert sandbox.grade(lesson, exercise).passed


@pytest.mark.parametrize("name", UNLOADABLE)
def test_a_file_that_can_not_be_loaded_is_reported(sandbox: Sandbox, write, name: str) -> None:
    text, words = UNLOADABLE[name]
    lesson = find_lesson("01")
    write(lesson, text)
    verdict = sandbox.grade(lesson, "mix")
    assert not verdict.passed
    assert words in verdict.says, verdict


def test_a_binary_file_is_reported(sandbox: Sandbox, write, course: Course) -> None:
    lesson = find_lesson("01")
    write(lesson, "")
    course.lesson_file(lesson).write_bytes(b"\xff\xfe\x00")
    assert "Error" in sandbox.grade(lesson, "mix").says


def test_a_missing_file_is_reported(sandbox: Sandbox, write, course: Course) -> None:
    lesson = find_lesson("01")
    write(lesson, "")
    course.lesson_file(lesson).unlink()
    verdict = sandbox.grade(lesson, "mix")
    assert "There is no file lessons/01/noise.py" in verdict.says
    assert "dino reset 01" in verdict.facts


def test_output_of_an_answer_is_kept(sandbox: Sandbox, write) -> None:
    lesson, exercise = find_exercise("mix")
    code = "def mix(clean, noise, noise_level):\n    print('level', noise_level.shape)\n    return clean"
    write(lesson, solved_but(lesson, exercise, code))
    assert "level torch.Size([6, 1, 1, 1])" in sandbox.grade(lesson, exercise).printed


def test_a_missing_exercise_is_reported_with_a_similar_name(sandbox: Sandbox, write) -> None:
    lesson = find_lesson("03")
    text = REPOSITORY.solution(lesson).read_text()
    write(lesson, text.replace("def train_step(", "def trainstep("))
    says = sandbox.grade(lesson, "train_step").says
    assert says == "There is no `train_step` in lessons/03/training.py. Did you mean `trainstep`?"
    write(lesson, text.replace("def train_step(", "def step("))
    assert sandbox.grade(lesson, "train_step").says == "There is no `train_step` in lessons/03/training.py."


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_exercise_with_its_old_name_is_still_graded(sandbox: Sandbox, write, old: str, new: str) -> None:
    lesson, exercise = find_exercise(old)
    assert exercise == new
    text = REPOSITORY.solution(lesson).read_text()
    assert f"def {new}(" in text
    write(lesson, text.replace(new, old))
    verdict = sandbox.grade(lesson, exercise)
    assert verdict.passed, verdict
    assert not verdict.note


def test_a_wrong_signature_is_reported_with_the_expected_call(sandbox: Sandbox, write) -> None:
    lesson, exercise = find_exercise("mix")
    write(lesson, solved_but(lesson, exercise, "def mix(clean, noise):\n    return clean"))
    verdict = sandbox.grade(lesson, exercise)
    assert "can't be called as the course calls it" in verdict.says
    assert "mix(clean, noise, noise_level)" in verdict.facts


def test_one_mistake_does_not_count_twice(sandbox: Sandbox, write) -> None:
    # `add_noise` calls `mix`, which is wrong here, so it is graded with the reference's `mix`.
    lesson, _ = find_exercise("mix")
    write(lesson, solved_but(lesson, "mix", "def mix(clean, noise, noise_level):\n    return clean"))
    assert sandbox.grade(lesson, "mix").outcome == "wrong"
    verdict = sandbox.grade(lesson, "add_noise")
    assert verdict.passed
    assert "in place of others" in verdict.note


def test_an_endless_loop_in_one_exercise_does_not_fail_another(sandbox: Sandbox, write) -> None:
    lesson, _ = find_exercise("mix")
    write(lesson, solved_but(lesson, "mix", "def mix(clean, noise, noise_level):\n    while True:\n        pass"))
    verdict = sandbox.grade(lesson, "add_noise")
    assert verdict.passed
    assert "in place of others" in verdict.note


def test_time_in_which_an_answer_computes_nothing_does_not_count_against_it(sandbox: Sandbox, write) -> None:
    # As on a computer that is busy with something else. More than the limit of 5 seconds, and far less than 3 times it.
    lesson = find_lesson("01")
    write(lesson, f"import time\ntime.sleep(5.5)\n{REPOSITORY.solution(lesson).read_text()}")
    assert sandbox.grade(lesson, "mix").passed


# ---- integration ----------------------------------------------------------------------------------------------------

BUGS = {
    "00": ("to_unit", "def to_unit(images_uint8):\n    return images_uint8.float() / 127.5 - 1"),
    "01": ("mix", "def mix(clean, noise, noise_level):\n    return torch.lerp(noise, clean, noise_level)"),
    "03": (
        "denoising_loss",
        "def denoising_loss(model, clean, *, generator=None):\n"
        "    noisy, noise_level = add_noise(clean, generator=generator)\n"
        "    return (model(noisy, noise_level) - noisy).square().mean()",
    ),
    "04": (
        "remix",
        "def remix(noisy, guess, noise_level, next_level):\n    return torch.lerp(noisy, guess, next_level)",
    ),
}


def test_the_solutions_pass_the_integration_check(patient_sandbox: Sandbox) -> None:
    report = patient_sandbox.check_integration()
    assert report["passed"], report


@pytest.mark.parametrize("number", BUGS)
def test_a_bug_in_one_lesson_fails_only_there_and_in_the_integration_check(
    sandbox: Sandbox, patient_sandbox: Sandbox, write, number: str
) -> None:
    exercise, code = BUGS[number]
    lesson = find_lesson(number)
    write(lesson, solved_but(lesson, exercise, code))
    assert not sandbox.grade(lesson, exercise).passed
    for later in LESSONS[LESSONS.index(lesson) + 1 :]:
        for name in later.exercises:
            assert sandbox.grade(later, name).passed
    report = patient_sandbox.check_integration()
    assert not report["passed"]
    assert f"It comes from lesson {number} (" in report["says"], report
    assert " or lesson" not in report["says"], report
