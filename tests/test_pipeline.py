"""From windows to stems: a clip depends on its own conditions, its id and the seed, and on nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.errors import CheckpointError, ConfigError, InputError
from eeg2music.pipeline import (
    BrainToMusicPipeline,
    PipelineOutput,
    SamplingConfig,
    concatenate,
    crossfade,
    load_pipeline,
    no_conditions,
    pick_device,
)
from eeg2music.seeding import numpy_rng, torch_noise
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, Conditions, Window
from eeg2music.weights import checkpoint_sha256

FAST = SamplingConfig(steps=2)
SECONDS = 2.0


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint: Path) -> BrainToMusicPipeline:
    return load_pipeline(tiny_checkpoint, "cpu")


def conditions(count: int, seconds: float = SECONDS, *, seed: int = 0) -> Conditions:
    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch_noise((count, *shape), seed, "unit", *shape), dim=-1)

    frames = round(seconds * CURVE_RATE_HZ)
    return Conditions(unit(128), unit(len(STEMS), 128), torch_noise((count, len(STEMS), 3, frames), seed).abs())


def window(name: str, *, channels: int = 10, seconds: float = 3.0, start_s: float = 0.0) -> Window:
    rng = numpy_rng(0, "window", name)
    places = rng.normal(size=(channels, 3))
    places *= 0.09 / np.linalg.norm(places, axis=1, keepdims=True)
    return Window(
        eeg=rng.normal(size=(channels, round(seconds * EEG_RATE_HZ))).astype(np.float32),
        positions_m=places.astype(np.float32),
        channel_mask=np.ones(channels, dtype=bool),
        subject="sub-x",
        window_id=name,
        start_s=start_s,
    )


def make(pipeline: BrainToMusicPipeline, given: Conditions | None, ids: str, **changes: object) -> PipelineOutput:
    options: dict[str, object] = {"duration_s": SECONDS, "sampling": FAST} | changes
    return pipeline(given, sample_ids=list(ids), **options)  # type: ignore[arg-type]


def test_stems_have_the_shape_the_length_and_some_sound(pipeline: BrainToMusicPipeline) -> None:
    stems = make(pipeline, conditions(2), "ab").stems
    assert stems.shape == (2, len(STEMS), round(SECONDS * SAMPLE_RATE_HZ))
    assert stems.dtype == np.float32
    assert np.isfinite(stems).all()
    assert (stems.std(axis=-1) > 0).all()


@pytest.mark.parametrize("seconds", [2.005, 2.99, 4.0])
def test_the_clip_is_as_long_as_it_was_asked_for(pipeline: BrainToMusicPipeline, seconds: float) -> None:
    stems = make(pipeline, None, "a", duration_s=seconds).stems
    assert stems.shape[-1] == round(seconds * SAMPLE_RATE_HZ)


def test_a_clip_is_the_same_to_the_byte_alone_in_a_batch_and_in_another_order(pipeline: BrainToMusicPipeline) -> None:
    given = conditions(3)
    together = make(pipeline, given, "abc").stems
    turned = given.map(lambda tensor: tensor.flip(0))
    assert np.array_equal(make(pipeline, turned, "cba").stems, together[::-1])
    for row, name in enumerate("abc"):
        assert np.array_equal(make(pipeline, given[row : row + 1], name).stems[0], together[row])


def test_seed_id_and_conditions_each_matter(pipeline: BrainToMusicPipeline) -> None:
    given = conditions(1)
    base = make(pipeline, given, "a").stems
    others = {
        "seed": make(pipeline, given, "a", seed=1),
        "id": make(pipeline, given, "b"),
        "global": make(pipeline, given.replace(global_embedding=conditions(1, seed=1).global_embedding), "a"),
        "stem": make(pipeline, given.replace(stem_embedding=conditions(1, seed=1).stem_embedding), "a"),
        "curves": make(pipeline, given.replace(curves=conditions(1, seed=1).curves), "a"),
    }
    for name, other in others.items():
        assert not np.array_equal(other.stems, base), name


def test_the_global_generator_is_not_used(pipeline: BrainToMusicPipeline) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = make(pipeline, conditions(1), "a").stems
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert np.array_equal(make(pipeline, conditions(1), "a").stems, first)


def test_without_conditions_their_values_do_not_matter(pipeline: BrainToMusicPipeline) -> None:
    none = no_conditions(2, SECONDS, pipeline.transformer)
    values = conditions(2)
    dropped = values.replace(keep_global=none.keep_global, keep_stem=none.keep_stem, keep_curves=none.keep_curves)
    silent = make(pipeline, None, "ab").stems
    assert np.array_equal(make(pipeline, dropped, "ab").stems, silent)
    assert not np.array_equal(make(pipeline, values, "ab").stems, silent)


def test_steps_are_reported_with_what_they_made(pipeline: BrainToMusicPipeline) -> None:
    seen: dict[str, object] = {}
    output = make(pipeline, None, "a", hook=seen.__setitem__)
    assert list(seen) == ["latents generated", "stems decoded"]
    assert seen["stems decoded"] is output.stems


@pytest.mark.parametrize(("ids", "message"), [("a", "1 sample ids for 2"), ("aa", "repeated")])
def test_ids_have_to_name_the_clips(pipeline: BrainToMusicPipeline, ids: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(pipeline, conditions(2), ids)


def test_no_steps_are_refused(pipeline: BrainToMusicPipeline) -> None:
    with pytest.raises(ConfigError, match=r"steps = 0.*1 or more"):
        make(pipeline, None, "a", sampling=SamplingConfig(steps=0))


# -- encoding ----------------------------------------------------------------------------------


def test_windows_are_encoded_alike_alone_and_beside_wider_ones(pipeline: BrainToMusicPipeline) -> None:
    windows = [window("a"), window("b", channels=17), window("c", channels=6)]
    together = pipeline.encode(windows)
    for row, one in enumerate(windows):
        alone = pipeline.encode([one])
        for name in ("global_embedding", "stem_embedding", "curves"):
            assert torch.allclose(getattr(together, name)[row], getattr(alone, name)[0], atol=1e-5), name


def test_batches_do_not_change_the_order(pipeline: BrainToMusicPipeline) -> None:
    windows = [window(name) for name in "abcde"]
    whole, parts = pipeline.encode(windows), pipeline.encode(windows, batch_size=2)
    assert torch.allclose(whole.global_embedding, parts.global_embedding, atol=1e-5)
    assert torch.allclose(whole.curves, parts.curves, atol=1e-5)


def test_what_a_bad_channel_holds_does_not_matter(pipeline: BrainToMusicPipeline) -> None:
    good = window("a")
    mask = good.channel_mask.copy()
    mask[3] = False
    wild = good.eeg.copy()
    wild[3] = 1e6
    one, other = (pipeline.encode([replace(good, eeg=eeg, channel_mask=mask)]) for eeg in (good.eeg, wild))
    assert torch.equal(one.stem_embedding, other.stem_embedding)
    assert torch.equal(one.curves, other.curves)


def test_a_long_clip_takes_its_conditions_from_windows_along_it(pipeline: BrainToMusicPipeline) -> None:
    starts = (0.0, 2.5, 5.0, 7.0)
    windows = [window(f"w{start}", seconds=5.0, start_s=start) for start in starts]
    of_clip = pipeline.clip_conditions(windows, 12.0)
    alone = pipeline.encode(windows)
    assert of_clip.global_embedding.shape == (1, 4, 128)
    assert torch.equal(of_clip.stem_embedding[0], alone.stem_embedding)
    assert of_clip.curves.shape == (1, len(STEMS), 3, 12 * CURVE_RATE_HZ)
    first = slice(0, int(2.5 * CURVE_RATE_HZ))  # where the first window is the only one
    assert torch.allclose(of_clip.curves[0, ..., first], alone.curves[0][..., first], atol=1e-6)
    stems = make(pipeline, of_clip, "a", duration_s=12.0).stems
    assert stems.shape == (1, len(STEMS), 12 * SAMPLE_RATE_HZ)


def test_a_recording_that_does_not_begin_at_zero(pipeline: BrainToMusicPipeline) -> None:
    windows = [window(f"w{start}", seconds=5.0, start_s=start) for start in (0.0, 2.5)]
    later = [replace(w, start_s=w.start_s + 30.0) for w in windows]
    assert torch.equal(pipeline.clip_conditions(windows, 7.5).curves, pipeline.clip_conditions(later, 7.5).curves)


# -- cross-fade --------------------------------------------------------------------------------


def constant(value: float, length: int = 8) -> torch.Tensor:
    return torch.full((1, 1, length), value)


def test_one_window_passes_through() -> None:
    curves = torch_noise((1, 4, 3, 8), 0)
    assert torch.allclose(crossfade(curves, [0], 8), curves[0], atol=1e-6)


def test_equal_windows_leave_no_seam() -> None:
    blended = crossfade(torch.stack([constant(2.0)] * 3), [0, 4, 6], 14)
    assert torch.allclose(blended, torch.full((1, 1, 14), 2.0))


def test_an_overlap_goes_over_evenly() -> None:
    blended = crossfade(torch.stack([constant(0.0), constant(1.0)]), [0, 4], 12)[0, 0]
    # Ramps 4, 3, 2, 1 down and 1, 2, 3, 4 up: their shares are fifths.
    assert torch.allclose(blended[:4], torch.zeros(4))
    assert torch.allclose(blended[4:8], torch.tensor([0.2, 0.4, 0.6, 0.8]))
    assert torch.allclose(blended[8:], torch.ones(4))


def test_a_rounding_frame_at_the_end_repeats_the_last() -> None:
    assert crossfade(torch.stack([constant(3.0)]), [0], 9)[0, 0].tolist() == pytest.approx([3.0] * 9)


def test_windows_beyond_the_end_are_cut() -> None:
    assert crossfade(torch.stack([constant(3.0)]), [0], 5).shape == (1, 1, 5)


def test_concatenate_keeps_what_is_there() -> None:
    parts = [conditions(1), conditions(2, seed=1)]
    joined = concatenate(parts)
    assert len(joined) == 3
    assert joined.keep_global is None
    assert torch.equal(joined.curves[1:], parts[1].curves)


# -- checkpoints -------------------------------------------------------------------------------


def test_saved_and_loaded_it_is_the_same(pipeline: BrainToMusicPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    again = BrainToMusicPipeline.from_pretrained(tmp_path)
    for name in ("encoder", "transformer", "codec"):
        ours, theirs = getattr(pipeline, name).state_dict(), getattr(again, name).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    given = conditions(1)
    assert np.array_equal(make(again, given, "a").stems, make(pipeline, given, "a").stems)
    again.save_pretrained(tmp_path / "second")
    assert checkpoint_sha256(tmp_path / "second" / "diffusion") == checkpoint_sha256(tmp_path / "diffusion")


def test_another_encoder_before_the_same_generator(pipeline: BrainToMusicPipeline) -> None:
    other = pipeline.with_encoder(pipeline.encoder)
    assert other.transformer is pipeline.transformer
    assert other.codec is pipeline.codec


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        load_pipeline(folder, "cpu")
    assert "\n" not in str(caught.value)


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    refused(tmp_path / "gone", r"No checkpoint at .*gone.*Remedy: check the path")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is not a complete checkpoint: encoder, diffusion, codec missing")


def test_a_missing_part(copy: Path) -> None:
    shutil.rmtree(copy / "diffusion")
    refused(copy, "is not a complete checkpoint: diffusion missing")


def test_a_codec_of_another_family(copy: Path) -> None:
    from eeg2music.codec.encodec import Codec

    other = Codec.from_config(
        hidden_size=12, num_filters=4, num_residual_layers=1, upsampling_ratios=[5, 4, 4, 4], num_lstm_layers=1,
        codebook_size=16,
    )  # fmt: skip
    shutil.rmtree(copy / "codec")
    other.save_pretrained(copy / "codec")
    refused(copy, "the codec has 12 latent channels, the diffusion model 8.*Remedy")


@pytest.mark.parametrize("part", ["encoder", "diffusion", "codec"])
def test_damaged_weights_of_any_part(copy: Path, part: str) -> None:
    file = next(path for path in sorted((copy / part).glob("*.safetensors")) if path.stem != "latent_statistics")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    refused(copy, part)


def test_damaged_latent_statistics(copy: Path) -> None:
    (copy / "codec" / "latent_statistics.safetensors").write_bytes(b"nothing")
    refused(copy, r"latent_statistics\.safetensors is damaged or not safetensors")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(InputError, match=f"No device '{name}'.*Allowed: cpu, cuda") as caught:
        pick_device(name)
    assert "\n" not in str(caught.value)


def test_devices_that_are_there() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda")
