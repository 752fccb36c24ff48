"""What do generated stems sound like, in numbers: key, tempo, chroma, following, and does it replay its training songs?

Usage: python benchmarks/sound.py [--checkpoint DIR] [--clips 50] [--training DIR] [--out FILE]
Each figure stands between a ceiling (the codec's reconstruction of what was heard) and chance (the generated clip
against another song's truth). Conditions: the brain at 0 dB, the oracle (the audio's own), and none. Key and tempo are
the estimates of `mixing` from the sum of the tonal stems and from the whole mix, against the composer's ground truth.
--training: the folder of music the diffusion model was trained on; adds the distance to the nearest training stem, in
the scorer's embedding, beside that of held-out real stems.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eeg2music.evaluation.brain import Evidence, control_conditions, generate_clips
from eeg2music.evaluation.controls import derangement
from eeg2music.evaluation.follow import following
from eeg2music.evaluation.heard import audio_conditions
from eeg2music.evaluation.material import ListeningConfig, listening_songs, simulated_heard
from eeg2music.metrics.harmony import chroma_similarity, key_agreement, tempo_agreement
from eeg2music.metrics.nearest import replay_check
from eeg2music.mixing.harmony import analyse_harmony, key_name
from eeg2music.mixing.rhythm import analyse_rhythm
from eeg2music.pipeline import SamplingConfig, default_checkpoint, load_pipeline
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.composer import compose
from eeg2music.targets.pretrained import load_clap
from eeg2music.training.data import StimuliFolder
from eeg2music.types import STEMS, WINDOW_S, FloatArray
from eeg2music.weights import load_model

# The two-mode key that a modal tune is nearest to.
MODES = {"dorian": "minor", "phrygian": "minor", "aeolian": "minor", "lydian": "major", "mixolydian": "major"}
TONAL = [STEMS.index(name) for name in ("bass", "harmony", "melody")]


def truths(config: ListeningConfig) -> list[dict[str, Any]]:
    """Key and tempo as composed."""
    songs = [compose(name, duration_s=config.song_seconds) for name in listening_songs(config)]
    return [{"key": f"{song.key_name} {MODES.get(song.mode, song.mode)}", "tempo": song.tempo_bpm} for song in songs]


def describe(clips: FloatArray) -> dict[str, Any]:
    """Key, chroma and tempo of each clip (clip, stem, samples)."""
    harmonies = [analyse_harmony(clip[TONAL].sum(0)) for clip in clips]
    return {
        "key": [key_name(found.key) for found in harmonies],
        "chroma": np.stack([found.chroma for found in harmonies]),
        "tempo": np.array([max(analyse_rhythm(clip.sum(0)).tempo_bpm, 1.0) for clip in clips]),
    }


def agreement(found: dict[str, Any], truth: list[dict[str, Any]], heard: dict[str, Any]) -> dict[str, float]:
    """Agreement with the composer's key and tempo, and with the heard chroma."""
    return {
        "key": key_agreement(found["key"], [fact["key"] for fact in truth]),
        "tempo": float(tempo_agreement(found["tempo"], [fact["tempo"] for fact in truth]).mean()),
        "chroma": float(chroma_similarity(found["chroma"], heard["chroma"]).mean()),
    }


def permuted(found: dict[str, Any], order: np.ndarray) -> dict[str, Any]:
    """The descriptions of other clips."""
    return {
        "key": [found["key"][row] for row in order],
        "chroma": found["chroma"][order],
        "tempo": found["tempo"][order],
    }


@torch.no_grad()
def reconstruct(codec: Any, stems: FloatArray) -> FloatArray:
    """Through the codec's continuous latents and back."""
    clips = [codec(torch.from_numpy(clip)).audio.numpy() for clip in stems]
    return np.stack(clips)


def training_stems(folder: Path, songs: int) -> FloatArray:
    """One window of every stem of some training songs, (song, stem, samples)."""
    music = StimuliFolder(folder)
    chosen = list(music.songs)[:: max(1, len(music.songs) // songs)][:songs]
    return np.stack([music.crop(song, list(STEMS), 2.0, WINDOW_S) for song in chosen])


@torch.no_grad()
def stem_vectors(scorer: ScorerNet, clips: FloatArray) -> FloatArray:
    """The scorer's embedding of each sounding stem: (clip, stem, samples) -> (n, dim)."""
    flat = clips.reshape(-1, clips.shape[-1])
    flat = flat[np.abs(flat).max(-1) > 1e-3]
    return np.concatenate([scorer.embed(torch.from_numpy(flat[i : i + 32])).numpy() for i in range(0, len(flat), 32)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint())
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--training", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pipeline = load_pipeline(given.checkpoint, "cpu")
    scorer = load_model(ScorerNet, given.checkpoint / "scorer")
    config = ListeningConfig(songs=given.clips, subjects=("heldout01",))
    heard = simulated_heard(config, 0.0)
    oracle = audio_conditions(load_clap(given.checkpoint / "clap"), heard.stems)
    evidence = Evidence(pipeline, heard, None, oracle, scorer, 0)
    rows = list(range(len(heard.windows)))
    made = {
        name: generate_clips(control_conditions(name, evidence), evidence, rows, SamplingConfig())
        for name in ("brain", "oracle", "no_brain")
    }
    made = {"codec": reconstruct(pipeline.codec, heard.stems), **made}
    truth, real = truths(config), describe(heard.stems)
    order = derangement(len(rows), numpy_rng(0, "sound"))
    report: dict[str, Any] = {"n": len(rows), "style": config.style, "heard": agreement(real, truth, real)}
    for name, clips in made.items():
        found = describe(clips)
        report[name] = {
            **agreement(found, truth, real),
            "chance": agreement(permuted(found, order), truth, real),
            "following": following(clips, heard.stems, seed=0),
        }
        shown = {key: round(value, 3) for key, value in report[name].items() if isinstance(value, float)}
        print(name, shown, "chance", {k: round(v, 3) for k, v in report[name]["chance"].items()}, flush=True)
        print("  onset correlation", {k: v for k, v in report[name]["following"].items() if k != "by_stem"}, flush=True)
    if given.training:
        bank = stem_vectors(scorer, training_stems(given.training, 400))
        report["replay"] = replay_check(
            stem_vectors(scorer, made["brain"]), stem_vectors(scorer, heard.stems), bank
        )._asdict()
        print("nearest training stem", report["replay"])
    if given.out:
        given.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
