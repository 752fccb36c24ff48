"""One check for each corner that could be cut, on the shipped weights; and a planted cut, which the check has to catch.

==============================================  ====================================================================
the sound as played, replaced by noise          changes nothing in what is decoded
electrode positions, permuted                   collapse the region matrix
random encoder weights                          drop the identification of generated music to chance
the nearest training stem                       is not nearer than to held-out real music
==============================================  ====================================================================

Bounds are intervals and p-values, over the listeners or songs at hand, at 5 %: no figure here was tuned. The samples
are small; `benchmarks/region_matrix.py`, `benchmarks/sound.py --training` and `eeg2music evaluate` measure the same at
length.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from edfio import Edf, EdfSignal
from numpy.typing import NDArray
from support import load_file
from torch import Tensor, nn

from eeg2music.encoders.base import BrainConditions
from eeg2music.evaluation.baselines import through_codec
from eeg2music.evaluation.brain import Evidence, control_conditions, generate_clips, generated_score
from eeg2music.evaluation.heard import Heard, audio_conditions, scorer_vectors
from eeg2music.evaluation.known import refuse_known
from eeg2music.evaluation.material import ListeningConfig, simulated_heard, simulated_recording
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.files import read_json
from eeg2music.generation import WINDOW_HOP_S
from eeg2music.metrics.nearest import nearest_song
from eeg2music.pipeline import BrainToMusicPipeline, SamplingConfig, default_checkpoint, load_pipeline
from eeg2music.preprocess.eeg import preprocess
from eeg2music.preprocess.windows import spread_windows
from eeg2music.recordings.read import read_recording
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.composer import compose
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.rendering import render
from eeg2music.simulation.session import stimulus_from_song
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, WINDOW_S, Conditions, FloatArray, Recording
from eeg2music.weights import MANIFEST_NAME, load_model

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
Values = NDArray[np.float64]


@pytest.fixture(scope="module")
def pipeline() -> BrainToMusicPipeline:
    return load_pipeline(default_checkpoint(), "cpu")


@pytest.fixture(scope="module")
def region_matrix() -> ModuleType:
    return load_file(BENCHMARKS / "region_matrix.py")


@pytest.fixture(scope="module")
def sound() -> ModuleType:
    return load_file(BENCHMARKS / "sound.py")


# -- the sound as played ----------------------------------------------------------------------------

# An auxiliary input of the amplifier, as recordings made while music plays have it; and an electrode beside another.
AUX, ELECTRODE, NEIGHBOUR = "AUX69", "FT10", "FT8"


@pytest.fixture(scope="module")
def recording() -> Recording:
    """12 s of a simulated listener to two songs."""
    return simulated_recording(ListeningConfig(songs=2, song_seconds=6.5, subjects=("unseen01",)), "unseen01", 0.0)


def write_with_sound(recording: Recording, sound_v: FloatArray, label: str, path: Path) -> Path:
    """The recording as an EDF with one signal more, which is called `label`."""
    rate, seconds = int(recording.sfreq_hz), recording.signal_v.shape[1] // int(recording.sfreq_hz)
    signals = [
        EdfSignal(1e6 * samples[: rate * seconds], rate, label=name, physical_dimension="uV",
                  physical_range=(-2000.0, 2000.0))
        for name, samples in zip((*recording.channel_names, label), (*recording.signal_v, sound_v), strict=True)
    ]  # fmt: skip
    Edf(signals).write(path)
    return path


def decoded_beside(pipeline: BrainToMusicPipeline, recording: Recording, label: str, folder: Path) -> list[Conditions]:
    """What is decoded beside the sound as played, and beside noise in its place."""
    samples = recording.signal_v.shape[1]
    beat = 0.5 + np.arange(samples) / recording.sfreq_hz * 2.0 % 1.0
    found = []
    for name, envelope in (("played", beat), ("noise", np.ones(samples))):
        sound_v = 1e-5 * envelope * numpy_rng(0, name).standard_normal(samples)
        # What a neighbour has goes with it: alone it would be left out as a bad electrode.
        values = recording.signal_v[recording.channel_names.index(NEIGHBOUR)] + sound_v
        path = write_with_sound(recording, values.astype(np.float32), label, folder / f"{name}.edf")
        found.append(pipeline.encode(spread_windows(preprocess(read_recording(path)), hop_s=WINDOW_HOP_S)))
    return found


def same(one: Conditions, other: Conditions) -> bool:
    """To the last bit."""
    parts = ("global_embedding", "stem_embedding", "curves")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in parts)


def test_the_sound_replaced_by_noise_changes_nothing(
    pipeline: BrainToMusicPipeline, recording: Recording, tmp_path: Path
) -> None:
    assert same(*decoded_beside(pipeline, recording, AUX, tmp_path))


def test_planted_a_decoder_that_reads_the_sound_is_caught(
    pipeline: BrainToMusicPipeline, recording: Recording, tmp_path: Path
) -> None:
    """The same signal under the name of an electrode reaches the encoder."""
    assert ELECTRODE not in recording.channel_names
    assert not same(*decoded_beside(pipeline, recording, ELECTRODE, tmp_path))


# -- electrode positions ----------------------------------------------------------------------------

LISTENERS, MATRIX_SONGS = 4, 4
# Where it does not matter which region is exchanged, each of the four stems moves alike.
MASS_BY_CHANCE = 1.0 / len(STEMS)


@pytest.fixture(scope="module")
def exchanged(region_matrix: ModuleType) -> list[tuple[Recording, dict[str, Recording]]]:
    songs = song_ids(None, region_matrix.SONG_SEED, MATRIX_SONGS)
    names = region_matrix.listener_names(LISTENERS)
    region_matrix.refuse_met(default_checkpoint() / "encoder", songs, names)
    stimuli = [stimulus_from_song(song, region_matrix.SONG_S) for song in songs]
    return [region_matrix.record(name, stimuli, 0.0, 0) for name in names]


class IgnoresPositions(nn.Module):
    """A planted encoder: it knows the cap by heart, whatever it is told about it."""

    def __init__(self, encoder: nn.Module, positions_m: FloatArray) -> None:
        super().__init__()
        self.encoder, self.positions_m = encoder, torch.from_numpy(positions_m)

    def forward(self, eeg: Tensor, positions_m: Tensor, mask: Tensor, subject: Tensor) -> BrainConditions:
        del positions_m
        found: BrainConditions = self.encoder(eeg, self.positions_m.expand(len(eeg), -1, -1), mask, subject)
        return found


def collapses(module: ModuleType, encoder: nn.Module, recorded: list[Any], measure: str) -> bool:
    """With permuted positions, the mass's interval over listeners reaches down to chance and stays below that of true
    ones, which lies above chance."""
    apart = [module.listener_matrices(encoder, heard, exchanged, seed=0) for heard, exchanged in recorded]
    true, permuted = (module.mass_interval(apart, kind, measure) for kind in module.POSITIONS)
    return bool(true[0] > MASS_BY_CHANCE and permuted[0] <= MASS_BY_CHANCE and permuted[1] < true[0])


@pytest.mark.parametrize("measure", ["cosine", "curves_squared"])
def test_permuted_positions_collapse_the_region_matrix(
    pipeline: BrainToMusicPipeline, region_matrix: ModuleType, exchanged: list[Any], measure: str
) -> None:
    assert collapses(region_matrix, pipeline.encoder, exchanged, measure)


@pytest.mark.parametrize("measure", ["cosine", "curves_squared"])
def test_planted_an_encoder_that_ignores_positions_is_caught(
    pipeline: BrainToMusicPipeline, region_matrix: ModuleType, exchanged: list[Any], measure: str
) -> None:
    deaf = IgnoresPositions(pipeline.encoder, exchanged[0][0].positions_m)
    assert not collapses(region_matrix, deaf, exchanged, measure)


# -- generated music --------------------------------------------------------------------------------

SONGS = 12
LEVEL = 0.05


class Made(NamedTuple):
    """Clips (clip, stem, samples) generated from the brain and from a random encoder, and what they are scored on."""

    evidence: Evidence
    gallery: FloatArray
    clips: dict[str, FloatArray]

    @property
    def heard(self) -> Heard:
        return self.evidence.heard

    def score(self, clips: FloatArray) -> dict[str, Any]:
        return generated_score(clips, self.evidence, self.gallery, list(range(len(clips))))


@pytest.fixture(scope="module")
def made(pipeline: BrainToMusicPipeline) -> Made:
    """One unseen listener to twelve unseen songs at 0 dB."""
    checkpoint = default_checkpoint()
    heard = simulated_heard(ListeningConfig(songs=SONGS, subjects=("unseen01",)), 0.0)
    refuse_known(checkpoint, heard)
    scorer = load_model(ScorerNet, checkpoint / "scorer")
    oracle = audio_conditions(load_clap(checkpoint / "clap"), heard.stems)
    evidence = Evidence(pipeline, heard, None, oracle, scorer, 0)
    clips = {
        name: generate_clips(control_conditions(name, evidence), evidence, range(SONGS), SamplingConfig())
        for name in ("brain", "random_encoder")
    }
    return Made(evidence, scorer_vectors(scorer, heard.stems), clips)


def at_chance(score: dict[str, Any]) -> bool:
    """Neither the interval over songs nor the permutation of songs tells it from chance."""
    low, high = score["ci95"]
    return bool(low <= score["chance"] <= high and score["p_value"] > LEVEL)


@pytest.mark.slow
def test_random_encoder_weights_drop_generated_to_chance(made: Made) -> None:
    assert at_chance(made.score(made.clips["random_encoder"]))


@pytest.mark.slow
def test_planted_an_encoder_that_kept_its_weights_is_caught(made: Made) -> None:
    """As the trained one would be, under the name of the random one."""
    assert not at_chance(made.score(made.clips["brain"]))


@pytest.mark.slow
def test_planted_a_generator_that_plays_what_was_heard_is_caught(made: Made) -> None:
    """Whatever it is conditioned on."""
    assert not at_chance(made.score(made.heard.stems))


# -- replay -----------------------------------------------------------------------------------------

TRAINING_SONGS, TRAINING_SONG_S = 24, 16.0


class Bank:
    """Training songs of the heard style, composed anew from their names, as vectors of stretches of their stems."""

    def __init__(self, sound: ModuleType, style: str) -> None:
        checkpoint = default_checkpoint()
        trained = read_json(checkpoint / "diffusion" / MANIFEST_NAME)["songs"]
        self.songs = [name for name in sorted(trained) if name.startswith(f"{style}-")][:TRAINING_SONGS]
        self._sound, self._clap = sound, load_clap(checkpoint / "clap")
        self.stems = [render(compose(name, duration_s=TRAINING_SONG_S)) for name in self.songs]
        starts = np.arange(0.0, TRAINING_SONG_S - WINDOW_S + 1e-6, sound.BANK_HOP_S)
        self.vectors = [
            sound.stem_vectors(self._clap, np.stack([cut(stems, start) for start in starts])) for stems in self.stems
        ]

    def near(self, clips: FloatArray) -> dict[str, Values]:
        """Distance to the nearest training song, and its ratio to that to the second: means over a clip's stems.

        A copy is near to one song alone, also where the copy is bad: its ratio is low. Each (clip,).
        """
        found = [nearest_song(self._sound.stem_vectors(self._clap, clip[None]), self.vectors) for clip in clips]
        return {
            "distance": np.array([one.distance.mean() for one in found]),
            "ratio": np.array([one.ratio.mean() for one in found]),
        }


def cut(stems: FloatArray, start_s: float) -> FloatArray:
    first = round(start_s * SAMPLE_RATE_HZ)
    return stems[:, first : first + round(WINDOW_S * SAMPLE_RATE_HZ)]


def replays(bank: Bank, clips: FloatArray, real: FloatArray) -> bool:
    """By distance or by ratio, clips lie nearer to training songs than held-out real music (two looks: 2.5 % each)."""
    ours, theirs = bank.near(clips), bank.near(real)
    songs = range(len(clips))
    differences = [ours[name] - theirs[name] for name in ours]
    return any(cluster_interval(one, songs, level=1.0 - LEVEL / 2.0).high < 0.0 for one in differences)


@pytest.fixture(scope="module")
def bank(sound: ModuleType) -> Bank:
    return Bank(sound, ListeningConfig().style)


@pytest.fixture(scope="module")
def copies(bank: Bank, sound: ModuleType, pipeline: BrainToMusicPipeline) -> FloatArray:
    """What a generator would make that replays: training songs, cut between the bank's stretches, through the codec."""
    clips = np.stack([cut(stems, sound.BANK_HOP_S / 2) for stems in bank.stems[:SONGS]])
    return through_codec(pipeline.codec, clips)


@pytest.mark.slow
def test_no_training_stem_is_nearer_than_to_real_music(made: Made, bank: Bank) -> None:
    assert not set(bank.songs) & set(made.heard.songs)
    assert not replays(bank, made.clips["brain"], made.heard.stems)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["as they are", "with noise"])
def test_planted_a_generator_that_copies_training_stems_is_caught(
    made: Made, bank: Bank, copies: FloatArray, how: str
) -> None:
    noise = 0.02 * numpy_rng(0, "bad copies").standard_normal(copies.shape, dtype=np.float32)
    assert replays(bank, copies if how == "as they are" else copies + noise, made.heard.stems)
