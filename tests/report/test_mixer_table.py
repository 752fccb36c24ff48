"""The mixer's table never states a key or a tempo without how sure it is."""

from __future__ import annotations

import pytest

from eeg2music.report.mixer_table import mixer_table


@pytest.mark.parametrize(("limiter_db", "said"), [(0.0, "nothing was limited"), (6.39, "turned down by up to 6.4 dB")])
@pytest.mark.parametrize(
    ("clear", "shown"), [(True, ["G major", "0.83"]), (False, ["no clear key (nearest: G major)", "0.83"])]
)
def test_the_mixers_table_says_how_sure_it_is(limiter_db: float, said: str, clear: bool, shown: list[str]) -> None:
    row = {
        "key": "G major", "key_fit": 0.83, "key_is_clear": clear, "tempo_bpm": None, "tempo_confidence": 0.0,
        "tempo_is_clear": False, "transposed_semitones": 0.0, "tempo_factor": 1.0, "loudness_lufs": -23.0,
        "gain_db": 1.0,
    }  # fmt: skip
    table = mixer_table({
        "stems": {"bass": row}, "corrections": [], "left_alone": [], "notes": [], "gain_db": 5.0,
        "limiter_db": limiter_db, "true_peak_dbtp": -1.0, "by_chance": {"key_fit": 0.71, "tempo_confidence": 0.09},
    })  # fmt: skip
    assert table["rows"] == [["bass", *shown, "–", "–", "+0", "1", "-23.0", "+1.0"]]
    assert len(table["heads"]) == len(table["rows"][0])
    for text in (said, "key by 0.71 or more", "reach 0.09", "raised by +5.0 dB"):
        assert text in table["note"]
