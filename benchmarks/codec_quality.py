"""How faithful the codec is, beside its own quantizer, a low-pass filter, MP3 at 32 kb/s and random weights.

    python benchmarks/codec_quality.py CODEC DATA [--songs 16] [--out FILE] [--figure docs/codec.png]

CODEC: folder of a trained codec with its training_manifest.json. DATA: a stimuli folder with songs that it was not
trained on; a single trained song among those chosen is an error. Writes JSON and, beside it, the table as Markdown.
Takes about four minutes on one core.

Every stem and the mix of the middle 8 s of each song. SI-SDR in dB (higher is better; says little about drums, which
are noise), log-mel distance in dB and multi-scale STFT distance (lower is better), as in `eeg2music.metrics.audio`,
which no training uses and which hears down to -100 dB of full scale, so that hiss in pauses counts fully; and the
log-mel distance of training, which stops at -60 dB. The low-pass filter keeps the band whose samples are as many
numbers a second as the codec's latents: a linear transform could carry that much. "Above" is the level of what lies
over that band, against the original's. Nearly silent stretches are left out and counted.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from eeg2music.codec.encodec import Codec
from eeg2music.codec.losses import log_mel_distance as audible_log_mel_distance
from eeg2music.errors import DataError, LeakError
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.evaluation.tables import with_limits
from eeg2music.files import read_json, sha256_file, write_json, write_text
from eeg2music.memory import keep_freed_memory
from eeg2music.metrics.audio import log_mel_distance, multi_scale_stft_distance, si_sdr
from eeg2music.origin import made_with
from eeg2music.seeding import derive_seed
from eeg2music.training.data import MIX, StimuliFolder
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray
from eeg2music.weights import MANIFEST_NAME

SECONDS = 8.0
SILENT_DBFS = -50.0
GOOD_DB = 10.0
NAMES = (*STEMS, MIX)
MEANS = ("log_mel_db", "log_mel_to_60_db", "stft")
CONTINUOUS = "continuous latents"
MP3_KBPS = 32
Way = Callable[[FloatArray], FloatArray]
Scores = dict[str, dict[str, list[dict[str, Any]]]]


def main() -> None:
    """Score, print, write, draw."""
    options = _arguments()
    torch.set_grad_enabled(False)
    keep_freed_memory()
    torch.set_flush_denormal(True)
    folder = Path(options.codec)
    music = held_out(options.data, folder, options.songs)
    codec = Codec.from_pretrained(folder)
    scores = score(music, make_ways(codec), band_hz(codec))
    report = {
        "codec_sha256": sha256_file(folder / "model.safetensors"),
        "parameters": sum(parameter.numel() for parameter in codec.parameters()),
        "songs": list(music.songs),
        "seconds_per_song": SECONDS,
        "band_hz": band_hz(codec),
        "left_out_silent": {name: len(music) - len(next(iter(ways.values()))) for name, ways in scores.items()},
        "stems": {name: {way: summary(rows) for way, rows in ways.items()} for name, ways in scores.items()},
    }
    print(table(report))
    write_json(options.out, {"made_with": made_with(Path(options.codec)), **report})
    write_text(options.out.with_suffix(".md"), table(report) + "\n")
    if options.figure:
        draw(music, scores, make_ways(codec)[CONTINUOUS], options.figure)


def held_out(data: str, codec: Path, count: int) -> StimuliFolder:
    """`count` songs spread over the folder.

    Raises
    ------
    LeakError
        If the codec was trained on one of them, or does not say what it was trained on.
    """
    manifest = codec / MANIFEST_NAME
    if not manifest.is_file():
        raise LeakError(f"{codec} does not say what it was trained on", allowed=f"a codec with {manifest.name}")
    songs = StimuliFolder(data).songs
    places = np.unique(np.linspace(0, len(songs) - 1, min(count, len(songs))).round().astype(int))
    chosen = [songs[place] for place in places]
    if trained := sorted(set(chosen) & set(read_json(manifest)["songs"])):
        raise LeakError(
            f"{len(trained)} of {len(chosen)} songs were trained on, such as {trained[0]}",
            remedy="simulate songs with another song_seed",
        )
    return StimuliFolder(data, chosen)


def band_hz(codec: Codec) -> float:
    """Width of the band with as many samples a second as there are numbers in the latents."""
    return codec.channels * codec.frame_rate_hz / 2


def make_ways(codec: Codec) -> dict[str, Way]:
    """Each way to carry (stem, samples) and back."""
    torch.manual_seed(derive_seed(0, "random codec"))
    random = Codec(type(codec.encodec)(codec.encodec.config)).eval()

    def through(model: Codec, change: Callable[[Tensor], Tensor]) -> Way:
        def way(audio: FloatArray) -> FloatArray:
            latents = change(model.encode(torch.from_numpy(audio)))
            return model.decode(latents, audio.shape[-1]).numpy()

        return way

    def quantized(kbps: float) -> Way:
        return through(codec, lambda latents: codec.dequantize(codec.quantize(latents, kbps)))

    return {
        CONTINUOUS: through(codec, lambda latents: latents),
        **{f"quantized, {kbps:g} kb/s": quantized(kbps) for kbps in reversed(codec.bandwidths_kbps)},
        f"low-pass, {band_hz(codec):g} Hz": lambda audio: low_pass(audio, band_hz(codec)),
        f"MP3, {MP3_KBPS} kb/s": lambda audio: np.stack([mp3(clip) for clip in audio]),
        "random weights": through(random, lambda latents: latents),
    }


def low_pass(audio: FloatArray, edge_hz: float) -> FloatArray:
    """Everything above an edge taken away. (…, samples)"""
    spectrum = np.fft.rfft(audio)
    spectrum[..., np.fft.rfftfreq(audio.shape[-1], 1 / SAMPLE_RATE_HZ) >= edge_hz] = 0
    return np.fft.irfft(spectrum, audio.shape[-1]).astype(np.float32)


def mp3(clip: FloatArray, kbps: int = MP3_KBPS) -> FloatArray:
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


def score(music: StimuliFolder, ways: dict[str, Way], edge_hz: float) -> Scores:
    """{stem: {way: one row per song}}, none for songs in which it is nearly silent. "Above" begins at `edge_hz`."""
    found: Scores = {name: {way: [] for way in ways} for name in NAMES}
    for song in music.songs:
        heard = middle(music, song)
        level_db = 10 * np.log10(np.mean(heard**2, axis=-1) + 1e-12)
        sounding = np.flatnonzero(level_db > SILENT_DBFS)
        for way, carry in ways.items():
            decoded = carry(heard)
            for row in sounding:
                found[NAMES[row]][way].append({"song": song, **distances(decoded[row], heard[row], edge_hz)})
    if silent := [name for name, rows in found.items() if not rows[CONTINUOUS]]:
        raise DataError(f"{silent[0]} is silent in all {len(music)} songs", remedy="take more songs")
    return found


def middle(music: StimuliFolder, song: str) -> FloatArray:
    """(stem and mix, samples) of the middle of a song."""
    seconds = min(SECONDS, music.duration_s(song))
    return music.crop(song, NAMES, (music.duration_s(song) - seconds) / 2, seconds)


def distances(decoded: FloatArray, heard: FloatArray, edge_hz: float) -> dict[str, float]:
    """All measures of one clip, (samples,) each."""
    power = [np.sum(np.square(audio - low_pass(audio, edge_hz)), dtype=np.float64) for audio in (decoded, heard)]
    return {
        "si_sdr_db": float(si_sdr(decoded, heard)),
        "log_mel_db": float(log_mel_distance(decoded, heard)),
        "log_mel_to_60_db": float(audible_log_mel_distance(*map(torch.from_numpy, (decoded[None], heard[None])))),
        "above_db": float(10 * np.log10((power[0] + 1e-9) / (power[1] + 1e-9))),
        "stft": float(multi_scale_stft_distance(decoded, heard)),
    }


def interval_over_songs(values: ArrayLike) -> list[float] | None:
    """95 % t interval of a mean of one value a song; None with one song."""
    data = np.asarray(values, dtype=np.float64)
    if len(data) < 2:
        return None
    interval = cluster_interval(data, range(len(data)))
    return [interval.low, interval.high]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One stem, one way, over songs."""
    ratios = np.array([row["si_sdr_db"] for row in rows])
    return {
        "songs": len(rows),
        "si_sdr_db_mean": float(ratios.mean()),
        "si_sdr_db_ci95": interval_over_songs(ratios),
        "si_sdr_db_median": float(np.median(ratios)),
        "si_sdr_db_lowest": float(ratios.min()),
        "si_sdr_at_least_10_share": float((ratios >= GOOD_DB).mean()),
        **{key: float(np.mean([row[key] for row in rows])) for key in MEANS},
        **{f"{key}_ci95": interval_over_songs([row[key] for row in rows]) for key in MEANS},
        "above_db_median": float(np.median([row["above_db"] for row in rows])),
    }


