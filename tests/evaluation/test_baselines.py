"""What is known without the decoder knows what it should and nothing more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from eeg2music.encoders.ridge import PENALTIES
from eeg2music.encoders.spatial import spread_points
from eeg2music.errors import DataError, LeakError
from eeg2music.evaluation import baselines, lesson
from eeg2music.evaluation.baselines import (
    BASELINES,
    Baselines,
    Recorded,
    session_positions,
    stretches_beside,
    through_codec,
)
from eeg2music.evaluation.brain import Evidence, embedding_score
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.heard import Heard, audio_conditions, condition_vectors
from eeg2music.evaluation.lesson import FitConfig, Lesson, heard_by, lesson_windows, make_lesson, refuse_taught
from eeg2music.evaluation.linear_decoder import edge_remarks, fit_linear_decoder
from eeg2music.evaluation.material import ListeningConfig, composed, listening_songs, simulated_heard
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.units import Bench, Unit
from eeg2music.pipeline import SamplingConfig, load_pipeline
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.seeding import numpy_rng
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, Conditions, Window
from eeg2music.weights import load_model

MakeHeard = Callable[..., Heard]
SHORT = ListeningConfig(songs=3, song_seconds=8.0, window_start_s=1.5)
SMALL = FitConfig(songs=4, listeners=2, songs_each=3)


class Ear:
    """Stands for a CLAP: remembers what it was given to hear, and tells music apart by its samples."""

    def __init__(self) -> None:
        self.heard: list[torch.Tensor] = []

    def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
        self.heard.append(audio)
        spectrum = torch.fft.rfft(audio, n=24_000).abs()[:, :1600].reshape(len(audio), 32, -1).mean(-1)
        return torch.nn.functional.normalize(spectrum.log1p() + 1e-3, dim=-1)


@pytest.fixture(scope="module")
def evidence(tiny_checkpoint: Path) -> Evidence:
    heard = simulated_heard(SHORT, 0.0)
    pipeline = load_pipeline(tiny_checkpoint, "cpu")
    scorer = load_model(ScorerNet, tiny_checkpoint / "scorer")
    return Evidence(pipeline, heard, None, audio_conditions(Ear(), heard.stems), scorer, seed=0)


@pytest.fixture(scope="module")
def lesson_of_four() -> Lesson:
    return make_lesson(Ear(), SHORT, SMALL)


@pytest.fixture(scope="module")
def taught(lesson_of_four: Lesson) -> Baselines:
    found = Baselines(Ear(), SHORT, SMALL)
    found._lesson = lesson_of_four
    return found


@pytest.mark.parametrize(("start_s", "total_s"), [(1.5, 8.0), (0.0, 8.0), (0.0, 5.0), (30.0, 60.0), (1.0, 6.6)])
def test_the_rest_of_a_song_is_none_of_the_window(start_s: float, total_s: float) -> None:
    for first, last in stretches_beside(start_s, total_s):
        assert 0 <= first < last <= total_s
        assert last <= start_s or first >= start_s + 5
        assert 1.0 <= last - first <= 5.0


def test_the_song_oracle_hears_the_rest_of_the_song_and_nothing_of_the_window(evidence: Evidence) -> None:
    ear = Ear()
    known = Baselines(ear, SHORT, SMALL).conditions("song_oracle", evidence, 0.0)
    rest = [stems for name in listening_songs(SHORT) for stems in _rest(name)]
    mixes = ear.heard[1::2]  # stems first, then the mix
    assert len(mixes) == len(rest) == 6
    for mix, stems in zip(mixes, rest, strict=True):
        assert np.allclose(mix[0].numpy(), stems.sum(0))
    assert "3.0 s of the song" in known.given["words"]
    # Both listeners heard the same, and no curve says when.
    vectors = condition_vectors(known.conditions)
    assert np.array_equal(vectors[:3], vectors[3:])
    assert known.conditions.keep_curves is not None and not known.conditions.keep_curves.any()
    # The mean of the two stretches' embeddings.
    both = np.stack([condition_vectors(audio_conditions(Ear(), stems[None]))[0] for stems in rest[:2]])
    assert _cosine(vectors[0], _parts_normalised(both.mean(0))) == pytest.approx(1.0, abs=1e-5)


def _rest(name: str) -> list[Any]:
    stems = composed(name, 8.0)[1]
    return [stems[:, : round(1.5 * SAMPLE_RATE_HZ)], stems[:, round(6.5 * SAMPLE_RATE_HZ) :]]


def _cosine(a: Any, b: Any) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def _parts_normalised(vector: Any) -> Any:
    parts = vector.reshape(1 + len(STEMS), -1)
    return (parts / np.linalg.norm(parts, axis=1, keepdims=True)).ravel()


def test_of_a_prepared_song_the_files_are_read_beside_the_window(evidence: Evidence, tmp_path: Path) -> None:
    """The mix and each stem lie in one folder; the window is 2 to 7 s of 9 s."""
    ramp = np.linspace(0.0, 0.9, 9 * SAMPLE_RATE_HZ, dtype=np.float32)
    for name in (*STEMS, "mix"):
        soundfile.write(tmp_path / f"{name}.wav", ramp, SAMPLE_RATE_HZ, subtype="FLOAT")
    heard = evidence.heard
    windows = [replace(window, stimulus_file=tmp_path / "mix.wav", stimulus_start_s=2.0) for window in heard.windows]
    ear = Ear()
    there = replace(evidence, heard=replace(heard, windows=tuple(windows)))
    Baselines(ear, Recorded(Path("cache"), {}), SMALL).conditions("song_oracle", there, None)
    first, second = (ear.heard[row][0].numpy() for row in (0, 2))
    assert np.allclose(first, ramp[: 2 * SAMPLE_RATE_HZ], atol=1e-4)
    assert np.allclose(second, ramp[7 * SAMPLE_RATE_HZ :], atol=1e-4)


def test_a_song_without_a_rest_has_no_song_oracle(evidence: Evidence) -> None:
    whole = Baselines(Ear(), SHORT.model_copy(update={"window_start_s": 0.5, "song_seconds": 6.0}), SMALL)
    with pytest.raises(DataError, match="has one window only"):
        whole.conditions("song_oracle", evidence, 0.0)


@pytest.mark.parametrize("name", ["ridge", "genre_oracle", "signal_blind"])
def test_in_a_cache_nothing_is_left_to_learn_from(evidence: Evidence, name: str) -> None:
    with pytest.raises(DataError, match=r"every listener and song of the recordings is scored, and fit\.prepared"):
        Baselines(Ear(), Recorded(Path("cache"), {}), SMALL).conditions(name, evidence, None)


def test_the_genre_tells_nothing_where_all_songs_share_it(
    taught: Baselines, evidence: Evidence, lesson_of_four: Lesson
) -> None:
    known = taught.conditions("genre_oracle", evidence, 0.0)
    score = embedding_score(known.conditions, evidence)
    assert score["accuracy"] == pytest.approx(0.5)
    assert known.given["expected"] == 0.5
    # The mean of songs from outside, not of the gallery.
    outside = condition_vectors(lesson_of_four.conditions)
    assert _cosine(condition_vectors(known.conditions)[0], _parts_normalised(outside.mean(0))) == pytest.approx(1.0)


def test_the_signal_blind_model_sees_no_signal(taught: Baselines, evidence: Evidence) -> None:
    first = taught.conditions("signal_blind", evidence, 0.0)
    silent = [replace(window, eeg=np.zeros_like(window.eeg)) for window in evidence.heard.windows]
    deaf = replace(evidence, heard=replace(evidence.heard, windows=tuple(silent)))
    second = taught.conditions("signal_blind", deaf, -40.0)
    assert torch.equal(first.conditions.stem_embedding, second.conditions.stem_embedding)
    # It knows the position, so that its guesses differ within a listener, and nobody's name.
    vectors = condition_vectors(first.conditions)
    assert not np.allclose(vectors[0], vectors[1])
    assert np.allclose(vectors[:3], vectors[3:], atol=1e-6)


def test_positions_go_by_time_within_each_recording(make_heard: MakeHeard) -> None:
    windows = [
        replace(window, recording=window.subject, start_s=start)
        for window, start in zip(make_heard(2).windows, (9.0, 4.0, 1.0, 2.0), strict=True)
    ]
    assert session_positions(windows) == [0.5, 0.0, 0.0, 0.5]


# -- leaks -------------------------------------------------------------------------------------


def test_a_song_of_the_gallery_in_the_lesson_is_refused(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Lesson(("funk-21-0900", evidence.heard.songs[1]), ("funk", "funk"), (), evidence.oracle[slice(0, 2)])
    monkeypatch.setattr(baselines, "make_lesson", lambda *_: planted)
    for name in ("genre_oracle", "signal_blind", "ridge"):
        with pytest.raises(LeakError, match=evidence.heard.songs[1]):
            Baselines(Ear(), SHORT, SMALL).conditions(name, evidence, 0.0)


def test_a_listener_of_the_test_in_the_lesson_is_refused(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "lesson_listeners", lambda fit: ["unseen02"])
    monkeypatch.setattr(baselines, "make_lesson", lambda *_: Lesson(("funk-21-0900",), ("funk",), (), evidence.oracle))
    with pytest.raises(LeakError, match="sub-unseen02"):
        Baselines(Ear(), SHORT, SMALL).conditions("ridge", evidence, 0.0)


def test_songs_and_listeners_of_the_lesson_are_none_of_the_scored(evidence: Evidence, lesson_of_four: Lesson) -> None:
    found = lesson_of_four
    assert found.songs == ("funk-21-0003", "funk-21-0004", "funk-21-0005", "funk-21-0006")
    windows, rows = lesson_windows(found, SHORT, SMALL, 0.0, seed=0)
    assert [row for number in (0, 1) for row in heard_by(number, SMALL)] == rows == [0, 1, 2, 3, 0, 1]
    assert {window.subject for window in windows} == {"sub-lesson01", "sub-lesson02"}
    assert [window.stimulus_id for window in windows] == [found.songs[row] for row in rows]
    refuse_taught(found.songs, [window.subject for window in windows], evidence.heard)
    other = lesson_windows(found, SHORT, SMALL, 0.0, seed=1)[0]
    assert not np.array_equal(windows[0].eeg, other[0].eeg)
    # A window is a copy: it does not keep its recording in memory.
    assert windows[0].eeg.base is None


def test_the_signals_of_the_test_do_not_reach_the_fit(
    taught: Baselines, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []

    def watched(pipeline: Any, windows: Sequence[Window], *rest: Any) -> Any:
        fitted.append([window.window_id for window in windows])
        return fit_linear_decoder(pipeline, windows, *rest)

    monkeypatch.setattr(baselines, "fit_linear_decoder", watched)
    known = taught.conditions("ridge", evidence, 0.0)
    assert not {window.window_id for window in evidence.heard.windows} & set(fitted[0])
    assert known.given["windows"] == len(fitted[0]) == 6
    assert known.given["listeners"] == ["sub-lesson01", "sub-lesson02"]
    # A linear encoder reads curves too, which the generator may use.
    assert known.conditions.keep_curves is None
    assert known.conditions.curves.shape == (6, 4, 3, 160)


# -- ridge -------------------------------------------------------------------------------------


def planted_windows(songs: Sequence[int], conditions: Conditions, listeners: Sequence[str]) -> list[Window]:
    """Each stem's onsets drive the electrodes in a pattern of its own; listeners differ in their noise alone."""
    positions = (spread_points(24, -0.3) * 0.095).astype(np.float32)
    patterns = numpy_rng(0, "patterns").standard_normal((24, 12))
    found = []
    for listener in listeners:
        for song in songs:
            curves = conditions.curves[song].flatten(0, 1).numpy().repeat(2, axis=-1)
            noise = numpy_rng(1, listener, song).standard_normal((24, 320))
            eeg = (patterns @ np.roll(curves, 4, axis=-1) / 4.0 + 0.5 * noise).astype(np.float32)
            mask = np.ones(24, dtype=bool)
            found.append(Window(eeg, positions, mask, listener, f"{listener}/{song}", stimulus_id=str(song)))
    return found


