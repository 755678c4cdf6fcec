"""Reports hold valid JSON, and numbers that can't be known are explained in words."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from dino.reports.report import in_words, known, number, with_nulls, write
from scripts.benchmarks import sampling, time_to_quality


def strictly(text: str) -> Any:
    """Parse JSON as other languages do, which know no NaN and no Infinity."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_nan_and_infinity_become_null_and_each_has_a_reason(tmp_path: Path) -> None:
    report = {
        "command": "dino x", "date": "2026-01-01", "loss": math.nan, "rows": [{"rate": 1.5}, {"rate": math.inf}],
        "pair": (-math.inf, 2.0), "variety": None, "unknown": {"variety": "there is only one image"},
    }  # fmt: skip
    write(report, tmp_path / "x.json", "| a |", {"b": "c"}, Figure())
    found = strictly((tmp_path / "x.json").read_text())
    assert (found["loss"], found["rows"], found["pair"]) == (None, [{"rate": 1.5}, {"rate": None}], [None, 2.0])
    assert found["unknown"] == {
        "loss": "the measurement gave nan", "rows.1.rate": "the measurement gave inf",
        "pair.0": "the measurement gave -inf", "variety": "there is only one image",
    }  # fmt: skip
    page = (tmp_path / "x.md").read_text()
    assert "- not finite: loss, because the measurement gave nan; rate, because the measurement gave inf; 0, " in page


def test_a_report_without_such_numbers_stays_as_it_is(tmp_path: Path) -> None:
    report = {"command": "dino x", "date": "2026-01-01", "loss": 0.25, "names": ["a"], "held_out": None}
    assert with_nulls(report) == report | {"unknown": {}}
    write(report, tmp_path / "x.json", "| a |", {}, Figure())
    assert "not finite" not in (tmp_path / "x.md").read_text()


def test_a_number_that_is_not_finite_is_printed_as_unknown() -> None:
    assert [number(value, ".2f") for value in (1.0, None, math.nan, math.inf)] == [
        "1.00",
        "unknown",
        "unknown",
        "unknown",
    ]
    assert [known(value) for value in (0.0, math.nan, -math.inf)] == [0.0, None, None]


def test_numbers_that_are_unknown_for_one_reason_share_a_sentence() -> None:
    reasons = {"sample_stats.variety": "a is b", "sample_stats.detail": "c", "kid_std": "a is b"}
    assert in_words(reasons) == "variety, kid std, because a is b; detail, because c"


# ---- the benchmarks -------------------------------------------------------------------------------------------------


def measured(*losses: float | None) -> list[time_to_quality.Measured]:
    return [{"images": 10 * k, "seconds": float(k), "loss": loss} for k, loss in enumerate(losses, start=1)]


def test_a_race_of_one_run_each_has_no_deviation_and_says_so() -> None:
    report = time_to_quality.compare({"muon": [measured(0.3, 0.1)], "adamw": [measured(0.4, 0.2)]})
    assert [recipe["deviation"] for recipe in report["recipes"]] == [None, None]
    assert report["unknown"] == dict.fromkeys(
        ("muon.deviation", "adamw.deviation"), "one run has no standard deviation"
    )
    assert "0.10000 |" in time_to_quality.markdown(report)


def test_a_race_in_which_a_recipe_diverges_has_no_nan() -> None:
    runs = {"muon": [measured(0.3, 0.1), measured(0.2, 0.1)], "adamw": [measured(0.4, None), measured(None, 0.05)]}
    report = time_to_quality.compare(runs)
    muon, adamw = report["recipes"]
    assert (muon["deviation"], adamw["loss"], adamw["deviation"]) == (0, None, None)
    assert adamw["seconds_to_target"] == [None, 2.0]
    assert report["unknown"] == {"adamw.loss": "a run diverged, and its loss isn't finite"}
    for page in (time_to_quality.markdown(report), str(with_nulls(report))):
        assert "nan" not in page
    reversed_report = time_to_quality.compare(dict(reversed(runs.items())))
    assert reversed_report["target"] is None
    assert reversed_report["recipes"][1]["seconds_to_target"] == [None, None]
    facts = time_to_quality.facts(reversed_report | {"data": "dinos", "seeds": 2})
    assert facts["target"].startswith("unknown, the last loss of adamw")


def test_errors_of_0_have_no_order_and_images_without_details_no_ratio() -> None:
    assert sampling.order([1 / n for n in sampling.STEPS_PARTWAY]) == pytest.approx(1)
    assert sampling.order([0.1, 0.01, 0.0, 0.0]) is None
    assert sampling.ratio(0.1, 0.2) == 0.5
    assert sampling.ratio(0.1, 0.0) is None
