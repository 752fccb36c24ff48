"""Training of the brain encoder: targets where they belong, no leak, one loss over all processes, a run that learns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from eeg2music.encoders.base import BrainConditions
from eeg2music.encoders.brain import BrainEncoder
from eeg2music.encoders.braindecode_module import BrainModuleEncoder
from eeg2music.encoders.ridge import RidgeEncoder
from eeg2music.encoders.spatial import spread_points
from eeg2music.errors import CheckpointError, ConfigError, DataError, LeakError
from eeg2music.evaluation.split_cache import SplitConfig, split_cache
from eeg2music.files import read_json, sha256_file, write_json
from eeg2music.recordings.prepared import SCHEMA, PreparedDataset
from eeg2music.recordings.split_file import read_split
from eeg2music.targets.cache import conditioning_space
from eeg2music.targets.curves import control_curves
from eeg2music.training import encoder as encoder_module
from eeg2music.training.encoder import EncoderConfig, EncoderTask, fit_batches
from eeg2music.training.encoder_data import (
    AugmentConfig,
    Split,
    Windows,
    augment,
    find_presentations,
    joint_spec,
    pad_channels,
    small_rotation,
    split_manifest,
    split_presentations,
)
from eeg2music.training.encoder_scores import encoder_scores, galleries, validation_windows
from eeg2music.training.encoder_targets import PieceTargets, TargetStore, track_files
from eeg2music.training.first_stage import refuse_known, with_earlier
from eeg2music.training.loop import train
from eeg2music.training.order import collate
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, SignalSpec
from eeg2music.weights import load_model

SONG_S, WINDOW_S, CHANNELS = 6.0, 3.0, 12
SONGS = tuple(f"funk-0-{k:04d}" for k in range(6))
SUBJECTS = tuple(f"sub-{k}" for k in range(4))
# What an encoder takes of a batch.
INPUTS = ("eeg", "positions_m", "channel_mask", "subject")


class FakeClap(nn.Module):
    """Embeds by the level in ten slots of time: depends on what is heard and when."""

    embedding_dim = 16

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def embed_audio(self, audio: Tensor) -> Tensor:
        self.calls += 1
        slots = audio.unfold(-1, audio.shape[-1] // 15, audio.shape[-1] // 15)[:, :15].square().mean(-1).sqrt()
        return nn.functional.normalize(torch.cat([slots, torch.full_like(slots[:, :1], 0.02)], 1), dim=-1)


def write_song(folder: Path, song: str, number: int) -> None:
    """Bursts of noise, at other times in each stem and song."""
    rng = np.random.default_rng(number)
    stems = np.zeros((len(STEMS), round(SONG_S * SAMPLE_RATE_HZ)), np.float32)
    for stem in stems:
        for start in rng.uniform(0, SONG_S - 0.3, 9):
            first = int(start * SAMPLE_RATE_HZ)
            stem[first : first + 4000] += 0.1 * rng.standard_normal(4000).astype(np.float32)
    (folder / song).mkdir(parents=True)
    for name, audio in zip((*STEMS, "mix"), (*stems, stems.sum(0)), strict=True):
        soundfile.write(folder / song / f"{name}.wav", audio, SAMPLE_RATE_HZ, subtype="FLOAT")


def write_cache(cache: Path, stimuli: Path, subjects: tuple[str, ...], songs: tuple[str, ...]) -> None:
    """Listeners whose channels show the stems' loudness, 4 s of pause before each song."""
    (cache / "signals").mkdir(parents=True)
    rows, channels = [], {}
    positions = spread_points(CHANNELS, -0.2) * 0.095 + np.array([0.0, 0.0, 0.04])
    # Each stem's own corner of the head.
    corners = spread_points(4, 0.2)
    pattern = np.exp(4 * (spread_points(CHANNELS, -0.2) @ corners.T) - 4)
    length = round(SONG_S * 64)
    for number, subject in enumerate(subjects):
        rng = np.random.default_rng([7, number])
        signal = 0.3 * rng.standard_normal((CHANNELS, (length + 256) * len(songs))).astype(np.float32)
        for place, song in enumerate(songs):
            audio = np.stack([soundfile.read(stimuli / song / f"{stem}.wav", dtype="float32")[0] for stem in STEMS])
            loud = control_curves(torch.from_numpy(audio))[:, 1].repeat_interleave(2, -1).numpy()
            first = place * (length + 256) + 256
            signal[:, first : first + length] += 4 * pattern @ (loud - loud.mean(-1, keepdims=True))
            onset_s = first / 64
            rows += [
                {
                    "window_id": f"{subject}/{start}", "recording": subject, "subject": subject, "session": None,
                    "run": "01", "trial": place, "stimulus": song, "stimulus_onset_s": onset_s,
                    "stimulus_file": f"{stimuli}/{song}/mix.wav", "start_sample": start, "n_samples": 192, "repeat": 1,
                }
                for start in (first, first + 96, first + 192)
            ]  # fmt: skip
        rows.append({**rows[0], "window_id": f"{subject}/pause", "start_sample": 0, "stimulus": None,
                     "stimulus_file": None, "stimulus_onset_s": None})  # fmt: skip
        np.save(cache / "signals" / f"{subject}.npy", signal)
        names = [f"E{k}" for k in range(CHANNELS)]
        channels[subject] = {"names": names, "positions_m": positions.tolist(), "good": [True] * CHANNELS}
    (cache / "windows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    meta = {
        "schema": SCHEMA, "kind": "eeg", "sfreq_hz": 64, "subjects": list(subjects), "n_channels_max": CHANNELS,
        "channels_by_recording": channels, "content_hash": f"{cache.name}-{len(rows)}",
    }  # fmt: skip
    (cache / "meta.json").write_text(json.dumps(meta))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six songs, four people who heard them all, and another person who heard other songs."""
    root = tmp_path_factory.mktemp("world")
    for number, song in enumerate((*SONGS, "rock-0-0000", "rock-0-0001")):
        write_song(root / "stimuli", song, number)
    write_cache(root / "all", root / "stimuli", SUBJECTS, SONGS)
    write_cache(root / "other", root / "stimuli", ("sub-9",), ("rock-0-0000", "rock-0-0001"))
    write_cache(root / "same-songs", root / "stimuli", ("sub-8",), SONGS[:2])
    return root


@pytest.fixture
def clap(monkeypatch: pytest.MonkeyPatch) -> FakeClap:
    fake = FakeClap()
    monkeypatch.setattr(encoder_module, "load_target_encoder", lambda path: (fake, "fake"))
    return fake


def settings(world: Path, **changes: Any) -> EncoderConfig:
    values = {
        "caches": [str(world / "all")], "valid_subjects": 0.25, "valid_songs": 0.34, "clap": "made/up",
        "window_s": WINDOW_S, "target_hop_s": 0.5,
        "options": {"points": 16, "filters": 2, "width": 8, "global_width": 8, "head_width": 16, "dilations": [1, 2]},
    }  # fmt: skip
    return EncoderConfig.model_validate({**values, **changes})


def built(world: Path, **changes: Any) -> tuple[EncoderTask, Windows, nn.Module]:
    task = EncoderTask(settings(world, **changes), seed=0)
    items = task.train_items()
    torch.manual_seed(0)
    return task, items, task.build_model()  # type: ignore[return-value]


# -- targets ---------------------------------------------------------------------------------------


def test_targets_are_those_of_the_window(world: Path) -> None:
    clap = FakeClap()
    store = TargetStore(clap, "fake", window_s=WINDOW_S, hop_s=0.5)
    file = str(world / "stimuli" / SONGS[0] / "mix.wav")
    embedding, curves = store[file].at(1.5)
    audio = torch.from_numpy(np.stack([soundfile.read(track, dtype="float32")[0] for track in track_files(Path(file))]))
    first, count = round(1.5 * SAMPLE_RATE_HZ), round(WINDOW_S * SAMPLE_RATE_HZ)
    window = audio[:, first : first + count]
    np.testing.assert_allclose(embedding, clap.embed_audio(window).numpy(), atol=1e-6)
    # A frame looks back by 74 ms: at the edges the curves of the whole song are the better ones.
    np.testing.assert_allclose(curves[..., 3:-3], control_curves(window[1:]).numpy()[..., 3:-3], atol=1e-5)
    between, _ = store[file].at(1.75)
    assert np.allclose(np.linalg.norm(between, axis=-1), 1.0, atol=1e-6)
    mean = embedding + store[file].at(2.0)[0]
    np.testing.assert_allclose(between, mean / np.linalg.norm(mean, axis=-1, keepdims=True), atol=1e-6)


def test_targets_are_computed_once_and_found_again_by_content(world: Path, tmp_path: Path) -> None:
    file = str(world / "stimuli" / SONGS[1] / "mix.wav")
    clap = FakeClap()
    first = TargetStore(clap, "a", window_s=WINDOW_S, hop_s=1.0, cache=tmp_path)
    first.prepare([file, file])
    calls = clap.calls
    again = TargetStore(clap, "a", window_s=WINDOW_S, hop_s=1.0, cache=tmp_path)
    np.testing.assert_array_equal(again[file].embedding, first[file].embedding)
    np.testing.assert_array_equal(again[file].curves, first[file].curves)
    assert clap.calls == calls
    TargetStore(clap, "other weights", window_s=WINDOW_S, hop_s=1.0, cache=tmp_path).prepare([file])
    assert clap.calls > calls


def test_a_missing_stem_is_named(tmp_path: Path) -> None:
    write_song(tmp_path, "a", 0)
    (tmp_path / "a" / "bass.wav").unlink()
    with pytest.raises(DataError, match=r"bass\.wav missing"):
        track_files(tmp_path / "a" / "mix.wav")


# -- data ------------------------------------------------------------------------------------------


def test_presentations_cover_the_songs(world: Path) -> None:
    found = find_presentations(PreparedDataset(world / "all"), 192)
    assert len(found) == len(SUBJECTS) * len(SONGS)
    assert all(part.first == round(part.onset_s * 64) and part.last == part.first + 192 for part in found)
    with pytest.raises(DataError, match="no window of 8 s"):
        find_presentations(PreparedDataset(world / "all"), 512)


def test_a_split_holds_out_people_and_songs(world: Path) -> None:
    split = split_presentations(find_presentations(PreparedDataset(world / "all"), 192), 0.25, 0.34, seed=0)
    for what in ("subject", "song"):
        sides = [{getattr(part, what) for part in side} for side in (split.train, split.valid)]
        assert not sides[0] & sides[1] and all(sides)
    assert len(split.train) == 3 * 4 and len(split.valid) == 1 * 2


def test_versions_of_a_work_are_held_out_together_and_told(world: Path) -> None:
    found = [
        replace(part, work_id=f"w{SONGS.index(part.song) // 2}")
        for part in find_presentations(PreparedDataset(world / "all"), 192)
    ]
    split = split_presentations(found, 0.25, 0.34, seed=0)
    assert {part.work for part in split.valid} == {split.valid[0].work}
    assert len({part.song for part in split.valid}) == 2
    manifest = split_manifest(split)
    for side in (manifest, manifest["valid"]):
        assert side["works"] == {song: f"w{SONGS.index(song) // 2}" for song in side["songs"]}
    (one, *_), valid = split.train, split.valid
    with pytest.raises(LeakError, match="1 works are in training and in validation"):
        Split((replace(one, work_id=valid[0].work), *split.train), valid).check()
    undeclared = split_manifest(
        Split(*(tuple(replace(part, work_id=None) for part in side) for side in (split.train, valid)))
    )
    assert "works" not in undeclared and "works" not in undeclared["valid"]


def test_what_was_heard_is_told_by_content_and_one_file_is_on_one_side(world: Path, tmp_path: Path) -> None:
    names = split_presentations(find_presentations(PreparedDataset(world / "all"), 192), 0.25, 0.34, seed=0)
    split = names.with_hashes()
    manifest, unread = split_manifest(split), split_manifest(names)
    for side in (manifest, manifest["valid"]):
        assert side["stimuli"] == sorted(sha256_file(world / "stimuli" / song / "mix.wav") for song in side["songs"])
    # What was trained before hashes were told goes on.
    assert manifest["data_hash"] == unread["data_hash"] and "stimuli" not in unread
    shutil.copy(split.train[0].stimulus_file, tmp_path / "renamed.wav")
    copied = replace(split.valid[0], song="renamed", stimulus_file=str(tmp_path / "renamed.wav"))
    with pytest.raises(LeakError, match="1 stimuli are in training and in validation"):
        Split(split.train, (copied,)).with_hashes()
    write_json(tmp_path / "training_manifest.json", manifest)
    with pytest.raises(LeakError, match="trained on 1 stimuli held out here"):
        refuse_known(tmp_path, ["renamed"], stimuli=[sha256_file(tmp_path / "renamed.wav")])
    later = with_earlier({"songs": ["new"], "stimuli": ["new-hash"]}, tmp_path)
    assert set(later["stimuli"]) == {"new-hash", *manifest["stimuli"]}
    assert later["valid"]["stimuli"] == manifest["valid"]["stimuli"]


def test_weights_that_know_another_version_of_a_held_out_work_are_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "training_manifest.json", {"songs": ["a"], "works": {"a": "w"}})
    refuse_known(tmp_path, ["b"])
    with pytest.raises(LeakError, match="trained on 1 works held out here: w"):
        refuse_known(tmp_path, ["b"], works={"b": "w"})


def test_a_manifest_decides_who_trains(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    config = SplitConfig(by="grid", test_share=0.34, listen=False)
    body = split_cache(world / "all", file, config)
    task = EncoderTask(settings(world, split=str(file)), seed=0)
    task.train_items()
    for what, attribute in (("songs", "song"), ("subjects", "subject")):
        met = {getattr(part, attribute) for part in (*task.split.train, *task.split.valid)}
        assert met <= set(body["train"][what]) and met & {getattr(part, attribute) for part in task.split.valid}
    assert task.manifest()["split"] == {"by": "song and subject", "sha256": body["sha256"]}
    # The other side is met only where it is held out for that.
    body = split_cache(world / "all", file, config.model_copy(update={"held_out": "validation"}))
    task = EncoderTask(settings(world, split=str(file)), seed=0)
    for side, part in (("train", task.split.train), ("test", task.split.valid)):
        assert {item.song for item in part} == set(body[side]["songs"])
        assert {item.subject for item in part} == set(body[side]["subjects"])
    other = [str(world / "other")]
    for changes, error, said in (
        ({"caches": other}, DataError, "the split of another cache"),
        ({"caches": [str(world / "all"), *other]}, ConfigError, "task.split with 2 caches"),
        ({"valid_caches": other}, ConfigError, "one validation"),
        ({"split": str(tmp_path / "none.json")}, DataError, "No split manifest at"),
    ):
        with pytest.raises(error, match=said):
            EncoderTask(settings(world, **{"split": str(file), **changes}), seed=0)
    body["window_ids"]["train"].append(body["window_ids"]["test"][0])
    write_json(file, body)
    with pytest.raises(LeakError, match="share 1 of 2 songs"):
        EncoderTask(settings(world, split=str(file)), seed=0)


def test_windows_beside_the_test_do_not_train(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    """With a wide gap the manifest leaves windows of training songs out: no crop is cut from them."""
    body = split_cache(world / "all", tmp_path / "split.json", SplitConfig(by="song", gap_s=5.0, listen=False))
    assert body["windows"]["unused"] > 0
    data = PreparedDataset(world / "all")
    sides = read_split(tmp_path / "split.json", data)
    spans = [(data.rows[n]["recording"], data.rows[n]["start_sample"]) for n in sides.test]
    for part in find_presentations(data, 192, sides.train):
        near = [start for recording, start in spans if recording == part.recording]
        assert all(start >= part.last + 192 + 320 or part.first >= start + 192 + 320 for start in near)


def test_where_everybody_heard_other_songs_people_decide(world: Path) -> None:
    found = [
        *find_presentations(PreparedDataset(world / "same-songs"), 192),
        *find_presentations(PreparedDataset(world / "other"), 192),
    ]
    split = split_presentations(found, 0.5, 0.01, seed=0)
    assert len(split.train) == 2 and len(split.valid) == 2


def test_two_people_of_one_label_are_not_learned_as_one(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    write_cache(tmp_path / "other-lab", world / "stimuli", SUBJECTS[:1], SONGS[:2])
    caches = [str(world / "all"), str(tmp_path / "other-lab")]
    with pytest.raises(DataError, match=r"sub-0 stands in .*all and in .*other-lab.*task\.same_people=true"):
        EncoderTask(settings(world, caches=caches), seed=0).train_items()
    task = EncoderTask(settings(world, caches=caches, same_people=True), seed=0)
    task.train_items()
    assert set(task.spec.subjects) < set(SUBJECTS)


@pytest.mark.parametrize(("cache", "what"), [("same-songs", "songs"), ("all", "subjects")])
def test_leaks_are_refused(world: Path, clap: FakeClap, cache: str, what: str) -> None:
    with pytest.raises(LeakError, match=f"{what} are in training and in validation"):
        EncoderTask(settings(world, valid_caches=[str(world / cache)]), seed=0)


def test_recordings_of_another_kind_are_refused(world: Path, tmp_path: Path) -> None:
    write_cache(tmp_path / "other", world / "stimuli", ("sub-9",), ("rock-0-0000", "rock-0-0001"))
    meta = tmp_path / "other" / "meta.json"
    meta.write_text(meta.read_text().replace('"kind": "eeg"', '"kind": "meg"'))
    with pytest.raises(DataError, match=r"different signals: eeg at 64 Hz, meg at 64 Hz.*a cache of its own"):
        EncoderTask(settings(world, valid_caches=[str(tmp_path / "other")]), seed=0)
    meta.write_text(meta.read_text().replace('"kind": "meg"', '"kind": "mixed"'))
    found = tuple(find_presentations(PreparedDataset(tmp_path / "other"), 192))
    with pytest.raises(DataError, match="different signals: mixed at 64 Hz"):
        joint_spec(Split(found[:1], found[1:]))


def test_missing_stems_are_refused_before_targets_are_computed(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "stimuli", tmp_path / "stimuli")
    write_cache(tmp_path / "all", tmp_path / "stimuli", SUBJECTS, SONGS)
    (tmp_path / "stimuli" / SONGS[0] / "bass.wav").unlink()
    with pytest.raises(DataError, match=rf"bass\.wav missing in .*{SONGS[0]}"):
        EncoderTask(settings(world, caches=[str(tmp_path / "all")]), seed=0)


def test_an_item_depends_on_its_visit_alone(world: Path, clap: FakeClap) -> None:
    _, items, _ = built(world)
    first, other = items.item(3, 5), items.item(3, 6)
    items.item(1, 0)
    again = items.item(3, 5)
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
    assert not np.array_equal(first["eeg"], other["eeg"])


def test_eeg_and_targets_are_of_the_same_moment(world: Path, clap: FakeClap) -> None:
    """The planted listeners show loudness itself: window and curves have to agree, wherever the window starts."""
    task, _, _ = built(world)
    source = task._windows(task.split.train, None)
    for draw in range(5):
        item = source.item(draw, draw)
        shown = item["eeg"].mean(0).reshape(-1, 2).mean(1)
        assert np.corrcoef(shown, item["curves"][:, 1].mean(0))[0, 1] > 0.7


def test_augmentation_does_what_it_says() -> None:
    rng = np.random.default_rng(0)
    eeg, mask = np.ones((40, 320), np.float32), np.ones(40, bool)
    positions = spread_points(40, -0.2).astype(np.float32) * 0.095
    config = AugmentConfig(channel_dropout=0.5, without_positions=0.5, time_mask_share=0.5, time_mask_s=1.0)
    done = [augment(eeg.copy(), positions, mask, config, rng) for _ in range(200)]
    kept = np.array([m.mean() for _, _, m in done])
    assert kept.min() > 0.3 and kept.max() <= 1.0 and 0.7 < kept.mean() < 0.8
    assert 0.35 < np.mean([np.isnan(p).all() for _, p, _ in done]) < 0.65
    gaps = np.array([(e == 0).all(0).sum() for e, _, _ in done])
    assert 0 < gaps.max() <= 64 and np.mean(gaps > 0) > 0.3
    moved = [np.linalg.norm(p - positions, axis=1).mean() for _, p, _ in done if not np.isnan(p).any()]
    assert 0.002 < np.mean(moved) < 0.02


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 12, 28), (1.0, 40, 40)])
def test_a_share_of_the_windows_is_changed(world: Path, clap: FakeClap, share: float, low: int, high: int) -> None:
    task, _, _ = built(world)
    part = task.split.train[0]
    plain = task._windows(task.split.train, None)
    changed = task._windows(task.split.train, AugmentConfig(share=share, unseen=0.0))
    given = plain.window(part, part.first, np.random.default_rng(0))["eeg"]
    drawn = [changed.window(part, part.first, np.random.default_rng(draw))["eeg"] for draw in range(40)]
    assert low <= sum(not np.array_equal(one, given) for one in drawn) <= high


def test_the_cap_is_turned_about_a_random_axis() -> None:
    turned = np.stack([small_rotation(3.0, np.random.default_rng(seed)) for seed in range(400)])
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turned.shape), atol=1e-6)
    vectors = np.stack([np.random.default_rng(seed).standard_normal(3) for seed in range(400)])
    angles = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    np.testing.assert_allclose(angles, 3.0 * np.linalg.norm(vectors, axis=1), atol=0.05)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", turned, vectors), vectors, atol=1e-6)  # the axis stays
    assert (small_rotation(0.0, np.random.default_rng(0)) == np.eye(3)).all()


def test_four_channels_stay_whatever_is_dropped() -> None:
    rng, mask = np.random.default_rng(0), np.ones(5, bool)
    for _ in range(50):
        _, _, kept = augment(
            np.ones((5, 64), np.float32), np.zeros((5, 3), np.float32), mask, AugmentConfig(channel_dropout=0.9), rng
        )
        assert kept.sum() >= 4


def test_padding_adds_masked_channels() -> None:
    eeg, positions, mask = pad_channels(np.ones((3, 8), np.float32), np.ones((3, 3), np.float32), np.ones(3, bool), 5)
    assert eeg.shape == (5, 8) and mask.tolist() == [True] * 3 + [False] * 2 and np.isnan(positions[3:]).all()


# -- loss and scores -------------------------------------------------------------------------------


def test_two_processes_have_the_loss_and_the_gradients_of_one(world: Path, clap: FakeClap) -> None:
    """Two halves with gathered negatives against the whole batch in one, gathering emulated."""
    # In whitened coordinates gradients are as much larger as filters are smaller, and so is their rounding.
    task, items, model = built(world, whiten=0)
    batch = collate([items.item(index, 0) for index in range(8)])
    halves = [{key: value[part] for key, value in batch.items()} for part in (slice(0, 4), slice(4, 8))]

    def gradients(losses: list[Tensor]) -> list[Tensor]:
        model.zero_grad()
        torch.stack(losses).mean().backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    whole = task.loss(model, batch, step=0, gather=lambda tensor: tensor)["loss"]
    expected = gradients([whole])
    recorded: list[list[Tensor]] = [[], []]

    def recorder(rank: int) -> Callable[[Tensor], Tensor]:
        def gather(tensor: Tensor) -> Tensor:
            recorded[rank].append(tensor)
            return tensor

        return gather

    for rank in range(2):
        task.loss(model, halves[rank], step=0, gather=recorder(rank))

    def joined() -> Callable[[Tensor], Tensor]:
        turns = iter(zip(*recorded, strict=True))
        return lambda tensor: torch.cat(next(turns))

    losses = [task.loss(model, halves[rank], step=0, gather=joined())["loss"] for rank in range(2)]
    torch.testing.assert_close(torch.stack(losses).mean(), whole, atol=1e-5, rtol=0)
    # Each gathered tensor carries both halves' graphs here, as if the processes' gradients were summed and averaged.
    for found, wanted in zip(gradients(losses), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_windows_without_positions_train_the_path_without_positions_alone(world: Path, clap: FakeClap) -> None:
    """What configs/encoder/without_positions.yaml relies on: all other weights stay what they are."""
    task, items, model = built(world, augment={"without_positions": 1.0})
    task.loss(model, collate([items.item(index, 0) for index in range(6)]), step=0, gather=lambda x: x)[
        "loss"
    ].backward()
    moved = {name.split(".")[1] for name, p in model.encoder.named_parameters(prefix="e") if p.grad.abs().max() > 0}
    assert moved == {"agnostic"}


class Oracle(nn.Module):
    """Says what the targets say, or what the next window's say."""

    device = torch.device("cpu")

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.answers: list[dict[str, Tensor]] = []

    def forward(self, eeg: Tensor, positions_m: Tensor, channel_mask: Tensor, subject: Tensor) -> BrainConditions:
        assert bool((subject == -1).all())
        batch = self.answers.pop(0)
        embedding, curves = batch["embedding"].roll(self.shift, 0), batch["curves"].roll(self.shift, 0)
        return BrainConditions(embedding[:, 0], embedding[:, 1:], curves, torch.ones(len(eeg), dtype=torch.bool))