def planted_conditions(songs: int) -> Conditions:
    """Songs differ in how loud each curve is, and so do their embeddings."""
    rng = numpy_rng(2, "songs")
    loud = rng.uniform(0.2, 2.0, (songs, 4, 3, 1))
    curves = torch.from_numpy((loud * rng.standard_normal((songs, 4, 3, 160))).astype(np.float32))
    flat = torch.from_numpy(loud.reshape(songs, 12).astype(np.float32))
    unit = torch.nn.functional.normalize(torch.cat([flat, torch.ones(songs, 20)], 1), dim=-1)
    return Conditions(unit, unit[:, None].expand(-1, 4, -1), curves)


def test_ridge_finds_a_planted_code_in_new_songs_and_listeners_and_none_where_there_is_none(
    evidence: Evidence,
) -> None:
    conditions, train, test = planted_conditions(60), list(range(40)), list(range(40, 60))
    windows = planted_windows(train, conditions, ("a", "b", "c"))
    rows = train * 3
    heard = planted_windows(test, conditions, ("z",))

    def accuracy(rows: Sequence[int]) -> float:
        encoder, _ = fit_linear_decoder(evidence.pipeline, windows, rows, conditions)
        pipeline: Any = evidence.pipeline
        found = condition_vectors(pipeline.with_encoder(encoder).encode(heard))
        truth = condition_vectors(conditions)[test]
        near = found @ truth.T
        return float((near.diagonal()[:, None] > near).mean() * 20 / 19)

    assert accuracy(rows) > 0.85
    strangers = list(numpy_rng(3).permutation(40)) * 3
    assert 0.2 < accuracy(strangers) < 0.75


