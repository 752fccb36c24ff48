"""What do generated stems sound like, in numbers: key, tempo, chroma, following, and does it replay its training songs?

    python benchmarks/sound.py [--checkpoint DIR] [--clips 50] [--training DIR] [--out FILE]

A simulated listener hears songs of one style at 0 dB; a song or listener that a model was trained on is an error.
Conditions: the brain, the oracle (the audio's own), and none; beside them the ceiling, what was heard through the codec
and back. Chance is the same clips against all other songs.

Key: the diatonic collection that fits the chroma of the tonal stems best (`scale_fit` of `mixing`) against the seven
pitch classes composed, since tunes in modes have no two-mode key. 1 for the same collection, without partial credit;
beside it the share that is the same or a fifth away, one note of seven. Tempo: the estimate of `mixing` from all stems
against the composer's, within 4 %, half, double, third and triple tempo included. Chroma: correlation of each tonal
stem with the heard one. Onsets: correlation with the heard stems, beside that with another song's, aligned by beat
(stretched to the heard song's composed tempo, at the best lag of up to one beat).

`eeg2music evaluate` measures the same with the same estimators, and asks another question of them: whether key and
tempo as estimated from the clip are those estimated from what was heard (key with the MIREX credit for related keys,
stem by stem), against one other song. Here they are compared with what was composed, against all other songs.

--training: the music folder that the diffusion model was trained on. Adds the cosine distance of each stem to the
nearest stretch of a training stem, and the ratio of that to the distance to the nearest one of another song: a replay
is near to one song alone, while dull sound is equally near to many. Beside them held-out real stems, as heard and
through the codec, and, to show what replaying would look like, training stems themselves ("copies": through the codec,
and cut elsewhere than what they are compared with). In CLAP's audio embedding: the scorer's keeps time, so that a copy
half a second off is as far from the original as other music.

Takes about three minutes on one core for 50 clips, and as long again with --training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.codec.encodec import Codec
from eeg2music.errors import DataError
from eeg2music.evaluation.baselines import through_codec
from eeg2music.evaluation.brain import Evidence, control_conditions, generate_clips
from eeg2music.evaluation.follow import following
from eeg2music.evaluation.heard import Heard, audio_conditions
from eeg2music.evaluation.known import refuse_known
from eeg2music.evaluation.material import ListeningConfig, listening_songs, simulated_heard
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.evaluation.tables import with_limits
from eeg2music.files import read_json, write_json
from eeg2music.memory import keep_freed_memory
from eeg2music.metrics.harmony import chroma_similarity, diatonic_collection, fifths_apart, tempo_agreement
from eeg2music.metrics.nearest import nearest_song
from eeg2music.mixing.harmony import analyse_harmony, scale_fit
from eeg2music.mixing.rhythm import analyse_rhythm
from eeg2music.origin import made_with
from eeg2music.pipeline import BrainToMusicPipeline, SamplingConfig, default_checkpoint, load_pipeline
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.simulation.composer import compose
from eeg2music.simulation.theory import Scale
from eeg2music.targets.pretrained import load_clap
from eeg2music.training.data import StimuliFolder
from eeg2music.types import STEMS, WINDOW_S, FloatArray
from eeg2music.weights import MANIFEST_NAME, load_model

TONAL = ("bass", "harmony", "melody")
SHARE, SIMILARITY = (0.0, 1.0), (-1.0, 1.0)
BOUNDS = {"key": SHARE, "key_or_fifth": SHARE, "tempo": SHARE, **{f"chroma_{name}": SIMILARITY for name in TONAL}}
CONDITIONS = ("brain", "oracle", "no_brain")
BANK_HOP_S = 2.5
SILENT = 1e-3
Matrix = NDArray[np.float64]


def main() -> None:
    """Measure, print and write."""
    given = _arguments()
    torch.set_grad_enabled(False)
    keep_freed_memory()
    torch.set_flush_denormal(True)
    pipeline = load_pipeline(given.checkpoint, "cpu")
    scorer = load_model(ScorerNet, given.checkpoint / "scorer")
    config = ListeningConfig(songs=given.clips, subjects=("unseen01",))
    bank = training_bank(given.training, given.checkpoint, given.bank_songs) if given.training else None
    heard = simulated_heard(config, 0.0)
    refuse_known(given.checkpoint, heard)
    clap = load_clap(given.checkpoint / "clap")
    made = {"codec": through_codec(pipeline.codec, heard.stems), **generate(pipeline, scorer, heard, clap)}
    truth, real = truths(config), describe(heard.stems)
    report: dict[str, Any] = {
        "clips": len(heard.windows),
        "style": config.style,
        "sampling": SamplingConfig().model_dump(),
        "heard": agreement(real, truth, real),
    }
    for name, clips in made.items():
        follow = following(clips, heard.stems, seed=0, tempi_bpm=[fact["tempo"] for fact in truth])
        onsets = {key: value for key, value in follow.items() if key != "cells"} | {"ci95": follow["ci95_of"]["mean"]}
        report[name] = {**agreement(describe(clips), truth, real), "onsets": onsets}
    print(table(report, ("heard", *made)))
    if bank is not None:
        report["replay"] = replay(clap, pipeline.codec, heard.stems, made, bank)
        print(replay_table(report["replay"]))
    if given.out:
        write_json(given.out, {"made_with": made_with(given.checkpoint), **report})


def generate(pipeline: BrainToMusicPipeline, scorer: ScorerNet, heard: Heard, clap: Any) -> dict[str, FloatArray]:
    """Clips (clip, stem, samples) by condition."""
    evidence = Evidence(pipeline, heard, None, audio_conditions(clap, heard.stems), scorer, 0)
    rows = list(range(len(heard.windows)))
    return {
        name: generate_clips(control_conditions(name, evidence), evidence, rows, SamplingConfig())
        for name in CONDITIONS
    }


# -- key, tempo, chroma ------------------------------------------------------------------------


def truths(config: ListeningConfig) -> list[dict[str, Any]]:
    """Diatonic collection and tempo as composed."""
    songs = [compose(name, duration_s=config.song_seconds) for name in listening_songs(config)]
    return [
        {"collection": diatonic_collection(Scale(song.key, song.mode).pitch_classes), "tempo": song.tempo_bpm}
        for song in songs
    ]


def describe(clips: FloatArray) -> dict[str, Any]:
    """Collection, chroma by stem (0 for a silent one) and tempo of each clip (clip, stem, samples)."""
    tonal = [STEMS.index(name) for name in TONAL]
    chroma = np.array([[analyse_harmony(audio).chroma for audio in clip[tonal]] for clip in clips])
    return {
        "collection": np.array([scale_fit(one).argmax() for one in chroma.sum(1)]),
        # Without pitch, no collection is right.
        "pitched": chroma.any((1, 2)),
        "chroma": dict(zip(TONAL, chroma.transpose(1, 0, 2), strict=True)),
        # No tempo was found: one that agrees with none.
        "tempo": np.array([max(analyse_rhythm(clip.sum(0)).tempo_bpm, 1.0) for clip in clips]),
    }


def agreement(found: dict[str, Any], truth: list[dict[str, Any]], heard: dict[str, Any]) -> dict[str, Any]:
    """Agreement with the composer's key and tempo and with the heard chroma, each beside its chance."""
    composed, tempi = (np.array([fact[name] for fact in truth]) for name in ("collection", "tempo"))
    apart = fifths_apart(*np.broadcast_arrays(found["collection"][:, None], composed[None]))
    pitched = found["pitched"][:, None]
    scores = {
        "key": ((apart == 0) & pitched).astype(float),
        "key_or_fifth": ((apart <= 1) & pitched).astype(float),
        "tempo": tempo_agreement(*np.broadcast_arrays(found["tempo"][:, None], tempi[None])),
    }
    for name in TONAL:
        ours, theirs = np.broadcast_arrays(found["chroma"][name][:, None], heard["chroma"][name][None])
        # A stem that rests in the heard window has no chroma to follow.
        resting = ~heard["chroma"][name].any(-1)
        scores[f"chroma_{name}"] = np.where(resting, np.nan, chroma_similarity(ours, theirs))
    return {name: against_others(matrix, bounds=BOUNDS[name]) for name, matrix in scores.items()}


