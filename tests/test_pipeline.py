"""From windows to stems: a clip depends on its own conditions, its id and the seed, and on nothing else."""

from __future__ import annotations

import inspect
import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support import refused

from eeg2music.codec.encodec import Codec
from eeg2music.compatibility import NO_CONDITIONING_SPACE, NO_LATENT_SPACE
from eeg2music.diffusion.generate import generate_latents
from eeg2music.errors import CheckpointError, ConfigError, InputError, LeakError
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.known import refuse_known
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
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, Conditions, FloatArray, Window
from eeg2music.weights import MANIFEST_NAME, checkpoint_sha256

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


def make(pipeline: BrainToMusicPipeline, given: Conditions | None, ids: str, /, **changes: object) -> PipelineOutput:
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
        make(pipeline, None, "a", sampling=FAST.model_copy(update={"steps": 0}))


def test_no_ids_are_refused(pipeline: BrainToMusicPipeline) -> None:
    with pytest.raises(InputError, match=r"No sample ids.*Allowed: one id per clip"):
        make(pipeline, conditions(1)[:0], "")


def test_every_setting_of_the_sampler_is_heard(pipeline: BrainToMusicPipeline) -> None:
    given = conditions(1)
    usual = SamplingConfig(steps=3)
    base = make(pipeline, given, "a", sampling=usual).stems
    changes: dict[str, dict[str, object]] = {
        "euler": {"sampler": "euler"},
        "heun": {"sampler": "heun"},
        "shift": {"shift": 2.0},
        "interval": {"interval": (0.0, 0.5)},
        "rescale": {"rescale": 0.7},
    }
    for name, change in changes.items():
        other = make(pipeline, given, "a", sampling=usual.model_copy(update=change)).stems
        assert not np.array_equal(other, base), name
    told = {"interval": (0.0, 1.0), "rescale": 0.0, "sampler": "multistep", "shift": 1.0}
    assert np.array_equal(make(pipeline, given, "a", sampling=usual.model_copy(update=told)).stems, base)


def test_one_number_of_steps_is_the_default_everywhere() -> None:
    steps = inspect.signature(generate_latents).parameters["steps"].default
    assert steps == SamplingConfig().steps == 8


def test_keywords_that_nobody_reads_are_refused(pipeline: BrainToMusicPipeline, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="torch_dtype"):
        BrainToMusicPipeline.from_pretrained(tmp_path, torch_dtype=torch.float16)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="variant"):
        pipeline.save_pretrained(tmp_path, variant="fp16")  # type: ignore[call-arg]


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
    reading = pipeline.read_clip(windows, 12.0)
    of_clip = reading.conditions
    assert reading.regions_known.tolist() == [True] * 4
    assert not reading.listener_known
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
    one, other = (pipeline.read_clip(some, 7.5).conditions for some in (windows, later))
    assert torch.equal(one.curves, other.curves)


def test_channel_weights_are_the_encoders_own_without_bad_channels(pipeline: BrainToMusicPipeline) -> None:
    good = window("a")
    mask = good.channel_mask.copy()
    mask[3] = False
    weights = pipeline.read_clip([replace(good, channel_mask=mask)], 3.0).channel_weights
    assert weights is not None and weights.shape == (len(STEMS), 10)
    inputs = (torch.from_numpy(good.positions_m)[None], torch.from_numpy(mask)[None], torch.tensor([-1]))
    expected = pipeline.encoder.channel_weights(*inputs)
    assert expected is not None
    assert np.array_equal(weights, expected[0].numpy())
    assert not weights[:, 3].any()
    assert (np.delete(weights, 3, axis=1) > 0).all()


def test_with_three_good_positions_regions_are_said_not_to_be_told_apart(pipeline: BrainToMusicPipeline) -> None:
    few = window("a")
    places = few.positions_m.copy()
    places[4:] = np.nan
    told = pipeline.read_clip([replace(few, positions_m=places)], 3.0)
    mask = few.channel_mask.copy()
    mask[0] = False  # a bad one of the four
    untold = pipeline.read_clip([replace(few, positions_m=places, channel_mask=mask)], 3.0)
    assert told.regions_known.tolist() == [True]
    assert untold.regions_known.tolist() == [False]
    assert untold.channel_weights is not None and not untold.channel_weights.any()