@pytest.mark.parametrize("penalty", [min(PENALTIES), max(PENALTIES)])
def test_a_penalty_at_the_edge_of_those_tried_is_told(
    taught: Baselines, evidence: Evidence, monkeypatch: pytest.MonkeyPatch, penalty: float
) -> None:
    inside = {"curve_penalty": 0.1, "embedding_penalty": 1.0}

    def given(penalties: dict[str, float]) -> dict[str, Any]:
        monkeypatch.setattr(baselines, "fit_linear_decoder", lambda *a: (fit_linear_decoder(*a)[0], penalties))
        return taught.conditions("ridge", evidence, 0.0).given

    quiet, told = given(inside), given({**inside, "curve_penalty": penalty})
    assert quiet["edge"] == "" and "tried" not in quiet["words"]
    assert f"curve penalty {penalty:g} is the " in told["edge"] and told["words"].endswith(told["edge"])
    ridge = {"seeds": [{"seed": 4, "given": quiet}, {"seed": 5, "given": told}]}
    levels = [{"name": "a", "scores": {"brain": {"seeds": [{"seed": 4}]}, "ridge": ridge, "codec": {"seeds": []}}}]
    assert edge_remarks(levels) == [f"a, ridge, seed 5: {told['edge']}"]


def test_too_few_songs_to_choose_penalties_with(evidence: Evidence) -> None:
    conditions = planted_conditions(3)
    with pytest.raises(DataError, match="3 songs to fit on"):
        fit_linear_decoder(evidence.pipeline, planted_windows([0, 1, 2], conditions, "a"), [0, 1, 2], conditions)