def against_others(scores: Matrix, bounds: tuple[float, float] = (0.0, 1.0)) -> dict[str, Any]:
    """From scores of clip i against song j (clip, song; NaN columns are left out): own, others', and their difference.

    `ci95`: of one's own over songs. `error`: standard error of the difference over songs.
    """
    kept = np.flatnonzero(np.isfinite(scores).all(0))
    scores = scores[np.ix_(kept, kept)]
    count = len(kept)
    if count < 2:
        raise DataError(f"{count} clips to compare", allowed="two or more", remedy="take more clips")
    own = np.diag(scores)
    # By song, so that a clip's own rest does not count as a stranger's failure.
    others = (scores.sum(0) - own) / (count - 1)
    lead = own - others
    interval = cluster_interval(own, range(count), bounds=bounds)
    return {
        "mean": float(own.mean()),
        "ci95": [interval.low, interval.high],
        "chance": float(others.mean()),
        "lead": float(lead.mean()),
        "error": float(lead.std(ddof=1) / np.sqrt(count)),
        "n": count,
    }


def table(report: dict[str, Any], names: tuple[str, ...]) -> str:
    """Agreement as Markdown: own [95 % over songs] (chance)."""
    heads = {"key": "key", "key_or_fifth": "key or a fifth away", "tempo": "tempo"}
    heads |= {f"chroma_{name}": f"chroma, {name}" for name in TONAL}
    measures = tuple(heads)
    lines = [
        "| | " + " | ".join(heads.values()) + " | onsets |",
        "|---" * (len(measures) + 2) + "|",
    ]
    for name in names:
        row = report[name]
        cells = [f"{figure(row[measure])} ({row[measure]['chance']:.2f})" for measure in measures]
        onsets = row.get("onsets")
        missing = not onsets or onsets["mean"] is None or onsets["null_by_beat"] is None
        cells.append("–" if missing else f"{figure(onsets)} ({onsets['null_by_beat']:.2f})")
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(one: dict[str, Any]) -> str:
    """A mean with its interval."""
    return with_limits(one["mean"], one["ci95"], 2)


