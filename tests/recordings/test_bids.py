"""BIDS: an independent writer's data set is read back; missing files are listed together."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError
from eeg2music.recordings.bids import BidsDataset
from eeg2music.recordings.read import read_recording
from eeg2music.recordings.sidecars import Sidecars, read_tsv


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_raw: Any) -> Path:
    """Two subjects of one run each, written by MNE-BIDS."""
    import mne
    import mne_bids

    root = tmp_path_factory.mktemp("bids") / "study"
    for subject in ("01", "02"):
        raw = make_raw(seconds=8.0, montage="biosemi64", secret=True)
        raw.set_annotations(mne.Annotations([1.0, 5.0], [3.0, 0.0], ["music", "pause"]))
        raw.info["line_freq"] = 60.0
        raw.info["bads"] = ["T7"]
        raw.set_channel_types({"Pz": "eog"}, verbose="ERROR")
        path = mne_bids.BIDSPath(subject=subject, task="listen", run="1", datatype="eeg", root=root)
        mne_bids.write_raw_bids(
            raw, path, allow_preload=True, format="BrainVision", overwrite=True, verbose="ERROR", anonymize=None
        )
        events = path.copy().update(suffix="events", extension=".tsv").fpath
        lines = events.read_text().splitlines()
        lines = [f"{line}\t{'stim_file' if i == 0 else ('a/mix.wav' if 'music' in line else 'n/a')}"
                 for i, line in enumerate(lines)]  # fmt: skip
        events.write_text("\n".join(lines) + "\n")
    return root


def test_the_same_as_an_independent_reader(dataset: Path) -> None:
    import mne_bids

    found = BidsDataset(dataset)
    assert [r.key for r in found.recordings] == ["sub-01_task-listen_run-1", "sub-02_task-listen_run-1"]
    assert found.subjects == ("sub-01", "sub-02")
    recording = read_recording(found.recordings[0].path)
    path = mne_bids.BIDSPath(subject="01", task="listen", run="1", datatype="eeg", root=dataset)
    raw = mne_bids.read_raw_bids(path, verbose="ERROR")
    kept = [name for name in raw.ch_names if name != "Pz"]
    assert recording.channel_names == tuple(kept)
    np.testing.assert_allclose(recording.signal_v, raw.get_data(picks=kept), atol=1e-9)
    theirs = np.array([raw.get_montage().get_positions()["ch_pos"][name] for name in kept])
    np.testing.assert_allclose(recording.positions_m, theirs, atol=1e-5)
    assert recording.line_freq_hz == raw.info["line_freq"] == 60.0
    assert list(recording.bad_channels) == raw.info["bads"] == ["T7"]
    assert recording.left_out == {"Pz": "eye movements (EOG)"}
    assert [(e.onset_s, e.kind, e.stimulus) for e in recording.events] == [
        (1.0, "music", "a/mix.wav"),
        (5.0, "pause", None),
    ]
    assert recording.subject == "sub-01"
    assert "Lovelace" not in repr(recording)


def test_a_file_inside_a_data_set_is_read_with_its_sidecars(dataset: Path) -> None:
    path = dataset / "sub-02/eeg/sub-02_task-listen_run-1_eeg.vhdr"
    assert read_recording(path).key == "sub-02_task-listen_run-1"
    assert read_recording(path).bad_channels == {"T7": "marked bad in channels.tsv"}


def test_bad_stretches_are_those_of_the_table_and_of_the_file(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(dataset, copy)
    folder = copy / "sub-01/eeg"
    table = folder / "sub-01_task-listen_run-1_events.tsv"
    rows = read_tsv(table)
    columns = list(rows[0])

    def row(onset: str, duration: str, trial_type: str, stimulus: str = "n/a") -> str:
        named = {"onset": onset, "duration": duration, "trial_type": trial_type, "stim_file": stimulus}
        return "\t".join(named.get(column, "n/a") for column in columns)

    added = [row("2", "1.5", "BAD_movement of Ada"), row("6", "1", "bad moon rising", "b/mix.wav")]
    table.write_text(table.read_text() + "".join(f"{line}\n" for line in added))
    markers = folder / "sub-01_task-listen_run-1_eeg.vmrk"
    count = len(re.findall(r"^Mk\d+=", markers.read_text(), flags=re.MULTILINE))
    marks = [f"Mk{count + 1}=Bad Interval,movement,513,384,0", f"Mk{count + 2}=Bad Interval,Ada,1793,128,0"]
    markers.write_text(markers.read_text() + "\n".join(marks) + "\n")
    events = read_recording(folder / "sub-01_task-listen_run-1_eeg.vhdr").events
    assert [(e.onset_s, e.duration_s) for e in events if e.kind == "bad"] == [(2.0, 1.5), (7.0, 0.5)]
    assert [e.stimulus for e in events if e.kind == "bad moon rising"] == ["b/mix.wav"]


def test_a_folder_of_several_recordings_is_ambiguous(dataset: Path) -> None:
    with pytest.raises(InputError, match=r"holds 2 recordings, one is needed.*eeg2music prepare"):
        read_recording(dataset)


def test_sidecars_are_inherited_from_above(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "study"
    shutil.copytree(dataset, root)
    sidecar = root / "sub-01/eeg/sub-01_task-listen_run-1_eeg.json"
    own = json.loads(sidecar.read_text())
    del own["PowerLineFrequency"]
    sidecar.write_text(json.dumps(own))
    (root / "task-listen_eeg.json").write_text(json.dumps({"PowerLineFrequency": 50, "SamplingFrequency": 1}))
    (root / "task-other_eeg.json").write_text(json.dumps({"PowerLineFrequency": 16}))
    found = Sidecars.of(root / "sub-01/eeg/sub-01_task-listen_run-1_eeg.vhdr")
    assert found is not None
    assert found.line_freq_hz == 50.0
    assert found.metadata["SamplingFrequency"] == 256.0, "the nearer file wins"
    other = Sidecars.of(root / "sub-02/eeg/sub-02_task-listen_run-1_eeg.vhdr")
    assert other is not None
    assert other.line_freq_hz == 60.0


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no dataset_description\.json"):
        BidsDataset(tmp_path)
    with pytest.raises(InputError, match="No folder at"):
        BidsDataset(tmp_path / "gone")
    (tmp_path / "dataset_description.json").write_text("{}")
    with pytest.raises(DataError, match="holds no EEG, iEEG or MEG recording"):
        BidsDataset(tmp_path).check()


def test_missing_files_are_listed_together(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "study"
    shutil.copytree(dataset, root)
    for file in root.glob("sub-01/eeg/*_eeg.vhdr"):
        file.unlink()
        file.symlink_to("../../.git/annex/objects/somewhere")
    found = BidsDataset(root)
    assert found.subjects == ("sub-02",)
    with pytest.raises(DataError, match=r"1 recording\(s\).*sub-01_task-listen_run-1_eeg\.vhdr.*git annex get"):
        found.check()


def test_sidecars_alone_name_what_has_to_be_fetched(real_data: Path) -> None:
    found = BidsDataset(real_data / "bids_text_ds003774")
    assert len(found.missing) == 24
    with pytest.raises(DataError, match=r"24 recording\(s\).*sub-001.*and 19 more.*datalad get"):
        found.check()


def test_centimetres_that_claim_to_be_millimetres_are_mended(real_data: Path) -> None:
    """MUSIN-G's electrodes.tsv: EEGLAB axes, no landmarks, and a unit that is wrong by ten."""
    from eeg2music.recordings.electrodes_tsv import head_positions
    from eeg2music.recordings.montages import match_montage
    from eeg2music.recordings.positions import locate

    folder = real_data / "bids_text_ds003774/sub-001/ses-01/eeg"
    sidecars = Sidecars.of(folder / "sub-001_ses-01_task-MusicListening_run-1_eeg.set")
    assert sidecars is not None
    assert sidecars.line_freq_hz == 50.0
    names = [f"E{i}" for i in range(1, 129)]
    own, fiducials = head_positions(names, *sidecars.electrodes())
    placed, notes = locate(names, own, origin="electrodes.tsv", fiducials=fiducials, kind="eeg")
    assert "multiplied by 10" in notes[0]
    template = match_montage(names, "GSN-HydroCel-129")
    # The maker's template has another head; electrodes lie within a few centimetres, and none is mirrored.
    assert np.median(np.linalg.norm(placed - template, axis=1)) < 0.03