# -- units -------------------------------------------------------------------------------------


def test_the_codec_gives_back_whole_clips_each_by_itself(evidence: Evidence) -> None:
    stems = evidence.heard.stems[:2, :, :100_001]
    made = through_codec(evidence.pipeline.codec, stems)
    assert made.shape == stems.shape
    codec = evidence.pipeline.codec
    with torch.no_grad():
        plain = codec.decode(codec.encode(torch.from_numpy(np.pad(stems[0], ((0, 0), (0, -100_001 % codec.hop))))))
    assert np.allclose(made[0], plain[:, :100_001].numpy(), atol=1e-5)
    assert np.array_equal(through_codec(evidence.pipeline.codec, stems[1:])[0], made[1])
    silent = through_codec(evidence.pipeline.codec, np.zeros_like(stems[:1]))
    assert not np.array_equal(silent[0], made[0])


@pytest.fixture(scope="module")
def bench(tiny_checkpoint: Path) -> Bench:
    config = EvaluateConfig(
        checkpoint=str(tiny_checkpoint), listening=SHORT, reference_songs=0, fit=SMALL, sampling=SamplingConfig(steps=1)
    )
    return Bench(config, tiny_checkpoint, "cpu")


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_scored_and_generated_from(bench: Bench, name: str) -> None:
    result = bench.score(Unit("clean", 0.0, name, 0, 2))
    assert result.entry is not None
    assert result.entry["given"]["words"]
    assert result.made is not None
    assert (result.entry["generated"]["n"], result.entry["generated"]["gallery_size"]) == (2, 3)
    assert result.entry["following"]["n"] == 2
    if name == "codec":
        assert result.entry["embedding"] is None
        assert result.decoded is None
    else:
        assert (result.entry["embedding"]["n"], result.entry["embedding"]["gallery_size"]) == (6, 3)
        assert result.decoded is not None


def test_the_codec_without_clips_says_so(bench: Bench) -> None:
    result = bench.score(Unit("clean", 0.0, "codec", 0, 0))
    assert result.entry is None
    assert "by its clips alone" in str(result.why)


@pytest.mark.parametrize("name", ["codec", "song_oracle", "genre_oracle", "signal_blind"])
def test_what_no_recording_enters_is_the_same_at_every_ratio(bench: Bench, name: str) -> None:
    one, other = (bench.score(Unit("x", snr_db, name, 0, 2)) for snr_db in (0.0, -37.0))
    assert one.entry == other.entry


def test_what_is_taught_decides_the_parts_of_those_who_learn_alone(tiny_checkpoint: Path, tmp_path: Path) -> None:
    one = EvaluateConfig(checkpoint=str(tiny_checkpoint), fit=SMALL)
    other = one.model_copy(update={"fit": lesson.FitConfig(songs=5)})
    keys = [Parts(tmp_path / "out", config, tiny_checkpoint, "cpu").key for config in (one, other)]
    for name in ("brain", "shuffled", "oracle", *BASELINES):
        unit = Unit("clean", 0.0, name, 0, 0)
        assert (keys[0](unit) != keys[1](unit)) == (name in baselines.TAUGHT), name


def test_the_real_clap_takes_the_shortest_stretch(tiny_checkpoint: Path, evidence: Evidence) -> None:
    clap = load_clap(tiny_checkpoint / "clap")
    stems = evidence.heard.stems[:1, :, : round(baselines.SHORTEST_STRETCH_S * SAMPLE_RATE_HZ)]
    assert condition_vectors(audio_conditions(clap, stems)).shape[0] == 1
