"""Prepared recordings: taught by a second cache that shares nothing; scored by the mix where songs have no stems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eeg2music.audio import read_audio
from eeg2music.errors import ConfigError, DataError, LeakError
from eeg2music.evaluation.baselines import Baselines, Recorded
from eeg2music.evaluation.brain import Evidence, curves_score, embedding_score
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig, SoundsConfig
from eeg2music.evaluation.heard import audio_conditions, condition_vectors
from eeg2music.evaluation.lesson import FitConfig
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.prepared_lesson import read_lesson
from eeg2music.evaluation.prepared_material import prepared_heard
from eeg2music.evaluation.runner import check_evaluation, run_evaluation
from eeg2music.evaluation.units import Unit
from eeg2music.pipeline import SamplingConfig, load_pipeline
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS

WriteCache = Callable[..., Path]
WITH_MIX = (*STEMS, "mix")
MIX_ALONE = ("mix",)
SCORED, TAUGHT = ("one", "two", "three"), ("four", "five", "six", "seven", "eight")
GENRES = {"one": "jazz", "two": "folk", "three": "jazz"} | dict(
    zip(TAUGHT, ["jazz", "folk"] * 2 + ["jazz"], strict=True)
)
FIT = FitConfig(songs=8, listeners=2, songs_each=8, prepared="lesson")


class Ear:
    """Stands for a CLAP."""

    def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(audio, n=24_000).abs()[:, :1536].reshape(len(audio), 128, -1).mean(-1)
        return torch.nn.functional.normalize(spectrum.log1p() + 1e-3, dim=-1)


def rows(subjects: tuple[str, ...], songs: tuple[str, ...]) -> list[tuple[str, str, float, int]]:
    """Every subject hears every song; windows of 5 s, 1 s into it."""
    return [
        (who, song, 0.5 + 5.5 * place - 1.0, round((0.5 + 5.5 * place) * EEG_RATE_HZ))
        for who in subjects
        for place, song in enumerate(songs)
    ]


@pytest.fixture
def caches(write_cache: WriteCache) -> Callable[..., tuple[Path, FitConfig]]:
    """What is scored, and what may be learnt from."""

    def build(
        stems: tuple[str, ...] = WITH_MIX, who: tuple[str, ...] = ("sub-c", "sub-d"), songs: tuple[str, ...] = TAUGHT
    ) -> tuple[Path, FitConfig]:
        scored = write_cache(rows(("sub-a", "sub-b"), SCORED), stems=stems, noise=True)
        lesson = write_cache(rows(who, songs), stems=stems, noise=True, name="lesson")
        return scored, FIT.model_copy(update={"prepared": str(lesson)})

    return build


def evidence_of(cache: Path, checkpoint: Path, genres: dict[str, str]) -> Evidence:
    heard = prepared_heard(cache, genres=genres)
    return Evidence(load_pipeline(checkpoint, "cpu"), heard, None, audio_conditions(Ear(), heard.stems), None, seed=0)


# -- a second cache to learn from --------------------------------------------------------------


def test_the_controls_that_learn_are_taught_by_the_second_cache(caches: Any, tiny_checkpoint: Path) -> None:
    scored, fit = caches()
    evidence = evidence_of(scored, tiny_checkpoint, GENRES)
    assert evidence.heard.styles == ("jazz", "folk", "jazz")
    taught = Baselines(Ear(), Recorded(scored, GENRES), fit)
    given = {}
    for name in ("ridge", "genre_oracle", "signal_blind"):
        known = taught.conditions(name, evidence, None)
        assert embedding_score(known.conditions, evidence)["n"] == 6, name
        given[name] = known.given
    assert given["ridge"]["listeners"] == ["sub-c", "sub-d"] and given["ridge"]["windows"] == 10
    assert "10 windows of 5 other songs of 2 styles by 2 other listeners in another cache" in given["ridge"]["words"]
    assert given["genre_oracle"]["expected"] == pytest.approx((0.75 + 0.75 + 1.0) / 3)
    assert given["signal_blind"]["words"].startswith("style, listener and position")


def test_without_genres_metadata_have_no_style_and_the_genre_oracle_says_so(caches: Any, tiny_checkpoint: Path) -> None:
    scored, fit = caches()
    evidence = evidence_of(scored, tiny_checkpoint, {})
    taught = Baselines(Ear(), Recorded(scored, {}), fit)
    with pytest.raises(DataError, match="the genres of the songs are not known"):
        taught.conditions("genre_oracle", evidence, None)
    assert taught.conditions("signal_blind", evidence, None).given["words"].startswith("listener and position")


def test_windows_of_the_lesson_do_not_overlap_and_listeners_share_stretches(write_cache: WriteCache) -> None:
    scored = write_cache(rows(("sub-a",), ("one",)), stems=WITH_MIX)
    overlapping = [("sub-c", "four", 1.0, 64 + step) for step in (0, 160, 192)]
    late = ("sub-d", "four", 2.01, 128)  # of the same stretch, to within a step
    lesson = write_cache([*overlapping, late, ("sub-d", "four", 2.01, 220)], stems=WITH_MIX, name="lesson")
    found = read_lesson(Ear(), lesson, scored, FIT, {}, mix_only=False)
    assert [(window.subject, window.start_s) for window in found.windows] == [("sub-c", 1.0), ("sub-d", 2.0)]
    assert found.rows == (0, 0) and found.lesson.songs == ("four",)
    few = FIT.model_copy(update={"listeners": 1, "songs_each": 1})
    assert len(read_lesson(Ear(), lesson, scored, few, {}, mix_only=False).windows) == 1


@pytest.mark.parametrize(
    ("who", "songs", "shared"), [(("sub-b",), TAUGHT, "sub-b"), (("sub-c",), ("four", "two"), "two")]
)
def test_a_song_or_a_listener_of_both_caches_is_refused(
    caches: Any, tiny_checkpoint: Path, tmp_path: Path, who: tuple[str, ...], songs: tuple[str, ...], shared: str
) -> None:
    scored, fit = caches(who=who, songs=songs)
    with pytest.raises(LeakError, match=shared):
        Baselines(Ear(), Recorded(scored, {}), fit).conditions(
            "signal_blind", evidence_of(scored, tiny_checkpoint, {}), None
        )
    config = EvaluateConfig(checkpoint=str(tiny_checkpoint), prepared=str(scored), fit=fit)
    with pytest.raises(LeakError, match=shared):
        check_evaluation(config, tmp_path / "out")


def test_one_work_or_one_file_under_two_names_is_refused(write_cache: WriteCache, tmp_path: Path) -> None:
    scored = write_cache(rows(("sub-a",), ("one", "two")), stems=WITH_MIX, works={"one": "w"})
    version = write_cache(rows(("sub-c",), ("four",)), stems=WITH_MIX, works={"four": "W"}, name="version")
    with pytest.raises(LeakError, match="work"):
        read_lesson(Ear(), version, scored, FIT, {}, mix_only=False)
    copied = write_cache(rows(("sub-c",), ("five",)), stems=WITH_MIX, name="copied")
    stimuli = tmp_path / "stimuli"
    (stimuli / "five" / "mix.wav").write_bytes((stimuli / "two" / "mix.wav").read_bytes())
    with pytest.raises(LeakError, match="stimul"):
        read_lesson(Ear(), copied, scored, FIT, {}, mix_only=False)


def test_the_second_cache_decides_the_parts_of_those_who_learn_alone(
    caches: Any, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    scored, fit = caches()
    plain = EvaluateConfig(checkpoint=str(tiny_checkpoint), prepared=str(scored))
    keys = [
        Parts(tmp_path / "out", plain.model_copy(update={"fit": one}), tiny_checkpoint, "cpu").key
        for one in (fit.model_copy(update={"prepared": None}), fit)
    ]
    for name in ("brain", "oracle", "ridge", "signal_blind", "genre_oracle"):
        unit = Unit("recorded", None, name, 0, 0)
        assert (keys[0](unit) != keys[1](unit)) == (name not in ("brain", "oracle")), name


def test_a_second_cache_goes_with_recordings_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"fit\.prepared without prepared recordings"):
        check_evaluation(EvaluateConfig(fit=FIT), tmp_path / "out")


def test_genres_are_of_all_songs_or_of_none(caches: Any) -> None:
    scored, _ = caches()
    with pytest.raises(DataError, match="genres names no genre of two, three"):
        prepared_heard(scored, genres={"one": "jazz"})
    assert prepared_heard(scored, genres=dict.fromkeys(SCORED, "jazz")).style == "jazz"


# -- songs without stems -----------------------------------------------------------------------


def test_songs_without_stems_are_compared_by_their_mix(caches: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    scored, fit = caches(stems=MIX_ALONE)
    evidence = evidence_of(scored, tiny_checkpoint, {})
    heard = evidence.heard
    assert heard.mix_only and heard.stems.shape == (3, 1, 5 * SAMPLE_RATE_HZ)
    mix = read_audio(tmp_path / "stimuli" / "one" / "mix.wav")
    assert np.array_equal(heard.stems[0, 0], mix[SAMPLE_RATE_HZ : 6 * SAMPLE_RATE_HZ])
    assert condition_vectors(evidence.oracle).shape == (3, 128)
    decoded = evidence.pipeline.encode(heard.windows)
    score = embedding_score(decoded, evidence)
    assert (score["n"], score["space"]) == (6, "conditioning space (mix embedding)")
    assert curves_score(decoded, evidence) is None
    taught = Baselines(Ear(), Recorded(scored, {}), fit)
    for name in ("song_oracle", "signal_blind"):
        known = taught.conditions(name, evidence, None)
        assert condition_vectors(known.conditions).shape == (6, 128), name
        assert not torch.any(known.conditions.keep_stem), name
    with pytest.raises(DataError, match="control curves of the stems"):
        taught.conditions("ridge", evidence, None)


def test_an_evaluation_without_stems_says_what_is_absent(caches: Any, tiny_checkpoint: Path, tmp_path: Path) -> None:
    scored, fit = caches(stems=MIX_ALONE)
    names = ("brain", "other_subject", "oracle", "codec", "ridge", "song_oracle", "signal_blind")
    level = LevelConfig(name="x", conditions=names, generate=("brain", "oracle", "codec"), generated_windows=6)
    config = EvaluateConfig(
        checkpoint=str(tiny_checkpoint), prepared=str(scored), fit=fit, seeds=(0,), levels=(level,),
        sampling=SamplingConfig(steps=1), sounds=SoundsConfig(clips=4, written=1, stems=True),
    )  # fmt: skip
    found = run_evaluation(config, tmp_path / "out", device="cpu")
    scores = found["levels"][0]["scores"]
    assert scores["oracle"]["embedding"]["accuracy"] == 1.0
    assert scores["brain"]["generated"]["n"] == scores["codec"]["generated"]["n"] == 6
    assert scores["brain"]["following"] is None and scores["brain"]["curves"] is None
    assert "second presentation" in scores["other_subject"]["why"] and "control curves" in scores["ridge"]["why"]
    assert any("The songs have no stems" in text for text in found["remarks"])
    assert "The songs have no stems" in (tmp_path / "out" / "scores.md").read_text()
    assert {row["stem"] for row in found["sounds"]["reconstruction"]["brain"]} == {"mix"}