# -- replay ------------------------------------------------------------------------------------


def training_bank(folder: Path, checkpoint: Path, most: int) -> StimuliFolder:
    """The songs that the diffusion model was trained on, or `most` of them spread over all."""
    trained = read_json(checkpoint / "diffusion" / MANIFEST_NAME)["songs"]
    places = np.unique(np.linspace(0, len(trained) - 1, min(most, len(trained))).round().astype(int))
    return StimuliFolder(folder, [sorted(trained)[place] for place in places])


def bank_clips(music: StimuliFolder, song: str, offset_s: float) -> FloatArray:
    """Stretches of a song every BANK_HOP_S, (stretch, stem, samples)."""
    starts = np.arange(offset_s, music.duration_s(song) - WINDOW_S + 1e-6, BANK_HOP_S)
    return np.stack([music.crop(song, list(STEMS), float(start), WINDOW_S) for start in starts])


def stem_vectors(clap: Any, clips: FloatArray) -> FloatArray:
    """CLAP's embedding of each sounding stem: (clip, stem, samples) -> (n, dim)."""
    flat = clips.reshape(-1, clips.shape[-1])
    flat = flat[np.abs(flat).max(-1) > SILENT]
    parts = [clap.embed_audio(torch.from_numpy(flat[start : start + 32])).numpy() for start in range(0, len(flat), 32)]
    return np.concatenate(parts)


def replay(
    clap: Any, codec: Codec, heard: FloatArray, made: dict[str, FloatArray], music: StimuliFolder
) -> dict[str, Any]:
    """Distances to the nearest stretch of a training stem, by condition."""
    bank = [stem_vectors(clap, bank_clips(music, song, 0.0)) for song in music.songs]
    places = np.unique(np.linspace(0, len(music) - 1, min(len(heard), len(music))).round().astype(int))
    # As far as can be from the stretches in the bank.
    copies = [bank_clips(music, music.songs[place], BANK_HOP_S / 2)[:1] for place in places]
    clips = {"held out": heard, **made, "copies": through_codec(codec, np.concatenate(copies))}
    near = {name: nearest_song(stem_vectors(clap, each), bank) for name, each in clips.items()}
    # What hardly any real stem undercuts.
    line = float(np.quantile(near["codec"].ratio, 0.05))
    return {
        "songs": len(music),
        "stretches": sum(map(len, bank)),
        "line": line,
        **{
            name: {
                "stems": len(distance),
                "distance": float(np.median(distance)),
                "ratio": float(np.median(ratio)),
                "below_line": float(np.mean(ratio < line)),
            }
            for name, (distance, ratio) in near.items()
        },
    }


def replay_table(found: dict[str, Any]) -> str:
    """Distances as Markdown."""
    rows = [
        f"| {name.replace('_', ' ')} | {row['distance']:.3f} | {row['ratio']:.2f} | {row['below_line']:.0%} |"
        for name, row in found.items()
        if isinstance(row, dict)
    ]
    head = f"| nearest of {found['songs']} training songs | distance | ratio | ratio below {found['line']:.2f} |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint())
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--training", type=Path, help="music folder of the diffusion model's training")
    parser.add_argument("--bank-songs", type=int, default=10_000, help="at most so many training songs")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
