"""The lines that commands print: every score with its interval, n, gallery and chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eeg2music.report.words import DEMO, demo_summary, evaluation_summary, generate_summary, score_line

SCORE: dict[str, Any] = {
    "accuracy": 0.876, "ci95": [0.8, 0.95], "chance": 0.5, "top1": 0.25, "p_value": 0.0004, "n": 16, "gallery_size": 50,
}  # fmt: skip
SOUND: dict[str, Any] = {
    "mix": "mix.wav", "duration_s": 10.0, "loudness_lufs": -16.04, "real_time_factor": 0.312, "warnings": ["Careful."],
}  # fmt: skip


def test_a_score_never_stands_alone() -> None:
    line = score_line("brain", SCORE)
    for part in ("0.88", "[0.80, 0.95]", "top-1 0.25", "p 0.0004", "n 16", "gallery 50", "chance 0.50"):
        assert part in line
    assert "not measured" in score_line("brain", None)


def test_generate_says_notes_warnings_and_where() -> None:
    text = generate_summary({**SOUND, "notes": ["No positions."]}, Path("out"))
    assert text.splitlines()[:2] == ["No positions.", "Careful."]
    assert "out/mix.wav: 10.0 s, -16.0 LUFS, made in 3.1 s, 0.31 times its duration (real-time factor)" in text
    assert "out/report.html" in text


def test_demo_shows_the_brain_beside_its_controls() -> None:
    report = {
        **SOUND,
        "identification": {"embedding": SCORE, "generated": {**SCORE, "accuracy": 0.7}},
        "controls": {"shuffled": {"embedding": {**SCORE, "accuracy": 0.51}, "generated": None}, "no_brain": {
            "embedding": {**SCORE, "accuracy": 0.5}, "generated": {**SCORE, "accuracy": 0.49}}},
    }  # fmt: skip
    text = demo_summary(report, Path("out"))
    # The brain's two, shuffled's and, after generation, no brain's.
    assert text.count("pairwise") == 4
    assert "no_brain           no embedding: without a brain every song ties" in text
    assert text.splitlines()[-4] == "  not generated here: shuffled"
    assert "Careful." in text


def test_the_demos_warning_names_both_levels() -> None:
    assert "0 dB" in DEMO.format(snr=0.0, real=-37.0)
    assert "-37 dB" in DEMO.format(snr=0.0, real=-37.0)


def test_evaluation_shows_every_level_and_what_is_odd() -> None:
    level = {"name": "clean", "snr_db": 0.0, "scores": {"brain": {"embedding": SCORE, "generated": None}}}
    other = {"name": "real", "snr_db": -37.0, "scores": {"brain": {"embedding": SCORE, "generated": SCORE}}}
    level["scores"]["no_brain"] = {"embedding": {**SCORE, "accuracy": 0.5}, "generated": None}
    text = evaluation_summary({"levels": [level, other], "surprises": ["odd"]}, Path("out"))
    assert "no embedding: without a brain every song ties" in text and "0.50 [" not in text
    assert text.count("embedding (") == 2
    assert text.count("real (-37 dB), generated") == 1
    assert "clean (0 dB), generated" not in text
    assert "! odd" in text
    assert "out/scores.json" in text


def test_the_codec_has_no_line_among_the_embeddings() -> None:
    scores = {
        "brain": {"embedding": SCORE, "generated": SCORE, "seeds": [{}]},
        "codec": {"embedding": None, "generated": SCORE, "seeds": [{}]},
        "ridge": {"embedding": None, "generated": None, "why": "none is left", "seeds": []},
    }
    level = {"name": "clean", "snr_db": 0.0, "scores": scores}
    lines = evaluation_summary({"levels": [level], "surprises": []}, Path("out")).splitlines()
    assert [line.split()[0] for line in lines[:6]] == ["clean", "brain", "ridge", "clean", "brain", "codec"]
    assert "not measured" in lines[2]
