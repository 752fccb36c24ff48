"""How faithful the codec is, beside random weights, its own quantizer and MP3 at 32 kb/s.

Input: a trained codec (folder) and a stimuli folder with songs that it was not trained on.
Output: a table on screen, OUT/codec_quality.json and OUT/codec_spectrograms.png.
Launch: python benchmarks/codec_quality.py CODEC DATA --out DIR
Expected: SI-SDR of at least 10 dB on tonal stems from continuous latents.

Per stem: SI-SDR in dB (higher is better; says little about drums, which are noise), log-mel distance in dB and
multi-scale STFT distance (lower is better). Means and medians are over songs; nearly silent
stretches are left out and counted.
"""

from __future__ import annotations

import argparse
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from eeg2music.codec.encodec import Codec
from eeg2music.codec.losses import log_mel_distance, si_sdr_db, spectral_distances
from eeg2music.errors import LeakError
from eeg2music.files import read_json, sha256_file, write_json
from eeg2music.training.data import MIX, StimuliFolder
from eeg2music.types import SAMPLE_RATE_HZ, STEMS

SECONDS = 8.0
SILENT_DBFS = -50.0
Way = Callable[[Tensor], Tensor]


def main() -> None:
    options = _arguments()
    torch.set_grad_enabled(False)
    codec = Codec.from_pretrained(options.codec)
    music = held_out(options.data, options.codec, options.songs)
    ways = make_ways(codec)
    report: dict[str, Any] = {
        "codec_sha256": sha256_file(Path(options.codec) / "model.safetensors"),
        "songs": list(music.songs),
        "seconds_per_song": SECONDS,
        "stems": {},
    }
    for name in (*STEMS, MIX):
        report["stems"][name] = score_stem(music, name, ways)
    print(table(report))
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "codec_quality.json", report)
    draw(music, ways["continuous"], out / "codec_spectrograms.png")


def held_out(data: str, codec: str, count: int) -> StimuliFolder:
    """Songs that the codec was not trained on, spread over the folder.

    Raises
    ------
    LeakError
        If all songs of the folder were trained on.
    """
    folder = StimuliFolder(data)
    manifest = Path(codec) / "training_manifest.json"
    trained = set(read_json(manifest)["songs"]) if manifest.is_file() else set()
    free = [song for song in folder.songs if song not in trained]
    if not free:
        raise LeakError(f"All songs of {data} were trained on", remedy="simulate songs with another seed")
    step = max(1, len(free) // count)
    return StimuliFolder(data, free[::step][:count])


def make_ways(codec: Codec) -> dict[str, Way]:
    """Each way to carry (batch, samples) and back."""
    torch.manual_seed(0)
    random = Codec(type(codec.encodec)(codec.encodec.config)).eval()

    def quantized(kbps: float) -> Way:
        def way(audio: Tensor) -> Tensor:
            codes = codec.quantize(codec.encode(audio), kbps)
            return codec.decode(codec.dequantize(codes), audio.shape[-1])

        return way

    return {
        "continuous": lambda audio: codec(audio).audio,
        **{f"{kbps:g} kb/s": quantized(kbps) for kbps in reversed(codec.bandwidths_kbps)},
        "MP3 32 kb/s": lambda audio: torch.stack([torch.from_numpy(mp3(clip.numpy())) for clip in audio]),
        "random weights": lambda audio: random(audio).audio,
    }


def mp3(clip: np.ndarray, kbps: int = 32) -> np.ndarray:
    """There and back through LAME at a constant rate, its delay taken off. (samples,)"""
    buffer = io.BytesIO()
    # libsndfile maps 0…1 to the codec's range of bit rates: 160…8 kb/s at 24 kHz.
    level = (160 - kbps) / (160 - 8)
    with soundfile.SoundFile(
        buffer, "w", SAMPLE_RATE_HZ, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="CONSTANT", compression_level=level
    ) as handle:
        handle.write(clip)
    measured = buffer.tell() * 8 / 1000 / (clip.size / SAMPLE_RATE_HZ)
    if abs(measured - kbps) > 0.1 * kbps:
        raise RuntimeError(f"MP3 came out at {measured:.1f} kb/s instead of {kbps}")
    buffer.seek(0)
    decoded, _ = soundfile.read(buffer, dtype="float32")
    size = 1 << (clip.size + decoded.size).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(clip, size)), size)
    lag = int(np.argmax(correlation[:4096]))
    aligned = decoded[lag : lag + clip.size]
    return np.pad(aligned, (0, clip.size - aligned.size)).astype(np.float32)


def score_stem(music: StimuliFolder, name: str, ways: dict[str, Way]) -> dict[str, Any]:
    """Scores of one stem over songs, by way."""
    clips = []
    for song in music.songs:
        start_s = max(0.0, (music.duration_s(song) - SECONDS) / 2)
        clip = music.crop(song, [name], start_s, min(SECONDS, music.duration_s(song)))
        if 10 * np.log10(np.mean(clip**2) + 1e-12) > SILENT_DBFS:
            clips.append(torch.from_numpy(clip))
    rows: dict[str, Any] = {"clips": len(clips), "left_out": len(music) - len(clips)}
    for way, carry in ways.items():
        pairs = [(carry(clip), clip) for clip in clips]
        ratios = torch.cat([si_sdr_db(decoded, heard) for decoded, heard in pairs])
        spectral = [spectral_distances(decoded, heard) for decoded, heard in pairs]
        rows[way] = {
            "si_sdr_db_mean": float(ratios.mean()),
            "si_sdr_db_median": float(ratios.quantile(0.5)),
            "si_sdr_at_least_10_share": float((ratios >= 10).float().mean()),
            "log_mel_db": float(torch.cat([log_mel_distance(decoded, heard) for decoded, heard in pairs]).mean()),
            "stft_linear": float(np.mean([float(linear) for linear, _ in spectral])),
            "stft_log": float(np.mean([float(logarithmic) for _, logarithmic in spectral])),
        }
    return rows


def table(report: dict[str, Any]) -> str:
    """The scores as Markdown."""
    lines = [
        "| stem | way | SI-SDR mean / median (dB) | ≥ 10 dB | log-mel (dB) | STFT linear / log |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in report["stems"].items():
        for way, row in rows.items():
            if isinstance(row, dict):
                lines.append(
                    f"| {name} | {way} | {row['si_sdr_db_mean']:.1f} / {row['si_sdr_db_median']:.1f} "
                    f"| {row['si_sdr_at_least_10_share']:.0%} | {row['log_mel_db']:.2f} "
                    f"| {row['stft_linear']:.2f} / {row['stft_log']:.2f} |"
                )
    return "\n".join(lines)


def draw(music: StimuliFolder, way: Way, path: Path) -> None:
    """A pair of spectrograms of the first song's mix: heard, and decoded from continuous latents."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    heard = torch.from_numpy(music.crop(music.songs[0], [MIX], 0.0, SECONDS))
    figure, axes = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    for axis, audio, title in zip(axes, (heard, way(heard)), ("heard", "decoded"), strict=True):
        axis.specgram(audio[0].numpy() + 1e-9, NFFT=1024, Fs=SAMPLE_RATE_HZ, noverlap=768, vmin=-140, vmax=-30)
        axis.set(title=f"{title}: mix of {music.songs[0]}", ylabel="frequency (Hz)")
    axes[-1].set_xlabel("time (s)")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("codec", help="folder of a trained codec")
    parser.add_argument("data", help="stimuli folder")
    parser.add_argument("--out", required=True, help="folder for the report")
    parser.add_argument("--songs", type=int, default=24, help="how many held-out songs")
    return parser.parse_args()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    main()
