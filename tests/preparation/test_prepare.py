"""The prepared cache: aligned with what was heard, the same for any number of processes, resumable, refusing."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from eeg2music.audio import write_audio
from eeg2music.errors import ConfigError, DataError, InputError
from eeg2music.files import sha256_folder
from eeg2music.preparation import PrepareConfig, prepare
from eeg2music.preparation.sources import find_sources, hash_files
from eeg2music.preprocess.eeg import preprocess
from eeg2music.recordings.bids import BidsDataset
from eeg2music.recordings.prepared import PreparedDataset, is_prepared
from eeg2music.recordings.read import content_key, read_recording
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, REGIONS

SFREQ = 128.0
NAMES = ("Fp1", "Fp2", "C3", "C4", "T7", "T8", "O1", "O2")
ONE = PrepareConfig(workers=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three listeners, two runs each, of one 9 s and one 8 s song; a click 4 s into each song."""
    root = tmp_path_factory.mktemp("study") / "bids"
    for song in ("funk-1-0000", "waltz-1-0001"):
        write_audio(root / "stimuli" / song / "mix.wav", np.zeros(2400, dtype=np.float32))
    (root / "dataset_description.json").write_text(json.dumps({"Name": "t", "BIDSVersion": "1.9.0"}))
    for subject in ("a", "b", "c"):
        for run in (1, 2):
            _write_run(root / f"sub-{subject}" / "eeg", f"sub-{subject}_task-listen_run-{run}", subject, run)
    return root


def _write_run(folder: Path, base: str, subject: str, run: int) -> None:
    import mne

    onsets = (2.25, 14.5)
    raw = 1e-6 * numpy_rng(run, "study", subject).standard_normal((len(NAMES), round(25 * SFREQ)))
    for onset in onsets:
        raw[:, round((onset + 4.0) * SFREQ)] += 2e-5 * np.linspace(-1, 1, len(NAMES))
    info = mne.create_info(list(NAMES), SFREQ, "eeg")
    folder.mkdir(parents=True, exist_ok=True)
    mne.export.export_raw(folder / f"{base}_eeg.edf", mne.io.RawArray(raw, info, verbose="ERROR"), verbose="ERROR")
    rows = ["onset\tduration\ttrial_type\tstim_file\ttrial"]
    rows += [
        f"{onsets[0]}\t9\tmusic\tfunk-1-0000/mix.wav\t{run}1",
        f"{onsets[1]}\t8\tmusic\twaltz-1-0001/mix.wav\t{run}2",
    ]
    (folder / f"{base}_events.tsv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def cache(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(study, tmp_path_factory.mktemp("cache") / "cache", ONE)


def test_windows_carry_what_was_heard_and_when(cache: Path, study: Path) -> None:
    data = PreparedDataset(cache)
    assert len(data) == 3 * 2 * (2 + 2)
    assert data.subjects == ("sub-a", "sub-b", "sub-c")
    spec = data.spec
    assert (spec.kind, spec.sfreq_hz, spec.n_channels_max, spec.regions) == ("eeg", 64.0, 8, REGIONS)
    row, window = data.rows[0], data.window(0)
    assert row["stimulus"] == window.stimulus_id == "funk-1-0000"
    assert Path(str(window.stimulus_file)) == study / "stimuli/funk-1-0000/mix.wav"
    assert (row["run"], row["trial"], row["repeat"], row["session"]) == ("1", 11, 1, None)
    assert window.eeg.shape == (8, 320)
    assert window.eeg.dtype == np.float32
    assert window.channel_mask.all()
    assert window.positions_m.shape == (8, 3)
    assert window.stimulus_start_s == pytest.approx(window.start_s - 2.25)


def test_a_click_in_the_song_is_found_in_the_windows_at_its_time(cache: Path) -> None:
    data = PreparedDataset(cache)
    hits = 0
    for index in range(len(data)):
        window = data.window(index)
        at_s = 4.0 - float(window.stimulus_start_s or 0.0)
        if 0.5 < at_s < 4.5:
            hits += 1
            peak = np.argmax(np.abs(window.eeg[0]))
            assert peak / EEG_RATE_HZ == pytest.approx(at_s, abs=1 / EEG_RATE_HZ)
    assert hits == 24


def test_the_cache_is_what_preprocessing_gives(cache: Path, study: Path) -> None:
    """Each recording is scaled by itself: reading it alone gives the same numbers."""
    data, source = PreparedDataset(cache), BidsDataset(study)
    for recording in source.recordings[::3]:
        alone = preprocess(read_recording(recording.path))
        np.testing.assert_array_equal(data.signal(recording.key), alone.signal_v)


def test_signals_are_mapped_and_cannot_be_changed(cache: Path) -> None:
    data = PreparedDataset(cache)
    mapped = data.signal(data.recordings[0])
    assert isinstance(mapped, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0, 0] = 1.0
    data.window(0).eeg[:] = 0.0
    assert data.window(0).eeg.any()


def test_any_number_of_processes_writes_the_same_bytes(study: Path, cache: Path) -> None:
    other = prepare(study, cache.parent / "two", PrepareConfig(workers=2))
    assert sha256_folder(other) == sha256_folder(cache)


def test_a_finished_cache_is_left_alone(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = prepare(study, tmp_path / "c", ONE)
    before = {path: path.stat().st_mtime_ns for path in (out / "signals").iterdir()}
    content = sha256_folder(out)
    monkeypatch.setattr("eeg2music.preparation.single.read_recording", None)
    prepare(study, out, ONE)
    assert {path: path.stat().st_mtime_ns for path in (out / "signals").iterdir()} == before
    assert sha256_folder(out) == content


def test_only_what_changed_is_done_again(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    out = prepare(source, tmp_path / "c", ONE)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "signals").iterdir()}
    content = PreparedDataset(out).content_hash
    events = source / "sub-b/eeg/sub-b_task-listen_run-2_events.tsv"
    events.write_text(events.read_text().replace("14.5", "14.75"))
    prepare(source, out, ONE)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "signals").iterdir()}
    assert [name for name in after if after[name] != before[name]] == ["sub-b_task-listen_run-2.npy"]
    assert PreparedDataset(out).content_hash != content