def test_a_person_who_was_trained_on_gets_what_was_learned_of_them(pipeline: BrainToMusicPipeline) -> None:
    encoder = deepcopy(pipeline.encoder)
    with torch.no_grad():
        encoder.unmix.personal.fill_(0.5)
    learned = pipeline.with_encoder(encoder)
    somebody = window("a")
    known = replace(somebody, subject="sub-train01")
    assert learned.read_clip([known], 3.0).listener_known
    assert not learned.read_clip([somebody], 3.0).listener_known
    both = learned.encode([known, somebody])
    alone = pipeline.encode([somebody, known])
    # The shared path is that of a stranger, whatever was learned of others.
    assert torch.allclose(both.curves[1], alone.curves[0], atol=1e-6)
    assert torch.allclose(alone.curves[1], alone.curves[0], atol=1e-6)
    assert not torch.allclose(both.curves[0], both.curves[1], atol=1e-3)


# -- some stems alone ------------------------------------------------------------------------


def sound(*shape: int) -> FloatArray:
    return np.asarray(0.1 * numpy_rng(0, "sound").standard_normal(shape), dtype=np.float32)


def test_stems_that_are_not_wanted_are_silent_and_not_heard_by_the_others(pipeline: BrainToMusicPipeline) -> None:
    given = conditions(2)
    whole = make(pipeline, given, "ab").stems
    some = make(pipeline, given, "ab", only=["bass", "drums"]).stems
    assert not some[:, 2:].any()
    assert (some[:, :2].std(axis=-1) > 0).all()
    assert not np.array_equal(some[:, :2], whole[:, :2])
    other = given.replace(curves=given.curves.clone())
    other.curves[:, 2:] += 1.0
    assert np.array_equal(make(pipeline, other, "ab", only=["drums", "bass"]).stems, some)
    every = make(pipeline, given, "ab", only=list(STEMS)).stems
    assert np.array_equal(every, whole)


@pytest.mark.parametrize("seconds", [SECONDS, 2.005])
def test_given_sound_comes_back_as_it_was_and_is_heard(pipeline: BrainToMusicPipeline, seconds: float) -> None:
    bass = sound(1, round(seconds * SAMPLE_RATE_HZ))
    options = {"duration_s": seconds, "only": ["melody"]}
    stems = make(pipeline, None, "a", given={"bass": bass}, **options).stems
    assert np.array_equal(stems[:, 1], bass)
    assert not stems[:, [0, 2]].any()
    assert stems[:, 3].std() > 0
    other = make(pipeline, None, "a", given={"bass": bass[:, ::-1].copy()}, **options).stems
    assert not np.array_equal(other[:, 3], stems[:, 3])


def test_given_latents_come_back_as_they_were(pipeline: BrainToMusicPipeline) -> None:
    seen: dict[str, torch.Tensor] = {}
    latents = torch_noise((1, 8, 150), 5)
    stems = make(pipeline, None, "a", given={"bass": latents}, hook=seen.__setitem__).stems
    assert torch.equal(seen["latents generated"][:, 1], latents)
    # Decoded beside other stems: the same but for rounding.
    np.testing.assert_allclose(stems[:, 1], pipeline.decode(latents[:, None], stems.shape[-1])[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "only", "message"),
    [
        ({}, ["trumpet"], "No stem is named 'trumpet'.*drums"),
        ({"voice": (1, 48_000)}, None, "No stem is named 'voice'"),
        ({}, [], "Nothing is left to generate"),
        ({"bass": (1, 48_000)}, ["bass"], "Nothing is left to generate"),
        ({"bass": (1, 47_999)}, None, r"given bass has shape \(1, 47999\).*\(1, 48000\)"),
        ({"bass": (2, 48_000)}, None, r"given bass has shape \(2, 48000\)"),
        ({"bass": (1, 7, 150)}, None, r"given bass has shape \(1, 7, 150\).*\(1, 8, 150\)"),
    ],
)
def test_stems_that_cannot_be_given_or_made(
    pipeline: BrainToMusicPipeline, given: dict[str, tuple[int, ...]], only: list[str] | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(pipeline, None, "a", given={name: sound(*shape) for name, shape in given.items()}, only=only)


def test_given_sound_as_a_tensor_with_a_gradient(pipeline: BrainToMusicPipeline) -> None:
    # Where numpy cannot look, as into the memory of a GPU.
    bass = torch.from_numpy(sound(1, 48_000)).requires_grad_()
    assert np.array_equal(make(pipeline, None, "a", given={"bass": bass}).stems[:, 1], sound(1, 48_000))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_given_sound_on_a_gpu(pipeline: BrainToMusicPipeline) -> None:
    bass = torch.from_numpy(sound(1, 48_000)).cuda()
    assert np.array_equal(make(pipeline, None, "a", given={"bass": bass}).stems[:, 1], sound(1, 48_000))


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


def test_what_was_trained_on_is_saved_with_the_models(
    tiny_checkpoint: Path, tmp_path: Path, pipeline: BrainToMusicPipeline
) -> None:
    pipeline.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"encoder", "diffusion", "codec"}
    again = load_pipeline(tmp_path, "cpu")
    assert again.manifests == pipeline.manifests
    assert again.warnings == ()
    for name in ("clap", "scorer"):
        shutil.copytree(tiny_checkpoint / name, tmp_path / name)
    refuse_known(tmp_path, heard("song-0"))
    with pytest.raises(LeakError, match="tiny-train"):
        refuse_known(tmp_path, heard("tiny-train"))


