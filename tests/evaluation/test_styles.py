"""Songs of several styles, and several windows of a song: what a guess of the style is worth, and what it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from eeg2music.config import load_config
from eeg2music.errors import ConfigError, InputError
from eeg2music.evaluation import baselines
from eeg2music.evaluation.baselines import Baselines
from eeg2music.evaluation.brain import Evidence, embedding_score
from eeg2music.evaluation.breakdowns import level_breakdown, query_names
from eeg2music.evaluation.compare import paired_differences
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.details import breakdown_tables
from eeg2music.evaluation.expectations import judge
from eeg2music.evaluation.heard import Heard, audio_conditions, condition_vectors, level_facts, take
from eeg2music.evaluation.identification import identify, score_tables
from eeg2music.evaluation.known import trained_on
from eeg2music.evaluation.lesson import FitConfig, Lesson
from eeg2music.evaluation.material import (
    ListeningConfig,
    further_songs,
    gallery_songs,
    gallery_stems,
    listening_songs,
    simulated_heard,
    style_of,
)
from eeg2music.evaluation.parts import LATER, _settings
from eeg2music.evaluation.pooled import pooled_scores
from eeg2music.evaluation.runner import _styles
from eeg2music.evaluation.signal_blind import genre_guess_accuracy
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.metrics.breakdown import breakdown
from eeg2music.metrics.retrieval import similarity_matrix, without_siblings
from eeg2music.pipeline import default_checkpoint, load_pipeline
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.composer import STYLES
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, WINDOW_S, Conditions

MakeHeard = Callable[..., Heard]
FOUR = ("funk", "waltz", "techno", "ambient")
SONGS, DIM = 24, 64
LISTENING = ListeningConfig(styles=FOUR, songs=SONGS, song_seconds=12.0, window_start_s=1.0, windows_per_song=2)


# -- material ----------------------------------------------------------------------------------


def test_songs_take_the_styles_in_turn_and_are_never_those_of_the_lesson() -> None:
    assert listening_songs(LISTENING)[:5] == [
        "funk-21-0000", "waltz-21-0000", "techno-21-0000", "ambient-21-0000", "funk-21-0001",
    ]  # fmt: skip
    further = further_songs(LISTENING, SONGS + 6)
    assert len(further) == 6 and not set(further) & set(listening_songs(LISTENING))
    assert [style_of(song) for song in further[:4]] == list(FOUR)
    # One style is what it was.
    assert listening_songs(ListeningConfig(songs=3)) == listening_songs(ListeningConfig(songs=3, styles=("funk",)))
    assert further_songs(ListeningConfig(songs=3), 5) == ["funk-21-0003", "funk-21-0004"]


def test_windows_of_a_song_are_other_stretches_of_the_same_presentation() -> None:
    config = ListeningConfig(
        styles=("funk", "waltz"), songs=4, song_seconds=11.0, window_start_s=1.0, windows_per_song=2, subjects=("a",)
    )
    heard = simulated_heard(config, 0.0)
    assert heard.songs == tuple(gallery_songs(config)) == tuple(listening_songs(config)) * 2
    assert heard.gallery_styles == ("funk", "waltz") * 4 and heard.style == "mixed"
    assert heard.starts_s == (1.0,) * 4 + (6.0,) * 4
    first, second = heard.windows[0], heard.windows[4]
    assert (first.stimulus_id, second.stimulus_id) == (heard.songs[0],) * 2
    assert second.start_s - first.start_s == pytest.approx(5.0, abs=1 / 64)
    assert len({window.window_id for window in heard.windows}) == 8
    assert first.window_id == simulated_heard(replace_windows(config), 0.0, heard.stems[:4]).windows[0].window_id
    assert np.array_equal(heard.stems[:4], gallery_stems(replace_windows(config)))
    assert not np.array_equal(heard.stems[0], heard.stems[4])


def replace_windows(config: ListeningConfig) -> ListeningConfig:
    return config.model_copy(update={"windows_per_song": 1})


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"styles": ("funk", "polka")}, "there is no 'polka'"),
        ({"styles": ("funk", "funk")}, "a style stands twice"),
        ({"styles": FOUR, "songs": 7}, "7 songs of 4 styles.*set songs to 8 or more"),
        ({"windows_per_song": 2}, "A window of 5 s from 6.5 s on ends after 8 s"),
    ],
)
def test_what_cannot_be_heard_is_refused(values: dict[str, Any], match: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=match):
        ListeningConfig(**values)


def test_settings_that_came_later_leave_the_parts_of_earlier_runs_where_they_were() -> None:
    assert not set(_settings(ListeningConfig(songs=3))) & set(LATER)
    assert set(_settings(LISTENING)) >= {"styles", "windows_per_song"}


def test_the_shipped_config_has_every_style_and_songs_and_listeners_of_its_own() -> None:
    config = load_config(EvaluateConfig, "configs/eval/styles.yaml")
    heard = config.listening
    assert set(heard.styles) == set(STYLES) and heard.songs == 8 * len(STYLES)
    assert len(heard.subjects) == 4 and len(config.seeds) == len(config.levels) == 3
    assert all(not level.generate and "genre_oracle" in level.conditions for level in config.levels)
    songs = {*listening_songs(heard), *further_songs(heard, heard.songs + config.fit.songs)}
    for model in ("encoder", "diffusion", "clap", "codec", "scorer"):
        known = trained_on(default_checkpoint() / model)
        assert not known.songs & songs and not known.subjects & {f"sub-{name}" for name in heard.subjects}


# -- planted decoders --------------------------------------------------------------------------


class Planted:
    """Embeddings of style, song and window, and decoders that know some of it."""

    def __init__(self, make_heard: MakeHeard, windows: int = 2) -> None:
        plain = make_heard(SONGS, channels=4)
        songs, rows = plain.songs, windows * SONGS
        self.styles = tuple(FOUR[row % len(FOUR)] for row in range(SONGS)) * windows
        listeners = [plain.windows[:SONGS], plain.windows[SONGS:]]
        self.heard = replace(
            plain,
            windows=tuple(
                replace(window, window_id=f"{window.window_id}/{number}")
                for own in listeners
                for number in range(windows)
                for window in own
            ),
            target=np.tile(np.arange(rows), 2),
            stems=np.zeros((rows, len(STEMS), round(WINDOW_S * SAMPLE_RATE_HZ // 100)), np.float32),
            songs=songs * windows,
            style="mixed",
            styles=self.styles,
            starts_s=tuple(np.repeat([1.0, 6.0][:windows], SONGS).tolist()),
        )
        self.of_style = {name: numpy_rng(1, name).standard_normal(DIM) for name in FOUR}
        self.of_song = {name: 0.4 * numpy_rng(2, name).standard_normal(DIM) for name in songs}
        of_window = [0.2 * numpy_rng(3, row).standard_normal(DIM) for row in range(rows)]
        self.truth = conditions(
            [
                self.of_style[style] + self.of_song[song] + own
                for style, song, own in zip(self.styles, self.heard.songs, of_window, strict=True)
            ]
        )
        self.evidence = Evidence(cast(Any, None), self.heard, None, self.truth, None, seed=0)

    def decoded(self, song: float) -> Conditions:
        """What a decoder says that knows the style, and of the song this much."""
        noise = numpy_rng(4, "decoder").standard_normal((len(self.heard.windows), DIM))
        pairs = zip(self.heard.query_styles, self.heard.query_songs, strict=True)
        known = [self.of_style[style] + song * self.of_song[name] for style, name in pairs]
        return conditions(np.array(known) + 0.15 * noise)

    def result(self, made: Conditions, **given: Any) -> UnitResult:
        score = embedding_score(made, self.evidence)
        decoded = Matched(condition_vectors(made), condition_vectors(self.truth), self.heard.target)
        entry = {"seed": 0, "embedding": score, "generated": None, **({"given": given} if given else {})}
        return UnitResult(entry, level_facts(self.heard), decoded)


def conditions(vectors: Any) -> Conditions:
    """The same vector for mix and stems, without curves."""
    unit = torch.nn.functional.normalize(torch.from_numpy(np.asarray(vectors, np.float32)), dim=-1)
    return Conditions(unit, unit[:, None].expand(-1, len(STEMS), -1), torch.zeros(len(unit), len(STEMS), 3, 160))


@pytest.fixture(scope="module", params=[1, 2])
def planted(make_heard: MakeHeard, request: pytest.FixtureRequest) -> Planted:
    return Planted(make_heard, request.param)


@pytest.fixture(scope="module")
def guesses(planted: Planted) -> Mapping[str, UnitResult]:
    """Genre oracle and signal-blind model, taught other songs of the styles."""
    names = [f"{style}-9-{number:04d}" for style in FOUR for number in range(10)]
    vectors = [planted.of_style[style_of(name)] + 0.4 * numpy_rng(5, name).standard_normal(DIM) for name in names]
    lesson = Lesson(tuple(names), tuple(map(style_of, names)), (), conditions(vectors))
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "make_lesson", lambda *_: lesson)
        taught = Baselines(None, LISTENING, FitConfig(songs=40, listeners=3, songs_each=40))
        for name in ("genre_oracle", "signal_blind"):
            known = taught.conditions(name, planted.evidence, 0.0)
            found[name] = planted.result(known.conditions, **known.given)
    return found


def parts(of: Mapping[str, UnitResult]) -> dict[str, dict[tuple[str, Any], dict[str, Any]]]:
    """{condition: {(group, value): row}}."""
    broken = level_breakdown({name: [result] for name, result in of.items()})
    return {name: {(row["group"], row["value"]): row for row in rows["embedding"]} for name, rows in broken.items()}


def test_who_knows_the_style_alone_is_the_genre_oracle_overall_and_at_chance_within_style(
    planted: Planted, guesses: Mapping[str, UnitResult]
) -> None:
    expected = genre_guess_accuracy(planted.styles[:SONGS])
    found = parts({"brain": planted.result(planted.decoded(0.0)), **guesses})
    for name in ("brain", "genre_oracle", "signal_blind"):
        assert found[name]["overall", None]["identification"] == pytest.approx(expected, abs=0.03), name
        assert found[name]["within style", None]["identification"] == pytest.approx(0.5, abs=0.1), name
    assert found["brain"]["overall", None]["identification"] > 0.85
    assert guesses["genre_oracle"].entry is not None
    assert guesses["genre_oracle"].entry["given"]["expected"] == expected
    assert "40 songs of 4 styles, each query's of its own" in guesses["genre_oracle"].entry["given"]["words"]


def test_who_knows_the_song_is_above_it_within_style(planted: Planted, guesses: Mapping[str, UnitResult]) -> None:
    found = parts({"brain": planted.result(planted.decoded(1.0)), **guesses})
    assert found["brain"]["within style", None]["identification"] > 0.95
    assert found["brain"]["overall", None]["identification"] > found["genre_oracle"]["overall", None]["identification"]
    for style in FOUR:
        assert found["brain"]["style", style]["n"] == len(planted.heard.windows) // len(FOUR)
    assert {value for group, value in found["brain"] if group == "subject"} == {"sub-a", "sub-b"}


def test_metadata_are_not_expected_at_chance_where_there_are_several_styles(
    planted: Planted, guesses: Mapping[str, UnitResult]
) -> None:
    def said(name: str, result: UnitResult, **given: Any) -> list[str]:
        assert result.entry is not None
        entry = {**result.entry, "given": {**result.entry.get("given", {}), **given}}
        return judge({name: {**entry, "seeds": [entry]}}).surprises

    assert said("signal_blind", guesses["signal_blind"]) == []
    assert said("genre_oracle", guesses["genre_oracle"]) == []
    entry = guesses["signal_blind"].entry
    assert entry is not None
    together = {**entry, "seeds": [entry, {**entry, "seed": 1}], "pooled": {"embedding": entry["embedding"]}}
    # Two seeds, and both together: none of them is a test of being at chance.
    assert judge({"signal_blind": together})[1:] == (3, 0, 0)
    untold = {key: value for key, value in entry.items() if key != "given"}
    assert judge({"signal_blind": {**untold, "seeds": [untold]}})[1:] == (1, 1, 1)
    # With so few songs the interval of a perfect score reaches far down.
    (told,) = said("signal_blind", planted.result(planted.decoded(1.0)), expected=0.8)
    assert "signal blind (embedding, seed 0) should not be above 0.800 but has 1.000" in told
    expected = genre_guess_accuracy(planted.styles[:SONGS])
    strangers = numpy_rng(7).integers(0, len(planted.styles), len(planted.heard.windows))
    nothing = planted.result(take(planted.truth, strangers))
    assert any("does not tell all styles apart" in text for text in said("genre_oracle", nothing, expected=expected))


class Ear:
    """Stands for a CLAP."""

    def embed_audio(self, audio: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.rfft(audio, n=24_000).abs()[:, :1600].reshape(len(audio), 32, -1).mean(-1)
        return torch.nn.functional.normalize(spectrum.log1p() + 1e-3, dim=-1)


def test_every_guess_is_made_of_other_songs_of_the_styles_for_every_window(tiny_checkpoint: Path) -> None:
    config = ListeningConfig(
        styles=("funk", "waltz"), songs=4, song_seconds=11.5, window_start_s=1.5, windows_per_song=2, subjects=("a",)
    )
    heard = simulated_heard(config, 0.0)
    pipeline = load_pipeline(tiny_checkpoint, "cpu")
    evidence = Evidence(pipeline, heard, None, audio_conditions(Ear(), heard.stems), None, seed=0)
    taught = Baselines(Ear(), config, FitConfig(songs=4, listeners=2, songs_each=3))
    for name in ("ridge", "song_oracle", "genre_oracle", "signal_blind"):
        known = taught.conditions(name, evidence, 0.0)
        assert len(known.conditions.global_embedding) == len(heard.windows) == 8, name
        assert embedding_score(known.conditions, evidence)["gallery_size"] == 7
    assert (
        "of 4 other songs of 2 styles by 2 other listeners" in taught.conditions("ridge", evidence, 0.0).given["words"]
    )


# -- several windows of a song -----------------------------------------------------------------


def test_windows_of_one_song_are_told_apart_within_song_alone(make_heard: MakeHeard) -> None:
    planted = Planted(make_heard, 2)
    result = planted.result(planted.decoded(1.0))
    found = parts({"brain": result})["brain"]
    # The decoder knows the song and not the window: a rival from the same song would cost it every second first place.
    assert found["within song", None]["identification"] == pytest.approx(0.5, abs=0.15)
    assert found["within song", None]["gallery_max"] == 2
    assert found["overall", None]["gallery_max"] == 2 * SONGS - 1
    assert found["within style", None]["gallery_max"] == 2 * SONGS // len(FOUR) - 1
    assert found["overall", None]["top1"] > 0.9
    assert result.entry is not None
    score = result.entry["embedding"]
    assert score["gallery_size"] == 2 * SONGS - 1 and score["top1_chance"] == 1 / (2 * SONGS - 1)
    assert score["accuracy"] == pytest.approx(found["overall", None]["identification"])
    # Songs are what is independent.
    assert score["songs"] == SONGS and f"{SONGS} songs" in score["power"]
    assert set(score["cells"]["n"]) == {1} and set(score["cells"]["window"]) == {1, 2}
    pooled = pooled_scores([result, result])["embedding"]
    assert pooled is not None
    for key in ("accuracy", "ci95", "top1", "top1_chance", "gallery_size", "p_value"):
        assert pooled[key] == pytest.approx(score[key]), key


def test_every_window_has_its_song_and_listener_again(make_heard: MakeHeard) -> None:
    planted = Planted(make_heard, 2)
    result = planted.result(planted.decoded(0.0))
    assert result.decoded is not None and result.entry is not None
    songs, subjects = query_names(result.decoded, result.entry["embedding"]["cells"])
    assert tuple(songs) == planted.heard.query_songs and tuple(subjects or ()) == planted.heard.query_subjects
    better = embedding_score(planted.decoded(1.0), planted.evidence)
    differences, _, _ = paired_differences(result.entry["embedding"], better, "accuracy")
    assert differences.mean() == pytest.approx(better["accuracy"] - result.entry["embedding"]["accuracy"])
    assert len(differences) == len(planted.heard.windows)
    assert planted.heard.query_labels[SONGS] == ("song-0", "sub-a", "6 s")


def test_the_report_names_styles_and_says_what_within_style_means(
    planted: Planted, guesses: Mapping[str, UnitResult]
) -> None:
    found = {"brain": [planted.result(planted.decoded(0.0))], **{name: [of] for name, of in guesses.items()}}
    facts = level_facts(planted.heard)
    assert _styles(facts) == {"styles": dict.fromkeys(FOUR, SONGS // len(FOUR))}
    level = {"name": "clean", "snr_db": 0.0, "style": "mixed", **_styles(facts), "breakdown": level_breakdown(found)}
    (table,) = breakdown_tables(level)
    assert "who knows the style alone is at chance there" in table["note"]
    rows = [row[:2] for row in table["rows"]]
    assert ["genre oracle", "within style"] in rows and ["brain", "style waltz"] in rows
    several = planted.heard.several_windows
    assert (["brain", "within song"] in rows) == several == ("candidates within song alone" in table["note"])


def test_songs_of_unequal_numbers_of_windows_are_refused() -> None:
    with pytest.raises(InputError, match="different numbers of windows"):
        without_siblings(np.eye(3), [0, 1, 2], ["a", "a", "b"])


def brute(similar: np.ndarray, target: Sequence[int], songs: Sequence[str], keep: Callable[[int, int], bool]) -> float:
    """Mean share of candidates below the target, pair by pair."""
    shares = []
    for row, own in enumerate(target):
        others = [j for j in range(len(songs)) if j != own and keep(own, j)]
        shares.append(np.mean([(similar[row, own] > similar[row, j]) for j in others]))
    return float(np.mean(shares))


def test_figures_equal_pairs_counted_one_by_one() -> None:
    songs, styles = ["a", "b", "c", "d"] * 3, ["x", "x", "y", "y"] * 3
    rng = numpy_rng(6)
    query, gallery, target = rng.normal(size=(24, 5)), rng.normal(size=(12, 5)), np.tile(np.arange(12), 2)
    similar = similarity_matrix(query, gallery)
    rows = breakdown(similar, target, gallery_labels={"style": styles, "song": songs}, ks=(1,), apart="song")
    of = {row["group"]: row["identification"] for row in rows}
    assert of["overall"] == pytest.approx(brute(similar, target, songs, lambda i, j: songs[i] != songs[j]))
    assert of["within song"] == pytest.approx(brute(similar, target, songs, lambda i, j: songs[i] == songs[j]))
    assert of["within style"] == pytest.approx(
        brute(similar, target, songs, lambda i, j: songs[i] != songs[j] and styles[i] == styles[j])
    )
    heard = [songs[row] for row in target]
    score = identify(query, gallery, target, songs=heard, subjects=[0] * 24, gallery_songs=songs, seed=0)
    assert score["accuracy"] == pytest.approx(of["overall"])
    pairwise, top1 = score_tables(similar, songs)
    assert pairwise.shape == top1.shape == (24, 12)
    assert pairwise.mean() == pytest.approx(0.5)
