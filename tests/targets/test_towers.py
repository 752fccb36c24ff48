"""The log-mel front-end and the towers: exact frames, any length, silence."""

from __future__ import annotations

import pytest
import torch

from eeg2music.targets.towers import MEL_HOP, SILENCE, AudioTower, LogMel, ModulationSpectrum, TextTower, frames_of
from eeg2music.types import SAMPLE_RATE_HZ


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    shape = (2, round(seconds * SAMPLE_RATE_HZ))
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_frames_of_a_stretch_are_those_of_the_whole() -> None:
    audio, front = noise(3.0), LogMel()
    whole, start, samples = front(audio), 40, SAMPLE_RATE_HZ
    part = front(audio[:, start * MEL_HOP : start * MEL_HOP + samples])
    torch.testing.assert_close(part, whole[..., start : start + frames_of(samples)], rtol=1e-5, atol=1e-5)


def test_the_scale_of_the_log_mel() -> None:
    front = LogMel()
    assert float(front(torch.zeros(1, SAMPLE_RATE_HZ)).max()) == SILENCE
    quiet, loud = front(noise(1.0)), front(10.0 * noise(1.0))
    torch.testing.assert_close(loud - quiet, torch.ones_like(loud), atol=1e-3, rtol=0)


def test_the_band_of_a_sine_rises_with_its_frequency() -> None:
    time = torch.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    bands = [
        int(LogMel()(torch.sin(2 * torch.pi * f * time)[None])[0].mean(-1).argmax()) for f in (110, 440, 1760, 7040)
    ]
    assert bands == sorted(set(bands))


@pytest.mark.parametrize("rate_hz", [1.5, 3.0, 6.0])
def test_the_modulation_spectrum_peaks_at_the_pulse_whatever_its_phase(rate_hz: float) -> None:
    spectrum = ModulationSpectrum(groups=1)
    torch.nn.init.constant_(spectrum.groups.weight, 1 / 128)
    time = torch.arange(500) / 50.0
    peaks = []
    for phase in (0.0, 0.3):
        envelope = (torch.sin(2 * torch.pi * (rate_hz * time + phase)) > 0.9).float()
        with torch.no_grad():
            out = spectrum(envelope.expand(1, 128, -1) * 2 + SILENCE)[0]
        peaks.append(float(torch.logspace(torch.tensor(0.4).log10(), torch.tensor(12.0).log10(), 40)[out.argmax()]))
    ratio = torch.tensor(peaks) / rate_hz
    # The strongest may be a harmonic of so sharp a pulse, never something in between.
    assert all(abs(float(r) - round(float(r))) < 0.12 * float(r) for r in ratio)
    assert peaks[0] == peaks[1]


@pytest.mark.parametrize("seconds", [0.5, 1.0, 5.0, 10.0])
def test_any_length_gives_one_unit_vector(seconds: float) -> None:
    tower = AudioTower(16, 8, (1, 2)).eval()
    with torch.no_grad():
        out = tower(LogMel()(noise(seconds)))
    assert out.shape == (2, 16)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(2))


def test_padding_does_not_change_a_text() -> None:
    tower = TextTower(16, tokens=20, max_tokens=10, width=16, layers=1).eval()
    short = torch.tensor([[2, 5, 6]])
    padded = torch.tensor([[2, 5, 6, 0, 0], [2, 7, 8, 9, 1]])
    with torch.no_grad():
        torch.testing.assert_close(tower(short)[0], tower(padded)[0], rtol=1e-4, atol=1e-5)