def table(report: dict[str, Any]) -> str:
    """The scores as Markdown."""
    lines = [
        "| stem | way | SI-SDR mean [95 %] / median (dB) | ≥ 10 dB | log-mel (dB) | to -60 dB (dB) | STFT "
        "| above (dB) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, ways in report["stems"].items():
        lines += [
            f"| {name} | {way} | {with_limits(row['si_sdr_db_mean'], row['si_sdr_db_ci95'], 1)} "
            f"/ {row['si_sdr_db_median']:.1f} "
            f"| {row['si_sdr_at_least_10_share']:.0%} | {row['log_mel_db']:.2f} | {row['log_mel_to_60_db']:.2f} "
            f"| {row['stft']:.2f} | {row['above_db_median']:.1f} |"
            for way, row in ways.items()
        ]
    return "\n".join(lines)


def typical(scores: Scores, name: str) -> dict[str, Any]:
    """The row of the song whose SI-SDR is the median one."""
    rows = sorted(scores[name][CONTINUOUS], key=lambda row: float(row["si_sdr_db"]))
    return rows[len(rows) // 2]


def draw(music: StimuliFolder, scores: Scores, way: Way, path: Path, seconds: float = 4.0) -> None:
    """Original and decoded spectrograms of a melody and of drums, each of its median song."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from PIL import Image

    figure, axes = pyplot.subplots(2, 2, figsize=(9, 5.6), sharex=True, sharey=True, layout="constrained")
    images = []
    for column, (name, size) in enumerate((("melody", 2048), ("drums", 1024))):
        row = typical(scores, name)
        heard = middle(music, row["song"])[[NAMES.index(name)]]
        pair = [log_spectrogram(audio[0, : round(seconds * SAMPLE_RATE_HZ)], size) for audio in (heard, way(heard))]
        titles = (f"{name}, original", f"{name}, decoded (SI-SDR {row['si_sdr_db']:.1f} dB)")
        for axis, level, title in zip(axes[:, column], pair, titles, strict=True):
            image = axis.imshow(
                level - pair[0].max(), origin="lower", aspect="auto", cmap="magma", vmin=-70, vmax=0,
                extent=(0, seconds, *np.log2(FREQUENCY_RANGE_HZ)),
            )  # fmt: skip
            images.append(image)
            axis.set_title(title, fontsize=10)
    ticks = (50, 100, 200, 500, 1000, 2000, 5000, 10000)
    for axis in axes[:, 0]:
        axis.set_yticks(np.log2(ticks), [f"{tick:g}" for tick in ticks])
        axis.set_ylabel("frequency (Hz)")
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    figure.colorbar(images[0], ax=axes, label="level (dB re the original's maximum)", shrink=0.8)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100)
    pyplot.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of a palette: half the size.
    Image.open(buffer).convert("RGB").quantize(200, dither=Image.Dither.NONE).save(path, optimize=True)


FREQUENCY_RANGE_HZ = (40.0, SAMPLE_RATE_HZ / 2)


def log_spectrogram(audio: FloatArray, size: int, *, hop: int = 256, bands: int = 240) -> FloatArray:
    """Level in dB on evenly spaced pitches, (band, frame): the STFT's magnitude between its bins, by straight lines."""
    window = torch.hann_window(size)
    spectrum = torch.stft(torch.from_numpy(audio), size, hop, window=window, return_complex=True).abs().numpy()
    wanted = np.geomspace(*FREQUENCY_RANGE_HZ, bands) * size / SAMPLE_RATE_HZ
    left = np.minimum(wanted.astype(int), spectrum.shape[0] - 2)
    share = (wanted - left)[:, None]
    magnitude = (1 - share) * spectrum[left] + share * spectrum[left + 1]
    return np.asarray(20 * np.log10(magnitude + 1e-7), dtype=np.float32)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codec", help="folder of a trained codec")
    parser.add_argument("data", help="stimuli folder")
    parser.add_argument("--songs", type=int, default=16, help="how many held-out songs")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/codec_quality.json"))
    parser.add_argument("--figure", type=Path, help="where to draw spectrograms, such as docs/codec.png")
    return parser.parse_args()


if __name__ == "__main__":
    main()
