"""Controls of a manifest sit where they should, or it is said which does not; of other names nothing is expected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music import cli
from eeg2music.evaluation.config import CONDITIONS
from eeg2music.evaluation.outside.page import summary, tables_of
from eeg2music.evaluation.outside.run import ScoreConfig, run_score

N, DIM = 24, 6


def scored(folder: Path, noise: dict[str, float | None], styles: int = 1, **header: Any) -> dict[str, Any]:
    """Scores of conditions that hold what was heard and noise, or (None) know nothing of it."""
    rng = np.random.default_rng(0)
    heard = rng.standard_normal((N, DIM))
    made = [
        rng.standard_normal(heard.shape) if share is None else heard + share * rng.standard_normal(heard.shape)
        for share in noise.values()
    ]
    np.save(folder / "heard.npy", heard)
    np.save(folder / "made.npy", np.concatenate(made))
    rows = [
        {"row": N * place + n, "reference": n, "condition": condition, "style": f"style {n % styles}"}
        for place, condition in enumerate(noise)
        for n in range(N)
    ]
    (folder / "clips.jsonl").write_text("\n".join(map(json.dumps, rows)))
    values = {"array": "made.npy", "reference_array": "heard.npy", "embedding": "muq", "conditioned_on": [], **header}
    (folder / "clips.json").write_text(json.dumps(values))
    config = ScoreConfig(permutations=200, allow_circular=True)
    return run_score(folder / "clips.jsonl", folder / "out", config, device="cpu")


def test_controls_that_sit_where_they_should(tmp_path: Path) -> None:
    """Each of the two is one expectation, and that the brain is not above the oracle is a third."""
    scores = scored(tmp_path, {"brain": 0.5, "shuffled": None, "oracle": 0.1})
    assert (scores["surprises"], scores["expectations"], scores["unknown"]) == ([], 3, [])
    assert scores["at_chance"] == {"judged": 1, "missed": 0}
    line = (
        "Of 3 expectations of controls (shuffled, oracle) 0 were not met. 1 is a test at 5 % of whether a control is "
        "at chance: 0 not met, where chance alone misses about 0.05; the other 2 (ceilings, bounds, differences) it "
    )
    assert line in summary(scores, tmp_path) and line in (tmp_path / "out" / "scores.md").read_text()


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ({"brain": 0.5, "shuffled": 0.3}, "muq: shuffled (generated) should be at chance 0.50 but has"),
        ({"brain": 0.5, "random_encoder": 0.5}, "muq: random encoder (generated) should be at chance"),
        ({"brain": 0.5, "oracle": None}, "muq: oracle (generated) should be above chance"),
        ({"brain": 0.1, "oracle": 2.0}, "muq: brain (generated) should not be above the oracle but is, by +"),
        ({"brain": 0.5, "genre_oracle": 0.3}, "muq: genre oracle (generated) should be at 0.500 but has"),
    ],
)
def test_a_control_elsewhere_is_said_in_words(tmp_path: Path, noise: dict[str, float | None], said: str) -> None:
    scores = scored(tmp_path, noise)
    assert any(text.startswith(said) for text in scores["surprises"])
    text = (tmp_path / "out" / "scores.md").read_text()
    assert said in text and said in (tmp_path / "out" / "card.md").read_text() and said in summary(scores, tmp_path)


def test_names_that_are_not_known_are_scored_and_nothing_is_expected(tmp_path: Path) -> None:
    scores = scored(tmp_path, {"brain": 0.5, "my_variant": 0.1})
    assert (scores["surprises"], scores["expectations"], scores["unknown"]) == ([], 0, ["my_variant"])
    assert scores["scores"]["my_variant"]["muq"]["identification"]["n"] == N
    text = summary(scores, tmp_path)
    assert "No control was judged" in text and "Nothing is expected of 'my_variant'" in text
    (controls,) = [table for table in tables_of(scores) if table["title"] == "What the controls are"]
    assert {len(row) for row in controls["rows"]} == {len(controls["heads"])}
    assert controls["rows"][-1][0] == "my_variant" and controls["rows"][-1][-1].startswith("nothing")


def test_in_the_space_that_conditioned_the_oracle_is_certain(tmp_path: Path) -> None:
    """An oracle of 0.9 is a fault there, and none of generated music."""
    noise: dict[str, float | None] = {"brain": 1.0, "oracle": 0.8}
    assert scored(tmp_path, noise)["surprises"] == []
    (said,) = scored(tmp_path, noise, conditioned_on=["muq"])["surprises"]
    assert said.startswith("muq: oracle (embedding) should be 1 but has")


def test_of_generated_music_of_several_styles_no_perfect_guess_is_expected(tmp_path: Path) -> None:
    noise: dict[str, float | None] = {"brain": 0.5, "genre_oracle": 0.3}
    assert scored(tmp_path, noise, styles=3)["expectations"] == 0
    assert (
        "genre oracle (embedding) should be at 0.848"
        in scored(tmp_path, noise, 3, conditioned_on=["muq"])["surprises"][0]
    )


def test_the_help_names_every_control_and_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from eeg2music.evaluation.outside.manifest import Header, Row

    monkeypatch.setattr("sys.argv", ["eeg2music", "score", "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    printed = capsys.readouterr().out
    for name in (*CONDITIONS, *Row.model_fields, *Header.model_fields):
        assert name in printed, name