def test_data_set_and_cache_can_be_moved_together(study: Path, tmp_path: Path) -> None:
    home = tmp_path / "here"
    shutil.copytree(study, home / "bids")
    out = prepare(home / "bids", home / "cache", ONE)
    content = PreparedDataset(out).content_hash
    home.rename(tmp_path / "there")
    moved = PreparedDataset(tmp_path / "there/cache")
    assert Path(moved.rows[0]["stimulus_file"]).is_file()
    assert moved.content_hash == content


def test_another_config_is_refused(study: Path, cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"another config \(differs in hop_s\).*another --out"):
        prepare(study, cache, PrepareConfig(hop_s=1.0))


def test_a_folder_of_something_else_is_refused(study: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError, match="is there already and is no prepared cache"):
        prepare(study, tmp_path, ONE)


def test_killed_at_any_time_it_resumes_to_the_same_bytes(study: Path, cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    code = (
        "import sys; from eeg2music.preparation import prepare, PrepareConfig;"
        "prepare(sys.argv[1], sys.argv[2], PrepareConfig(workers=1))"
    )
    run = subprocess.Popen([sys.executable, "-c", code, str(study), str(out)])
    while run.poll() is None and not list(out.glob("signals/sub-*.npy")):
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    if not is_prepared(out):
        with pytest.raises(DataError, match=r"unfinished prepared cache.*it resumes"):
            PreparedDataset(out)
    (out / "signals" / ".sub-a-x1y2.npy").write_bytes(b"half")
    prepare(study, out, ONE)
    assert sha256_folder(out) == sha256_folder(cache)


def test_a_folder_of_recordings_without_stimuli(real_data: Path, tmp_path: Path) -> None:
    out = prepare(real_data / "musicattention_edf_cc0", tmp_path / "c", ONE)
    data = PreparedDataset(out)
    assert sorted({row["n_samples"] for row in data.rows}) == [128, 320]
    assert all(row["stimulus"] is None and row["stimulus_file"] is None for row in data.rows)
    assert data.subjects == ("unknown",)
    assert "subject12" not in (out / "meta.json").read_text()


def test_unusable_recordings_stop_or_are_left_out(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    broken = source / "sub-a/eeg/sub-a_task-listen_run-1_eeg.edf"
    broken.write_bytes(broken.read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"1 of 6 recordings cannot be used.*run-1_eeg\.edf is truncated"):
        prepare(source, tmp_path / "strict", ONE)
    assert not is_prepared(tmp_path / "strict")
    # Of several the first is told, and one remedy for all.
    second = source / "sub-a/eeg/sub-a_task-listen_run-2_eeg.edf"
    whole = second.read_bytes()
    second.write_bytes(whole[:-1000])
    with pytest.raises(
        DataError, match=r"2 of 6 recordings cannot be used, the first: .*what was finished is kept"
    ) as e:
        prepare(source, tmp_path / "strict", ONE)
    assert str(e.value).count("Remedy") == 1
    second.write_bytes(whole)
    data = PreparedDataset(prepare(source, tmp_path / "loose", PrepareConfig(workers=1, skip_unusable=True)))
    assert len(data.recordings) == 5


def test_whoever_is_left_out_is_not_named(study: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    broken = source / "sub-a/eeg/sub-a_task-listen_run-1_eeg.edf"
    broken.write_bytes(broken.read_bytes()[:-1000])
    loose = PrepareConfig(workers=1, skip_unusable=True)
    prepare(source, tmp_path / "c", loose)
    assert [record.getMessage() for record in caplog.records] == [
        "left out 1 of 6 recordings that cannot be used, such as sub-a_task-listen_run-1; "
        "`eeg2music info FILE` says why"
    ]
    caplog.clear()
    people = tmp_path / "lovelace"
    people.mkdir()
    shutil.copy(broken, people / "ada_lovelace.edf")
    shutil.copy(next(study.rglob("sub-b*.edf")), people / "grace_hopper.edf")
    (people / "._grace_hopper.edf").write_text("what another system keeps beside it")
    out = prepare(people, tmp_path / "d", loose)
    assert "left out 1 of 2 recordings that cannot be used" in caplog.text
    told = caplog.text + "".join(path.read_text() for path in [*out.glob("*.json*"), *out.glob("recordings/*")])
    for name in ("lovelace", "hopper"):
        assert name not in told.lower()


def test_what_a_recording_was_before_is_kept(cache: Path, study: Path) -> None:
    data, source = PreparedDataset(cache), BidsDataset(study)
    found = source.recordings[1]
    raw = read_recording(found.path)
    assert data.content(found.key) == content_key(raw.signal_v, raw.sfreq_hz, raw.channel_names)
    assert data.content(found.key) != data.content(source.recordings[0].key)
    alone, kept = preprocess(raw), data.recording(found.key)
    for name in ("channel_names", "sfreq_hz", "kind", "key", "subject", "bad_channels", "left_out", "notes"):
        assert getattr(kept, name) == getattr(alone, name), name
    np.testing.assert_array_equal(kept.signal_v, alone.signal_v)
    np.testing.assert_array_equal(kept.positions_m, alone.positions_m)
    np.testing.assert_array_equal(data.recording(found.key, 64, 192).signal_v, alone.signal_v[:, 64:192])


def test_nothing_is_left_behind_where_nothing_could_be_used(study: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.edf"
    broken.write_bytes(next(study.rglob("*.edf")).read_bytes()[:-1000])
    with pytest.raises(DataError, match=r"1 of 1 recordings cannot be used.*truncated"):
        prepare(broken, tmp_path / "c", ONE)
    assert not (tmp_path / "c").exists()


def test_a_copy_of_a_recording_is_a_leak(real_data: Path, tmp_path: Path) -> None:
    original = next((real_data / "musicattention_edf_cc0").rglob("*20200620*/*.edf"))
    for name in ("train.edf", "test.edf"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(original, tmp_path / "in" / name)
    with pytest.raises(DataError, match=r"twice .*would be a leak"):
        prepare(tmp_path / "in", tmp_path / "out", ONE)


def test_songs_shorter_than_a_window_give_nothing(study: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No window of 12 s lies inside a stimulus"):
        prepare(study, tmp_path / "c", PrepareConfig(window_s=12.0, workers=1))


def mark_bad(study: Path, copy: Path, *marks: tuple[float, float]) -> Path:
    """A copy of the study with stretches (onset, duration) marked bad in one recording."""
    shutil.copytree(study, copy)
    table = copy / "sub-b/eeg/sub-b_task-listen_run-1_events.tsv"
    rows = [f"{onset}\t{duration}\tBAD_by_lovelace\tn/a\tn/a\n" for onset, duration in marks]
    table.write_text(table.read_text() + "".join(rows))
    return copy


def test_windows_that_overlap_what_is_marked_bad_are_left_out(
    study: Path, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # The windows begin at 2.25, 4.75, 14.5 and 17 s: one ends where the first mark begins, one holds a mere cut.
    source = mark_bad(study, tmp_path / "bids", (7.25, 2.0), (20.0, 0.0))
    out = prepare(source, tmp_path / "c", ONE)
    assert caplog.messages == ["left out 2 windows that overlap stretches marked bad"]
    data, before = PreparedDataset(out), PreparedDataset(cache)
    key = "sub-b_task-listen_run-1"

    def listed(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        return [{name: value for name, value in row.items() if name != "stimulus_file"} for row in rows]

    gone = {f"{key}/{start}" for start in (304, 1088)}
    assert listed(data.rows) == [row for row in listed(before.rows) if row["window_id"] not in gone]
    assert data.meta["left_out_windows"] == 2
    assert [event.onset_s for event in data.recording(key).events] == [7.25, 20.0]
    assert [event.onset_s for event in data.recording(key, 64 * 8).events] == [-0.75, 12.0]
    for other in set(data.recordings) - {key}:
        np.testing.assert_array_equal(data.signal(other), before.signal(other))
        assert data.meta["channels_by_recording"][other] == before.meta["channels_by_recording"][other]
    told = caplog.text + "".join(path.read_text() for path in [*out.glob("*.json*"), *out.glob("recordings/*")])
    assert "lovelace" not in told


def test_damaged_files_of_a_cache_are_named_or_made_again(study: Path, tmp_path: Path) -> None:
    source = study / "sub-a/eeg/sub-a_task-listen_run-1_eeg.edf"
    out = prepare(source, tmp_path / "c", ONE)
    content = sha256_folder(out)
    for name in ("meta.json", "windows.jsonl"):
        (out / name).write_text("[")
        with pytest.raises(DataError, match=rf"{name} is missing or damaged.*delete it and run"):
            PreparedDataset(out)
        (out / name).unlink()
        (out / "recordings" / "sub-a_task-listen_run-1.json").write_text("{")
        prepare(source, out, ONE)
        assert sha256_folder(out) == content
    (out / "config.json").write_text("{")
    with pytest.raises(DataError, match=r"config\.json is damaged.*name another --out"):
        prepare(source, out, ONE)


def test_where_all_windows_are_marked_bad_there_is_none(study: Path, tmp_path: Path) -> None:
    source = mark_bad(study, tmp_path / "bids", (3.0, 4.0), (10.0, 1.0), (15.0, 6.0))
    alone = source / "sub-b/eeg/sub-b_task-listen_run-1_eeg.edf"
    with pytest.raises(DataError, match="All 4 windows of 5 s overlap stretches marked bad"):
        prepare(alone, tmp_path / "c", ONE)
    assert not (tmp_path / "c").exists()


def test_sources_without_recordings(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing at"):
        prepare(tmp_path / "gone", tmp_path / "c")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="neither a BIDS data set nor a folder with recordings"):
        prepare(tmp_path / "in", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_damaged_caches_say_so(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a prepared cache"):
        PreparedDataset(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(cache, copy)
    data = PreparedDataset(copy)
    file = copy / "signals" / f"{data.rows[0]['recording']}.npy"
    file.write_bytes(b"junk")
    with pytest.raises(DataError, match=r"missing or damaged.*prepare"):
        data.window(0)
    (copy / "windows.jsonl").unlink()
    with pytest.raises(DataError, match=r"windows\.jsonl is missing or damaged"):
        PreparedDataset(copy)
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps({**meta, "schema": 99}))
    with pytest.raises(DataError, match="prepared in format 99"):
        PreparedDataset(copy)


def test_progress_counts_up(study: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    prepare(study, tmp_path / "c", ONE, progress=lambda *args: told.append(args))
    assert [(done, total) for done, total, _ in told] == [(i + 1, 6) for i in range(6)]


def test_rows_say_the_site_and_the_work_as_the_data_set_declares_them(
    study: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    people = "participant_id\tsite\tremark\nsub-a\tlab1\tAda\nsub-b\tn/a\tBert\nsub-c\tDr. Curie, Paris\tCleo\n"
    (source / "participants.tsv").write_text(people)
    (source / "stimuli" / "stimuli.tsv").write_text("stim_file\twork_id\nwaltz-1-0001/mix.wav\tw-07\n")
    out = prepare(source, tmp_path / "c", ONE)
    rows = PreparedDataset(out).rows
    assert {(row["subject"], row["site"]) for row in rows} == {("sub-a", "lab1"), ("sub-b", None), ("sub-c", None)}
    assert {(row["stimulus"], row["work_id"]) for row in rows} == {("funk-1-0000", None), ("waltz-1-0001", "w-07")}
    assert "left out the site of 1 participants" in caplog.text
    everything = caplog.text + "".join(file.read_text() for file in out.rglob("*.json*"))
    assert not any(name in everything for name in ("Curie", "Paris", "Ada", "Bert", "Cleo"))
    # What stands beside the event goes before the table, and nothing that was prepared is done again.
    before, content = sha256_folder(out / "signals"), PreparedDataset(out).content_hash
    (source / "participants.tsv").write_text(people.replace("n/a", "lab2"))
    again = PreparedDataset(prepare(source, tmp_path / "c", ONE))
    assert {row["site"] for row in again.rows} == {"lab1", "lab2", None}
    assert again.content_hash != content and sha256_folder(out / "signals") == before
    for file in source.rglob("*_events.tsv"):
        lines = file.read_text().splitlines()
        file.write_text("\n".join([lines[0] + "\twork_id", *(line + "\tone_work" for line in lines[1:])]) + "\n")
    assert {row["work_id"] for row in PreparedDataset(prepare(source, tmp_path / "c", ONE)).rows} == {"one_work"}


def test_a_work_that_is_no_label_is_refused_and_not_quoted(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    file = source / "sub-b/eeg/sub-b_task-listen_run-2_events.tsv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0] + "\twork_id", *(line + "\tAda's own song" for line in lines[1:])]) + "\n")
    with pytest.raises(DataError, match="A work_id in the events of sub-b_task-listen_run-2 is no label") as refused:
        prepare(source, tmp_path / "c", ONE)
    assert "Ada" not in str(refused.value)


def test_no_more_processes_than_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from eeg2music.preparation import run

    monkeypatch.setattr(run.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(run.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert run._cores() == 3
    monkeypatch.delattr(run.os, "sched_getaffinity")
    assert run._cores() == 64


def test_what_an_error_advises_can_be_done_in_the_same_folder(study: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "bids", tmp_path / "c"
    shutil.copytree(study, source)
    broken = source / "sub-a/eeg/sub-a_task-listen_run-1_eeg.edf"
    broken.write_bytes(broken.read_bytes()[:-1000])
    with pytest.raises(DataError, match="set skip_unusable=true"):
        prepare(source, out, ONE)
    done = {path.name: path.stat().st_mtime_ns for path in (out / "signals").iterdir()}
    assert len(done) == 5
    prepare(source, out, PrepareConfig(workers=1, skip_unusable=True))
    assert {path.name: path.stat().st_mtime_ns for path in (out / "signals").iterdir()} == done, "nothing done twice"
    with pytest.raises(DataError, match="set a shorter window_s"):
        prepare(study, tmp_path / "d", PrepareConfig(window_s=12.0, workers=1))
    assert len(PreparedDataset(prepare(study, tmp_path / "d", ONE))) == 24


def test_an_older_cache_is_kept_where_no_window_fits(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    out = prepare(source, tmp_path / "c", ONE)
    for events in source.rglob("*_events.tsv"):
        events.write_text(events.read_text().replace("\t9\t", "\t1\t").replace("\t8\t", "\t1\t"))
    with pytest.raises(DataError, match="No window of 5 s"):
        prepare(source, out, ONE)
    assert (out / "signals").is_dir()


def test_a_run_copied_under_another_number_is_a_leak(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    for file in (source / "sub-b/eeg").glob("*_run-1_*"):
        shutil.copy(file, file.with_name(file.name.replace("_run-1_", "_run-2_")))
    names = "sub-b_task-listen_run-1, sub-b_task-listen_run-2"
    with pytest.raises(DataError, match=rf"lies in the source twice \({names}\).*would be a leak"):
        prepare(source, tmp_path / "c", ONE)


def test_songs_of_one_file_name_in_two_folders_are_two(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    for events in source.rglob("*_events.tsv"):
        text = events.read_text().replace("funk-1-0000/mix.wav", "rock/01.wav")
        events.write_text(text.replace("waltz-1-0001/mix.wav", "jazz/01.wav"))
    data = PreparedDataset(prepare(source, tmp_path / "c", ONE))
    assert {row["stimulus"] for row in data.rows} == {"rock/01", "jazz/01"}
    assert {row["repeat"] for row in data.rows} == {1}


def test_two_stimuli_at_once_are_refused(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    events = source / "sub-c/eeg/sub-c_task-listen_run-1_events.tsv"
    events.write_text(events.read_text().replace("14.5", "2.25"))
    with pytest.raises(DataError, match=r"1 of 6 recordings cannot be used.*run-1_eeg\.edf: The stimuli .* overlap"):
        prepare(source, tmp_path / "c", ONE)


def test_whose_recording_it_is_comes_from_the_cache(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(cache, copy)
    data = PreparedDataset(copy)
    key = data.recordings[-1]
    assert data.recording(key).subject == data.subject(key) == "sub-c"
    (copy / "recordings" / f"{key}.json").unlink()
    with pytest.raises(DataError, match="missing or damaged"):
        data.subject(key)


def test_every_file_of_a_recording_counts(study: Path, tmp_path: Path) -> None:
    source = tmp_path / "bids"
    shutil.copytree(study, source)
    path = source / "sub-a/eeg/sub-a_task-listen_run-1_eeg.edf"
    levels = [source, source / "sub-a"]
    for level in levels:
        (level / "task-listen_eeg.json").write_text('{"PowerLineFrequency": 50}')
    before = hash_files(path)
    assert {"../../task-listen_eeg.json", "../task-listen_eeg.json", path.name} <= before.keys()
    for level in levels:
        (level / "task-listen_eeg.json").write_text('{"PowerLineFrequency": 60}')
        now = hash_files(path)
        assert now != before, "each of several files of one name"
        before = now


@pytest.mark.parametrize("naming", ["neuromag", "bids"])
def test_the_parts_of_a_split_file_count(naming: str, tmp_path: Path) -> None:
    import mne

    signal = 1e-5 * numpy_rng(0, "split").standard_normal((8, 200_000))
    raw = mne.io.RawArray(signal, mne.create_info(8, 256.0, "eeg"), verbose="ERROR")
    raw.save(tmp_path / "rest_raw.fif", split_size="3MB", split_naming=naming, verbose="ERROR")
    files = sorted(tmp_path.iterdir(), key=lambda path: (path.name != "rest_raw.fif", path.name))
    assert len(files) >= 3
    (tmp_path / "other_raw.fif").touch()
    assert hash_files(files[0]).keys() == {file.name for file in files}


def test_a_file_that_continues_another_is_no_recording_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import mne

    source = tmp_path / "source"
    source.mkdir()
    info = mne.create_info(["Fz", "Cz", "C3", "C4", "T7", "T8", "Pz", "Oz"], 500.0, "eeg")
    signal = 1e-5 * numpy_rng(0, "split").standard_normal((8, 200_000))
    mne.io.RawArray(signal, info, verbose="ERROR").save(source / "x_raw.fif", split_size="3MB", verbose="ERROR")
    # Named like a part, but nothing says that it continues the other.
    mne.io.RawArray(signal[:, ::-1][:, :5000], info, verbose="ERROR").save(source / "x_raw-9.fif", verbose="ERROR")
    assert [found.path.name for found in find_sources(source)] == ["x_raw-9.fif", "x_raw.fif"]
    assert re.search(r"left out \d files that continue another one: they are read together with it", caplog.text)