def test_a_damaged_manifest_is_named_before_anything_is_scored(copy: Path) -> None:
    (copy / "scorer" / MANIFEST_NAME).write_text("[")
    with pytest.raises(CheckpointError, match=r"scorer/training_manifest\.json is damaged.*Remedy"):
        refuse_known(copy, heard("song-0"))


def heard(song: str) -> Heard:
    stems = np.zeros((1, len(STEMS), 1), dtype=np.float32)
    return Heard((replace(window("a"), stimulus_id=song),), np.array([0]), stems, (song,), "mixed")


def test_another_encoder_does_not_take_over_what_the_first_was_trained_on(
    pipeline: BrainToMusicPipeline, tmp_path: Path
) -> None:
    pipeline.save_pretrained(tmp_path)
    pipeline.with_encoder(pipeline.encoder).save_pretrained(tmp_path)
    assert not (tmp_path / "encoder" / MANIFEST_NAME).exists()
    assert (tmp_path / "diffusion" / MANIFEST_NAME).is_file()


def test_another_encoder_before_the_same_generator(pipeline: BrainToMusicPipeline) -> None:
    other = pipeline.with_encoder(pipeline.encoder)
    assert other.transformer is pipeline.transformer
    assert other.codec is pipeline.codec


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    refused(tmp_path / "gone", r"No checkpoint at .*gone.*Remedy: check the path")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "is not a complete checkpoint: encoder, diffusion, codec missing")


def test_a_missing_part(copy: Path) -> None:
    shutil.rmtree(copy / "diffusion")
    refused(copy, "is not a complete checkpoint: diffusion missing")


def test_a_codec_of_another_family(copy: Path) -> None:
    other = Codec.from_config(
        hidden_size=12, num_filters=4, num_residual_layers=1, upsampling_ratios=[5, 4, 4, 4], num_lstm_layers=1,
        codebook_size=16,
    )  # fmt: skip
    shutil.rmtree(copy / "codec")
    other.save_pretrained(copy / "codec")
    refused(copy, "the codec has 12 latent channels, the diffusion model 8.*Remedy")


def test_a_codec_of_the_same_sizes_that_makes_other_latents(copy: Path) -> None:
    codec = Codec.from_pretrained(copy / "codec")
    codec.set_statistics(codec.latent_mean + 0.1, codec.latent_std)
    codec.save_pretrained(copy / "codec")
    refused(copy, "the diffusion model was trained on the latents of another codec.*Remedy: use a codec and")


def test_a_decoder_can_be_exchanged(copy: Path) -> None:
    codec = Codec.from_pretrained(copy / "codec")
    with torch.no_grad():
        for parameter in codec.encodec.decoder.parameters():
            parameter.mul_(1.1)
    codec.save_pretrained(copy / "codec")
    assert load_pipeline(copy, "cpu").warnings == ()


def test_a_diffusion_model_that_does_not_name_its_latents_is_warned_of(copy: Path) -> None:
    file = copy / "diffusion" / MANIFEST_NAME
    file.write_text(json.dumps({"songs": ["tiny-train"]}))
    assert load_pipeline(copy, "cpu").warnings == (NO_LATENT_SPACE, NO_CONDITIONING_SPACE)
    file.unlink()
    assert load_pipeline(copy, "cpu").warnings == (NO_LATENT_SPACE, NO_CONDITIONING_SPACE)
    file.write_text("[")
    refused(copy, r"training_manifest\.json is damaged.*Remedy")


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