@pytest.mark.parametrize("shift", [0, 1])
def test_scores_of_the_truth_and_of_the_wrong_song(world: Path, clap: FakeClap, shift: int) -> None:
    task, _, _ = built(world)
    source = task._windows(task.split.train, None)
    windows = validation_windows(task.split.train[:4], task.samples, 4)
    assert len({part.song for part, _ in windows}) == 4
    oracle = Oracle(shift)
    oracle.answers = [collate([source.window(part, start, np.random.default_rng(0)) for part, start in windows])]
    scores = encoder_scores(oracle, source, windows)  # type: ignore[arg-type]
    if shift == 0:
        assert scores["pairwise_joint"] == 1.0 and scores["top1_joint"] == 1.0 and scores["gallery"] == 4
        assert scores["r_onset"] == pytest.approx(1.0, abs=1e-3) and scores["cosine_joint"] == pytest.approx(1.0)
    else:
        assert scores["top1_joint"] < 0.3 and abs(scores["r_onset"]) < 0.3


def test_a_stem_that_never_sounds_has_no_figure_and_spoils_no_other(
    world: Path, clap: FakeClap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on such pieces ends well: what cannot be told is left out of log, state and card."""
    at = PieceTargets.at

    def without_melody(self: PieceTargets, start_s: float) -> tuple[np.ndarray, np.ndarray]:
        embedding, curves = at(self, start_s)
        return embedding, curves * np.array([1, 1, 1, 0], np.float32)[:, None, None]

    monkeypatch.setattr(PieceTargets, "at", without_melody)
    result = run(world, tmp_path / "run", "steps=2", "warmup_steps=1", "tensorboard=false")
    assert result.finished and "r_onset_melody" not in result.figures
    assert {"r_onset", "r_onset_bass", "r_onset_at_delay"} <= set(result.figures)
    assert all(np.isfinite(value) for value in result.figures.values())


def test_galleries_hold_no_song_twice() -> None:
    songs = [f"s{k % 60}" for k in range(150)]
    groups = galleries(songs)
    assert sorted(row for group in groups for row in group) == list(range(150))
    for group in groups:
        assert len({songs[row] for row in group}) == len(group) <= 50


# -- whole runs ------------------------------------------------------------------------------------


def run(world: Path, out: Path, *changes: str) -> Any:
    config = settings(world, targets=str(world / "targets")).model_dump(mode="json")
    file = out.parent / f"{out.name}.yaml"
    file.write_text(json.dumps({"task": config, "train": {"out": str(out), "batch_size": 8, "threads": 1}}))
    overrides = [change if change.startswith("task.") else f"train.{change}" for change in changes]
    return train("encoder", str(file), overrides)


def test_a_run_learns_and_exports(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    result = run(world, tmp_path / "run", "steps=60", "warmup_steps=5", "learning_rate=5e-3", "ema_decay=0.9",
                 "valid_every=0", "tensorboard=false")  # fmt: skip
    assert result.finished
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["curve_correlation"] for line in lines if "curve_correlation" in line]
    assert losses[-1] < 0.8 * losses[0]
    # People and songs it never met: the planted loudness is found all the same.
    assert result.figures["r_loudness"] > 0.4
    encoder = load_model(BrainEncoder, result.export)
    manifest = read_json(result.export / "training_manifest.json")
    assert set(manifest["subjects"]) == set(encoder.spec.subjects)
    assert not set(manifest["subjects"]) & set(manifest["valid"]["subjects"])
    assert encoder.config["training_manifest"]["songs"] == manifest["songs"]
    assert manifest["conditioning_space"] == conditioning_space(clap)
    assert encoder.config["embedding_dim"] == FakeClap.embedding_dim


def test_weights_that_are_kept_hold_no_trace_of_how_they_were_trained(
    world: Path, clap: FakeClap, tmp_path: Path
) -> None:
    task, items, trainee = built(world, match_curves=0)
    plain = built(world, whiten=0)[2]
    assert trainee.encoder.unmix.basis is not None and plain.encoder.unmix.basis is None
    batch = collate([items.item(0, 0), items.item(1, 0)])
    inputs = [batch[name] for name in INPUTS]
    trainee.eval(), plain.eval()
    # The same function as without, in the training and as it is kept.
    expected = plain.encoder(*inputs)
    torch.testing.assert_close(trainee.encoder(*inputs).curves, expected.curves, rtol=1e-3, atol=1e-4)
    task.export(trainee, tmp_path)
    assert trainee.encoder.unmix.basis is not None  # the training goes on
    kept = load_model(BrainEncoder, tmp_path)
    torch.testing.assert_close(kept(*inputs).curves, expected.curves, rtol=0.02, atol=2e-3)
    stored = load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    assert {name for name, value in stored.items() if value.dtype == torch.float32} == set(BrainEncoder.exact_weights)


def test_kept_curves_vary_as_heard_ones_do(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    task, _, trainee = built(world)
    with torch.no_grad():
        trainee.encoder.to_curves.weight.normal_(std=0.1)
    shown = fit_batches(task._windows(task.split.train, None), 64)
    task.export(trainee.eval(), tmp_path)

    def far(encoder: BrainEncoder) -> float:
        made = torch.cat([encoder(*(batch[name] for name in INPUTS)).curves for batch in shown])
        heard = torch.cat([batch["curves"] for batch in shown])
        return float((made.var(-1).mean(0).sqrt() / heard.var(-1).mean(0).sqrt()).log().abs().mean())

    with torch.no_grad():
        before, after = far(trainee.encoder), far(load_model(BrainEncoder, tmp_path))
    assert after < 0.5 * before


def stored(encoder: BrainEncoder, name: str) -> Tensor:
    """A weight as an export keeps it."""
    value: Tensor = encoder.state_dict()[name]
    return value if name in encoder.exact_weights else value.bfloat16().float()


def test_a_run_whose_held_out_piece_is_one_has_figures_without_identification(
    world: Path, clap: FakeClap, tmp_path: Path
) -> None:
    result = run(world, tmp_path / "run", "steps=1", "valid_every=0", "tensorboard=false", "task.valid_songs=0.1")
    assert result.finished and result.figures["songs"] == 1
    assert "r_loudness" in result.figures and not any("pairwise" in key for key in result.figures)


def test_a_run_starts_from_weights_that_never_met_what_is_held_out(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    first, _, trained = built(world, whiten=0, match_curves=0)
    first.export(trained, tmp_path)
    write_json(tmp_path / "training_manifest.json", first.manifest())
    _, _, model = built(world, start_from=str(tmp_path), whiten=0)
    for name, value in model.encoder.state_dict().items():
        assert torch.equal(value, stored(trained.encoder, name)), name
    # The same people hear new songs, and somebody else what they heard before.
    write_cache(world / "again", world / "stimuli", first.spec.subjects, ("rock-0-0000", "rock-0-0001"))
    heard = set(first.manifest()["songs"])
    write_cache(world / "stranger", world / "stimuli", ("sub-7",), tuple(sorted(heard))[:2])
    with pytest.raises(LeakError, match="was trained on 2 songs held out here"):
        built(world, start_from=str(tmp_path), caches=[str(world / "again")], valid_caches=[str(world / "stranger")])


def test_a_second_stage_may_have_other_people_and_forgets_nobody(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    first, _, trained = built(world, whiten=0, match_curves=0)
    people = first.spec.subjects
    with torch.no_grad():
        trained.encoder.unmix.personal.normal_()
        trained.encoder.unmix.response.normal_()
    first.export(trained, tmp_path)
    write_json(tmp_path / "training_manifest.json", first.manifest())
    write_cache(world / "lab", world / "stimuli", (people[1], "sub-a", "sub-b"), ("rock-0-0000", "rock-0-0001"))
    write_song(world / "stimuli", "rock-0-0002", 99)
    write_cache(world / "guest", world / "stimuli", ("sub-g",), ("rock-0-0002",))
    second, _, model = built(
        world,
        start_from=str(tmp_path),
        whiten=0,
        caches=[str(world / "lab")],
        valid_caches=[str(world / "guest")],
    )
    assert second.spec.subjects == (people[1], "sub-a", "sub-b")
    state = model.encoder.state_dict()
    for name in BrainEncoder.personal_weights:
        assert torch.equal(state[name][0], stored(trained.encoder, name)[1])
        assert not state[name][1:].any()
    assert torch.equal(state["unmix.shared"], stored(trained.encoder, "unmix.shared"))
    # What the first stage met is known to the second, for the check of a test set and in the weights' own config.
    met = second.manifest()
    assert set(met["subjects"]) == {*people, "sub-a", "sub-b"}
    assert set(met["songs"]) == {*first.manifest()["songs"], "rock-0-0000", "rock-0-0001"}
    assert model.encoder.config["training_manifest"]["songs"] == met["songs"]
    assert set(met["valid"]["songs"]) == {"rock-0-0002", *first.manifest()["valid"]["songs"]} - set(met["songs"])
    # The first stage was on simulated people, and the second on others: both are told.
    write_json(tmp_path / "training_manifest.json", {**first.manifest(), "simulated": True})
    assert second.manifest()["simulated"] is False and second.manifest()["simulated_before"] is True
    assert "simulated_before" not in met
    second.export(model, tmp_path / "second")
    write_json(tmp_path / "second" / "training_manifest.json", met)
    with pytest.raises(LeakError, match="was trained on"):
        refuse_known(tmp_path / "second", first.manifest()["songs"])


def test_sizes_are_those_of_the_weights_that_a_stage_begins_with(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    first, _, trained = built(world, whiten=0, match_curves=0)
    first.export(trained, tmp_path)
    write_json(tmp_path / "training_manifest.json", first.manifest())
    second, _, model = built(world, whiten=0, start_from=str(tmp_path), options={})
    assert (second.options["filters"], second.options["width"]) == (2, 8)
    assert torch.equal(model.encoder.unmix.shared, trained.encoder.unmix.shared)
    with pytest.raises(CheckpointError, match="holds a BrainEncoder"):
        built(world, start_from=str(tmp_path), encoder="brainmodule", options={},
              augment={"without_positions": 0})  # fmt: skip
    # Sizes that are given count, and then the weights do not fit.
    with pytest.raises(CheckpointError, match="do not fit"):
        built(world, start_from=str(tmp_path), options={"filters": 3})


def test_people_unknown_to_a_published_encoder_begin_as_everybody_else() -> None:
    pytest.importorskip("braindecode")

    def encoder(*subjects: str) -> BrainModuleEncoder:
        spec = SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=subjects, n_channels_max=64)
        return BrainModuleEncoder.build(spec, hidden_dim=16, depth=2, points=16)

    old, new = encoder("a", "b", "c"), encoder("x", "c")
    state = old.state_dict()
    name = "body.subject_layers_module.weights"
    assert name in new.personal_weights
    new.load_state_dict(new.for_people(state, ("a", "b", "c")))
    rows = new.state_dict()[name]
    assert len(rows) == 3
    assert all(torch.equal(rows[place], state[name][row]) for place, row in ((0, 3), (1, 2), (2, 3)))


def test_ridge_runs_through_the_same_script(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    result = run(world, tmp_path / "ridge", "steps=1", "task.encoder=ridge", "task.options={points: 12, lags: 4}",
                 "task.augment.without_positions=0", "task.fit_windows=24", "tensorboard=false")  # fmt: skip
    assert result.figures["r_loudness"] > 0.4
    manifest = read_json(result.export / "training_manifest.json")
    (fitted,) = manifest["fitted"].values()
    assert set(fitted["songs"]) <= set(manifest["songs"]) and set(fitted["subjects"]) <= set(manifest["subjects"])
    loaded = load_model(RidgeEncoder, result.export)
    assert float(loaded.curve_weight.abs().max()) > 0


def test_an_encoder_that_needs_positions_is_not_trained_without(world: Path, clap: FakeClap) -> None:
    with pytest.raises(ConfigError, match="without_positions=0"):
        EncoderTask(settings(world, encoder="ridge", options={}), seed=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_dim": 7}, "no option 'embedding_dim'"),
        ({"points": "many"}, r"cannot be built with task\.options = .'points': 'many'"),
        ({"dilations": 3}, "cannot be built"),
        ({"width": -1}, "cannot be built"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    world: Path, clap: FakeClap, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        built(world, options=options)
    assert "\n" not in str(caught.value)


def test_another_clap_is_other_data(world: Path, clap: FakeClap, monkeypatch: pytest.MonkeyPatch) -> None:
    def data_hash() -> str:
        task = EncoderTask(settings(world), seed=0)
        task.train_items()
        return task.manifest()["data_hash"]

    before = data_hash()
    assert data_hash() == before
    monkeypatch.setattr(encoder_module, "load_target_encoder", lambda path: (clap, "other weights"))
    assert data_hash() != before


def test_brainmodule_runs_through_the_same_script(world: Path, clap: FakeClap, tmp_path: Path) -> None:
    from eeg2music.compat import mend_torchaudio

    mend_torchaudio()
    pytest.importorskip("braindecode", reason="the extra 'baselines' is not installed")
    small = "{points: 12, hidden_dim: 8, depth: 2, head_width: 8}"
    result = run(world, tmp_path / "run", "steps=12", "warmup_steps=2", "learning_rate=5e-3", "log_every=1",
                 "task.encoder=brainmodule", f"task.options={small}", "task.augment.without_positions=0",
                 "valid_every=0", "tensorboard=false")  # fmt: skip
    losses = [json.loads(line).get("loss") for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    found = [loss for loss in losses if loss is not None]
    assert np.mean(found[-3:]) < np.mean(found[:3])
    assert "r_loudness" in result.figures and "pairwise_global_without_positions" not in result.figures
    assert load_model(BrainModuleEncoder, result.export).config["embedding_dim"] == FakeClap.embedding_dim


def test_an_option_that_does_not_exist_is_named(world: Path, clap: FakeClap) -> None:
    with pytest.raises(ConfigError, match=r"no option 'widht'.*width"):
        EncoderTask(settings(world, options={"widht": 3}), seed=0)


@pytest.mark.parametrize("key", ["clap", "start_from"])
def test_a_missing_folder_is_refused_before_recordings_are_read(world: Path, tmp_path: Path, key: str) -> None:
    config = settings(world, caches=["not looked at"], **{key: str(tmp_path / "run" / "export")})
    with pytest.raises(CheckpointError, match=r"No checkpoint at .*export"):
        EncoderTask(config, seed=0)
