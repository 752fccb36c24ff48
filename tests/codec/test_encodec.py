"""The codec against transformers' own EncodecModel, on disk and back, and its refusals."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import EncodecConfig, EncodecModel

from eeg2music.codec.convolution import DirectConv1d, DirectConvTranspose1d, without_copies
from eeg2music.codec.encodec import STATISTICS_FILE, Codec, latent_statistics
from eeg2music.errors import CheckpointError, ConfigError, InputError

TINY = {"hidden_size": 8, "num_filters": 2, "num_lstm_layers": 1, "codebook_size": 16}


def stock(**more: object) -> EncodecModel:
    """A random EncodecModel as it would come from the hub."""
    torch.manual_seed(0)
    return EncodecModel(EncodecConfig(**{**TINY, "target_bandwidths": [1.5, 3.0], **more})).eval()


@pytest.fixture
def codec() -> Codec:
    torch.manual_seed(1)
    made = Codec.from_config(**TINY, use_causal_conv=False, pad_mode="constant").eval()
    books = made.codebooks()
    made.set_codebooks(torch.randn_like(books), torch.ones(books.shape[:2]))
    made.set_statistics(torch.linspace(-1, 1, 8), torch.linspace(0.5, 2, 8))
    return made


AUDIO = 0.1 * torch.randn(2, 24_000, generator=torch.Generator().manual_seed(5))

VARIANTS = [
    {},
    {"use_causal_conv": False},
    {"use_causal_conv": False, "pad_mode": "constant", "use_conv_shortcut": False},
    {"use_causal_conv": False, "pad_mode": "constant", "upsampling_ratios": [5, 4, 4, 4]},
    {"norm_type": "time_group_norm", "use_causal_conv": False, "pad_mode": "constant"},
    {"trim_right_ratio": 0.5, "dilation_growth_rate": 3, "num_residual_layers": 2},
]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("samples", [3200, 3333, 321])
@torch.no_grad()
def test_lighter_convolutions_give_the_same_numbers(variant: dict, samples: int) -> None:
    theirs = stock(**variant)
    ours = without_copies(copy.deepcopy(theirs))
    assert any(type(module) is DirectConv1d for module in ours.modules())
    assert any(type(module) is DirectConvTranspose1d for module in ours.modules())
    audio = AUDIO[:, None, :samples]
    latents = theirs.encoder(audio)
    torch.testing.assert_close(ours.encoder(audio), latents, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.decoder(latents), theirs.decoder(latents), atol=1e-5, rtol=1e-5)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kernel", [10, 8])
@pytest.mark.parametrize("frames", [375, 750])
@torch.no_grad()
def test_on_several_threads_the_first_frames_are_right_and_the_same_again(
    two_threads: None, kernel: int, frames: int
) -> None:
    # The sizes of the shipped decoder: a convolution that trims 3 and 2 samples itself comes out wrong at 750 frames.
    config = EncodecConfig(**TINY, use_causal_conv=False, pad_mode="constant")
    layer = DirectConvTranspose1d(config, 256, 128, kernel, stride=kernel // 2).eval()
    frames_in = torch.randn(4, 256, frames, generator=torch.Generator().manual_seed(3))
    found = [layer(frames_in) for _ in range(6)]
    exact = layer.double()(frames_in.double()).float()
    assert found[0].shape == (4, 128, frames * kernel // 2)
    for one in found:
        torch.testing.assert_close(one, exact, atol=1e-5, rtol=1e-5)
        assert torch.equal(one, found[0])


@torch.no_grad()
def test_a_convolution_trims_itself_only_where_both_sides_lose_the_same(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    convolve = torch.nn.functional.conv_transpose1d

    def note(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        made = convolve(x, weight, bias, stride, padding)
        asked.append((weight.shape[-1] - stride, padding))
        assert made.shape[-1] % stride == 0
        return made

    monkeypatch.setattr("eeg2music.codec.convolution.F.conv_transpose1d", note)
    codec.decode(torch.zeros(1, 8, 10))
    assert sorted(asked) == [(2, 1), (4, 2), (5, 0), (8, 4)]


@torch.no_grad()
def test_shapes(codec: Codec) -> None:
    latents = codec.encode(AUDIO)
    assert latents.shape == (2, 8, 75) and codec.frame_rate_hz == 75 and codec.channels == 8
    assert codec.decode(latents).shape == (2, 24_000)
    assert codec.encode(AUDIO[:, :23_681]).shape == (2, 8, 75)
    assert codec.decode(codec.encode(AUDIO[:, :12_345]), samples=12_345).shape == (2, 12_345)
    assert codec(AUDIO[:, :12_345]).audio.shape == (2, 12_345)


@torch.no_grad()
def test_a_clip_is_the_same_alone_and_in_a_batch(codec: Codec) -> None:
    torch.testing.assert_close(codec.encode(AUDIO)[1:], codec.encode(AUDIO[1:]), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_saved_and_loaded_is_the_same(codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path)
    again = Codec.from_pretrained(tmp_path)
    assert torch.equal(again.encode(AUDIO), codec.encode(AUDIO))
    assert torch.equal(again.latent_std, codec.latent_std) and torch.equal(again.latent_mean, codec.latent_mean)
    assert torch.equal(again.codebooks(), codec.codebooks())
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".safetensors", ".safetensors"]


@torch.no_grad()
@pytest.mark.parametrize("rate", [24_000, 32_000])
def test_models_of_the_hub_load_by_the_same_class(tmp_path: Path, rate: int) -> None:
    # facebook/encodec_24khz and encodec_32khz in small: causal or not, reflecting, other ratios and rates.
    more = {"upsampling_ratios": [8, 5, 4, 4], "use_causal_conv": False} if rate == 32_000 else {}
    theirs = stock(sampling_rate=rate, **more)
    theirs.save_pretrained(tmp_path)
    codec = Codec.from_pretrained(tmp_path)
    assert codec.sample_rate_hz == rate and codec.frame_rate_hz == (75 if rate == 24_000 else 50)
    torch.testing.assert_close(codec.encode(AUDIO), theirs.encoder(AUDIO[:, None]), atol=1e-5, rtol=1e-5)
    with pytest.raises(CheckpointError, match="no latent statistics"):
        codec.normalize(codec.encode(AUDIO))


@torch.no_grad()
def test_the_exported_folder_is_a_plain_encodec(codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path)
    theirs = EncodecModel.from_pretrained(tmp_path).eval()
    encoded = theirs.encode(AUDIO[:, None], bandwidth=3.0)
    codes = codec.quantize(codec.encode(AUDIO), 3.0)
    assert torch.equal(encoded.audio_codes[0], codes)
    theirs_decoded = theirs.decode(encoded.audio_codes, encoded.audio_scales).audio_values[:, 0]
    torch.testing.assert_close(codec.decode(codec.dequantize(codes)), theirs_decoded, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_bandwidth_sets_the_number_of_codes(codec: Codec) -> None:
    latents = codec.encode(AUDIO)
    per_book = 75 * 4 / 1000  # 16 codes are 4 bits
    for bandwidth in codec.bandwidths_kbps:
        assert codec.quantize(latents, bandwidth).shape[1] == int(bandwidth / per_book)
    with pytest.raises(InputError, match=r"12\.0 kb/s.*1\.5, 3\.0, 6\.0"):
        codec.quantize(latents, 12.0)


@torch.no_grad()
def test_normalizing_is_undone(codec: Codec) -> None:
    latents = codec.encode(AUDIO)
    torch.testing.assert_close(codec.denormalize(codec.normalize(latents)), latents)
    codec.set_statistics(*latent_statistics([latents[:1], latents[1:]]))
    normal = codec.normalize(latents).transpose(0, 1).flatten(1)
    torch.testing.assert_close(normal.mean(dim=1), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(normal.std(dim=1), torch.ones(8), atol=1e-3, rtol=0)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = stock()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="safetensors"):
        Codec.from_pretrained(tmp_path)


def test_damaged_and_missing_folders_are_refused(codec: Codec, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        Codec.from_pretrained(tmp_path / "nowhere")
    codec.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="No codec can be loaded"):
        Codec.from_pretrained(tmp_path)


def test_a_name_of_the_hub_is_looked_for_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def ask(name: str, *, local_files_only: bool, **_: object) -> None:
        asked.append((name, local_files_only))
        raise OSError("no network in tests")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(EncodecModel, "from_pretrained", ask)
    with pytest.raises(CheckpointError, match="No codec can be loaded from nobody/nothing"):
        Codec.from_pretrained("nobody/nothing")
    with pytest.raises(CheckpointError, match="No codec can be loaded"):
        Codec.from_pretrained(tmp_path)
    assert asked == [("nobody/nothing", False), (str(tmp_path), True)]


def test_weights_of_other_shapes_are_refused(codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_residual_layers": 2}))
    with pytest.raises(CheckpointError, match="No codec can be loaded"):
        Codec.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "target_bandwidths": [1.5, 24.0]}))
    with pytest.raises(CheckpointError, match="do not fit its config"):
        Codec.from_pretrained(tmp_path)


def test_stereo_models_and_wrong_shapes_are_refused(codec: Codec) -> None:
    with pytest.raises(CheckpointError, match="stereo"):
        Codec(stock(audio_channels=2))
    with pytest.raises(InputError, match=r"\(batch, samples\)"):
        codec.encode(torch.zeros(1, 1, 640))
    with pytest.raises(CheckpointError, match="mean"):
        codec.set_statistics(torch.zeros(3), torch.ones(8))
    with pytest.raises(ConfigError, match="No EnCodec"):
        Codec.from_config(**{**TINY, "codebook_size": 17})


# -- which latents it makes --------------------------------------------------------------------


def test_latents_are_known_by_encoder_and_statistics_whatever_decodes_them(codec: Codec, tmp_path: Path) -> None:
    space = codec.latent_space()
    codec.save_pretrained(tmp_path)
    assert Codec.from_pretrained(tmp_path).latent_space() == space


@pytest.mark.parametrize(("part", "same"), [("decoder", True), ("quantizer", True), ("encoder", False)])
def test_another_part_makes_other_latents_or_not(codec: Codec, part: str, same: bool) -> None:
    space = codec.latent_space()
    with torch.no_grad():
        for tensor in getattr(codec.encodec, part).state_dict().values():
            if tensor.is_floating_point():
                tensor.mul_(1.5)
    assert (codec.latent_space() == space) is same


def test_other_statistics_make_other_latents(codec: Codec) -> None:
    space = codec.latent_space()
    codec.set_statistics(codec.latent_mean.clone(), codec.latent_std * 1.001)
    assert codec.latent_space() != space


def test_an_encoder_stored_in_bfloat16_makes_the_same_latents(codec: Codec) -> None:
    space = codec.latent_space()
    codec.encodec.to(torch.bfloat16).float()
    assert codec.latent_space() == space


def test_saving_without_statistics_leaves_none_of_an_earlier_codec(codec: Codec, tmp_path: Path) -> None:
    codec.save_pretrained(tmp_path)
    assert (tmp_path / STATISTICS_FILE).is_file()
    (tmp_path / "notes.txt").write_text("mine")
    bare = Codec(codec.encodec)
    bare.save_pretrained(tmp_path)
    assert not Codec.from_pretrained(tmp_path).has_statistics
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.parent.iterdir() if path.name.startswith(f".{tmp_path.name}")) == []


def test_a_failure_while_saving_leaves_what_was_there(
    codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("eeg2music.codec.encodec.save_file", fail)
    with pytest.raises(OSError, match="no space"):
        codec.save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