def test_tables_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "events.tsv").write_bytes(b"onset\t\xff\xfe\n")
    with pytest.raises(DataError, match="tab-separated UTF-8"):
        read_tsv(tmp_path / "events.tsv")


def test_sidecars_of_all_runs_announce_no_recording_of_their_own(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "study"
    shutil.copytree(dataset, root)
    folder = root / "sub-01" / "eeg"
    table = folder / "sub-01_task-listen_run-1_channels.tsv"
    table.rename(folder / "sub-01_task-listen_channels.tsv")
    (folder / "sub-01_task-listen_eeg.json").write_text("{}")
    found = BidsDataset(root)
    found.check()
    assert [recording.key for recording in found.recordings] == ["sub-01_task-listen_run-1", "sub-02_task-listen_run-1"]
    assert read_recording(found.recordings[0].path).bad_channels == {"T7": "marked bad in channels.tsv"}
    for file in folder.glob("*_run-1_*"):
        file.unlink()
    with pytest.raises(DataError, match=r"1 recording\(s\).*sub-01_task-listen_eeg"):
        BidsDataset(root).check()


def test_units_of_a_table_fill_in_what_a_file_does_not_say(make_raw: Any, tmp_path: Path) -> None:
    import mne

    (tmp_path / "dataset_description.json").write_text("{}")
    base = tmp_path / "sub-01" / "eeg" / "sub-01_task-listen"
    base.parent.mkdir(parents=True)
    names = ("Fp1", "C3", "C4", "Oz", "X7", "X8")
    mne.export.export_raw(f"{base}_eeg.set", make_raw(names), verbose="ERROR")
    rows = ["name\ttype\tunits", *(f"{name}\tEEG\t{'bpm' if name == 'X8' else 'n/a'}" for name in names)]
    Path(f"{base}_channels.tsv").write_text("\n".join(rows) + "\n")
    assert read_recording(f"{base}_eeg.set").left_out == {"X8": "its unit is bpm, no voltage"}


@pytest.mark.parametrize("text", ["[1]", "{", "null"])
def test_a_sidecar_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset_description.json").write_text("{}")
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    (folder / "sub-01_task-rest_eeg.json").write_text(text)
    sidecars = Sidecars.of(folder / "sub-01_task-rest_eeg.edf")
    assert sidecars is not None
    with pytest.raises(DataError, match=r"task-rest_eeg\.json is not valid JSON\. Allowed: a JSON object"):
        _ = sidecars.line_freq_hz
