"""Plans: who moves, by how much, and who is left alone with a reason."""

from __future__ import annotations

import mixing_band as band
import numpy as np
import pytest

from eeg2music.mixing.corrections import plan_stretches, plan_transpositions
from eeg2music.mixing.harmony import analyse_harmony
from eeg2music.mixing.rhythm import analyse_rhythm
from eeg2music.mixing.settings import MixerConfig

NAMES = ("drums", "bass", "harmony", "melody")


@pytest.fixture(scope="module")
def harmonies() -> list:
    return [analyse_harmony(stem) for stem in band.band(120.0, 0.0)]


@pytest.fixture(scope="module")
def rhythms() -> dict:
    return {bpm: [analyse_rhythm(stem) for stem in band.band(bpm)] for bpm in (120.0, 123.0, 150.0, 120.6)}


def test_stems_that_agree_stay(harmonies: list, rhythms: dict) -> None:
    pitch = plan_transpositions(harmonies, NAMES, MixerConfig())
    assert pitch.change == [0.0] * 4
    assert pitch.shared == "C major"
    tempo = plan_stretches(rhythms[120.0], NAMES, 10.0, MixerConfig())
    assert tempo.change == [1.0] * 4
    assert not tempo.done
    assert not tempo.left_alone


@pytest.mark.parametrize("stem", [1, 2, 3])
@pytest.mark.parametrize("semitones", [-2, -1, 1, 2])
def test_the_one_that_is_off_moves_back(harmonies: list, stem: int, semitones: int) -> None:
    planted = list(harmonies)
    planted[stem] = planted[stem].transposed(semitones)
    plan = plan_transpositions(planted, NAMES, MixerConfig())
    expected = [0.0] * 4
    expected[stem] = -float(semitones)
    # Two semitones off shares five notes of seven with the key: moving is right, staying is allowed.
    assert plan.change == expected or (abs(semitones) == 2 and plan.change == [0.0] * 4)
    assert abs(semitones) == 2 or NAMES[stem] in plan.done[0]


def test_drums_never_move_and_have_no_say(harmonies: list) -> None:
    planted = [harmonies[2].transposed(1), *harmonies[1:]]
    assert plan_transpositions(planted, NAMES, MixerConfig()).change == [0.0] * 4


def test_an_unsure_stem_decides_nothing_and_is_not_moved(harmonies: list) -> None:
    planted = list(harmonies)
    planted[3] = planted[3].transposed(1)
    sure = MixerConfig(min_key_confidence=0.99)
    assert plan_transpositions(planted, NAMES, sure).change == [0.0] * 4
    assert plan_transpositions(planted, NAMES, sure).shared is None


def test_transposition_can_be_switched_off(harmonies: list) -> None:
    planted = [*harmonies[:3], harmonies[3].transposed(1)]
    assert plan_transpositions(planted, NAMES, MixerConfig(transpose=False)).change == [0.0] * 4


def test_a_stem_thirty_cents_sharp_is_tuned() -> None:
    stems = [band.drums(120.0), band.bass(120.0), band.harmony(120.0), band.melody(120.0, 0.3)]
    plan = plan_transpositions([analyse_harmony(stem) for stem in stems], NAMES, MixerConfig())
    assert plan.change[3] == pytest.approx(-0.3, abs=0.03)
    assert plan.change[:3] == [0.0, 0.0, 0.0]
    assert "cents" in plan.done[0]


def test_seventy_cents_sharp_is_a_semitone_less_thirty_cents() -> None:
    stems = [band.drums(120.0), band.bass(120.0), band.harmony(120.0), band.melody(120.0, 0.7)]
    plan = plan_transpositions([analyse_harmony(stem) for stem in stems], NAMES, MixerConfig())
    assert plan.change[3] == pytest.approx(-0.7, abs=0.03)


@pytest.mark.parametrize("stem", [0, 2, 3])
def test_three_beats_per_minute_are_mended(rhythms: dict, stem: int) -> None:
    planted = list(rhythms[120.0])
    planted[stem] = rhythms[123.0][stem]
    plan = plan_stretches(planted, NAMES, 10.0, MixerConfig())
    assert plan.change[stem] == pytest.approx(120 / 123, abs=0.002)
    assert [f for i, f in enumerate(plan.change) if i != stem] == [1.0] * 3
    assert plan.shared == pytest.approx(120.0, rel=0.003)


def test_far_away_is_left_alone_and_said(rhythms: dict) -> None:
    planted = [rhythms[150.0][0], *rhythms[120.0][1:]]
    plan = plan_stretches(planted, NAMES, 10.0, MixerConfig())
    assert plan.change == [1.0] * 4
    assert "drums beats at 75" in plan.left_alone[0]
    assert "tempo is its own" in plan.left_alone[0]


def test_a_drift_nobody_hears_is_left_alone(rhythms: dict) -> None:
    planted = [rhythms[123.0][0], *rhythms[120.0][1:]]
    plan = plan_stretches(planted, NAMES, 2.0, MixerConfig())
    assert plan.change == [1.0] * 4
    assert "beats apart at the end" in plan.left_alone[0]
    # Half a beat per minute is within the estimate's error: not even worth a word.
    planted = [rhythms[120.6][0], *rhythms[120.0][1:]]
    assert not plan_stretches(planted, NAMES, 10.0, MixerConfig()).left_alone


def test_half_tempo_is_the_same_pulse() -> None:
    stems = [band.drums(80.0), band.harmony(160.0)]
    plan = plan_stretches([analyse_rhythm(stem) for stem in stems], ("drums", "harmony"), 10.0, MixerConfig())
    assert plan.change == [1.0, 1.0]


def test_silent_stems_plan_nothing() -> None:
    silence = np.zeros((4, 120_000), np.float32)
    assert plan_transpositions([analyse_harmony(s) for s in silence], NAMES, MixerConfig()).shared is None
    assert plan_stretches([analyse_rhythm(s) for s in silence], NAMES, 5.0, MixerConfig()).shared is None


def test_in_a_long_clip_nothing_is_moved_far(rhythms: dict) -> None:
    planted = [rhythms[123.0][0], *rhythms[120.0][1:]]
    plan = plan_stretches(planted, NAMES, 60.0, MixerConfig())
    assert plan.change == [1.0] * 4
    assert not plan.done
    assert "its end would move by 1.4" in plan.left_alone[0] and "more than 0.6 s" in plan.left_alone[0]
    allowed = plan_stretches(planted, NAMES, 60.0, MixerConfig(max_shift_s=2.0))
    assert allowed.change[0] == pytest.approx(120 / 123, abs=0.002)


def test_any_allowed_tempo_may_be_corrected_in_ten_seconds() -> None:
    config = MixerConfig()
    assert config.max_stretch * 10.0 <= config.max_shift_s
