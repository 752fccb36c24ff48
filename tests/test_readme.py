"""The README keeps its promise: two commands, and CI runs the second as it stands."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import load_file

from eeg2music import cli
from eeg2music.cli import app
from eeg2music.evaluation.material import ListeningConfig, listener_of
from eeg2music.files import read_json

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# In the order in which a reader meets their commands.
PAGES = "\n".join([README, *((ROOT / "docs" / name).read_text("utf-8") for name in ("training.md", "results.md"))])


def first_block() -> list[str]:
    found = re.search(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    lines = [line.strip() for line in found[1].splitlines() if line.strip() and not line.startswith("#")]
    return [line for line in lines if not line.startswith(("git ", "cd "))]


def test_it_opens_with_two_commands() -> None:
    assert len(first_block()) == 2
    before = README[: README.index("```")]
    assert len(before.split()) < 40  # they come first


def test_the_first_runs_the_demo_and_the_second_the_tests() -> None:
    main, test = first_block()
    assert main.endswith("eeg2music demo")
    assert "[all]" in main
    assert test.endswith("pytest")
    assert "[all,dev]" in test


@pytest.mark.parametrize("number", [0, 1])
def test_both_set_up_an_environment_of_their_own(number: int) -> None:
    command = first_block()[number]
    assert "-m venv .venv" in command
    assert "constraints.txt" in command
    assert "sudo" not in command
    # Chained, so that a step that fails stops the rest.
    assert ";" not in command.replace("'", "")


def test_ci_runs_the_second_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    extract = re.search(r"command=\$\((.*)\)\n", script)
    assert extract is not None
    found = subprocess.run(["bash", "-c", extract[1]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found.strip() == first_block()[1]


def test_files_that_it_needs_are_there() -> None:
    for name in (
        "constraints.txt",
        "LICENSE",
        "CITATION.cff",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "setup.py",
    ):
        assert (ROOT / name).is_file(), name
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_every_command_it_shows_exists() -> None:
    import typer.main

    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", PAGES, re.MULTILINE | re.DOTALL))
    shown = set(re.findall(r"\beeg2music ([a-z]+)\b", blocks))
    assert shown
    assert shown <= known


def test_every_config_and_script_it_shows_exists() -> None:
    shown = set(re.findall(r"\b((?:configs|benchmarks|train|eval|checkpoints)/[\w./-]+\.(?:yaml|py|md))\b", PAGES))
    missing = sorted(name for name in shown if not (ROOT / name).is_file())
    assert missing == []


# -- what its commands read is there -----------------------------------------------------------------

# Made by commands; everything else is in the repository, or the reader's own.
MADE = ("data/", "runs/", "out/")
READERS_OWN = (
    "recording.edf", "recordings", "$EEG2MUSIC_REAL_DATA/openmiir_features", "clips.csv", "music", "prepared",
    "out/eval-a", "out/eval-b",
)  # fmt: skip
TASK_READS = ("data", "valid_data", "caches", "valid_caches", "clap", "codec", "start_from", "split")
TASK_WRITES = ("cache", "targets")
DryRun = Callable[[list[str]], dict[str, Any]]


def in_blocks() -> list[list[str]]:
    """Commands of the code blocks, in order; not the set-up, and no synopses such as `generate INPUT --out DIR`."""
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", PAGES, re.MULTILINE | re.DOTALL)[1:])
    lines = [line for line in blocks.splitlines() if line.startswith(("eeg2music ", ".venv/bin/eeg2music "))]
    return [shlex.split(line) for line in lines if not re.search(r"\[|\b[A-Z]{3,}\b", line)]


def in_text() -> list[list[str]]:
    """Commands between backticks."""
    text = re.sub(r"^```.*?^```", "", PAGES, flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    return [shlex.split(span) for span in spans if span.startswith(("eeg2music ", "python ", "accelerate launch "))]


def of_the_package(words: list[str]) -> list[str] | None:
    """The command as `eeg2music` would take it, without its own name; None for a script of benchmarks/."""
    if Path(words[0]).name == "eeg2music":
        return words[1:]
    if words[0] == "accelerate":
        if "-m" in words:
            assert words[words.index("-m") + 1] == "eeg2music.training"
            return ["train", *words[words.index("-m") + 2 :]]
        place = next(number for number, word in enumerate(words) if word.startswith("train/"))
        return ["train", Path(words[place]).stem, *words[place + 1 :]]
    return None


def reads_and_writes(words: list[str], config: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Paths of a command of the package, from its words and its resolved config."""
    verb, options = words[0], dict(pairwise(words))
    out = options.get("--out")
    if verb == "simulate":
        return strings([options.get("--config")]), strings([config["out"]])
    if verb in ("prepare", "split"):
        return strings([words[1]]), strings([out])
    if verb == "train":
        task = config["task"]
        read = [words[2], *(task.get(key) for key in TASK_READS)]
        return strings(read), strings([f"{config['train']['out']}/export", *(task.get(key) for key in TASK_WRITES)])
    if verb == "evaluate":
        # The split of a protocol is a rule, no file.
        split = config["split"] if config.get("kind") == "identification" else None
        read = [words[1], split, *(config.get(key) for key in ("checkpoint", "prepared", "data"))]
        return strings(read), strings([out])
    if verb == "score":
        return strings([words[1], options.get("--reference"), options.get("--config")]), strings([out])
    if verb == "compare":
        return strings(words[1:3]), strings([out])
    assert verb in ("demo", "generate", "info"), f"say here what {verb} reads and writes"
    return strings(words[1:2] if verb != "demo" else []), strings([out])


def strings(values: Iterable[Any]) -> set[str]:
    flat = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return {str(part) for part in flat if part is not None}


def absent(paths: set[str], made: set[str]) -> set[str]:
    """Those of the paths that no command made and that do not come with the repository."""
    found = made | set(READERS_OWN)
    return {path for path in paths - found if path.startswith(MADE) or not (ROOT / path).exists()}


@pytest.fixture
def dry_run(monkeypatch: pytest.MonkeyPatch) -> DryRun:
    """The resolved config of a command, which has to accept its own words."""
    shown: list[Any] = []
    monkeypatch.chdir(ROOT)
    # Not whether inputs are there: earlier commands make them.
    monkeypatch.setattr(cli, "_dry_run", lambda config, check: shown.append(config))

    def run(words: list[str]) -> dict[str, Any]:
        monkeypatch.setattr("sys.argv", ["eeg2music", *words, "--dry-run"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert not ended.value.code, words
        config = shown.pop()
        return config if isinstance(config, dict) else dict(config.model_dump(mode="json"))

    return run


def test_its_commands_find_what_they_read(dry_run: DryRun) -> None:
    made: set[str] = set()
    wanting: dict[str, set[str]] = {}
    for words in [*in_blocks(), *in_text()]:
        command = of_the_package(words)
        if command is not None:
            reads, writes = reads_and_writes(command, dry_run(command))
            wanting[" ".join(words)] = absent(reads, made)
            made |= writes
        else:
            arguments = [word for before, word in pairwise(words) if not before.startswith("--")]
            wanting[" ".join(words)] = absent({word for word in arguments if not word.startswith("-")}, made)
    assert {command: gone for command, gone in wanting.items() if gone} == {}
    assert len(wanting) > 15


def test_a_command_that_reads_what_nothing_makes_is_found(dry_run: DryRun) -> None:
    command = ["train", "encoder", "configs/encoder/mini.yaml"]
    reads, _ = reads_and_writes(command, dry_run(command))
    assert absent(reads, {"data/prepared-train", "data/prepared-train-low"}) == {"data/prepared-valid"}
    assert absent({"configs/encoder/minni.yaml"}, set())


def test_benchmarks_take_the_arguments_that_it_shows() -> None:
    scripts = [words[1:] for words in in_text() if words[0] == "python"]
    assert len(scripts) >= 4
    for script, *given in scripts:
        calls = [
            node
            for node in ast.walk(ast.parse((ROOT / script).read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument"
        ]
        names = [call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)]
        assert {word for word in given if word.startswith("--")} <= set(names), script
        positional = [word for before, word in pairwise([script, *given]) if not f"{before} {word}".count("--")]
        assert len(positional) == len([name for name in names if not name.startswith("-")]), script


# -- its figures are the stored ones -----------------------------------------------------------------


IDENTIFICATION = ROOT / "benchmarks" / "identification.json"


@pytest.fixture(scope="module")
def script() -> Any:
    return load_file(ROOT / "benchmarks" / "identification.py")


def test_identification_is_what_the_stored_evaluation_prints(script: Any) -> None:
    headline, by_level, *full = script.pages(read_json(IDENTIFICATION))
    assert len(full) == 3 and headline.count("\n") > 9 and by_level.count("\n") > 6
    assert headline in README and by_level in README
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert [table.partition("\n")[0] for table in full if table not in results] == []


def test_what_is_kept_of_an_evaluation_prints_the_same(script: Any) -> None:
    stored = read_json(IDENTIFICATION)
    assert script.without_lists(stored) == stored
    told = [*script.pages(stored), *script.tables(stored)]
    # What the lists say stands in no table.
    level = stored["levels"][0]
    entry = level["scores"]["brain"]["seeds"][0]["embedding"]
    whole = {**stored, "levels": [{**level, "gallery": ["a", "b"]}, *stored["levels"][1:]]}
    entry["cells"] = {"song": ["a"], "n": [1]}
    assert [*script.pages(whole), *script.tables(whole)] == told
    assert script.without_lists(whole) == read_json(IDENTIFICATION)


def test_recordings_of_people_are_what_the_stored_evaluation_prints() -> None:
    script, stored = load_file(ROOT / "benchmarks" / "openmiir.py"), read_json(ROOT / "benchmarks" / "openmiir.json")
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    text = " ".join(results.partition("## Recordings of people")[2].partition("\n## ")[0].split())
    assert script.table(stored) in results and stored["surprises"] == []
    mean = stored["scores"]["mean_of_trials"]
    low, high = mean["controls"]["circular shift"]["identification"]["range_of_draws"]
    assert f"{low:.2f} to {high:.2f}" in text
    assert f"the {stored['pieces']} pieces are {stored['independent_works']} independent works" in text
    assert mean["identification"]["permutations"] == "all 40320 orders of 8 works" and "all 40,320 orders" in text
    assert f"0.5 pairwise and {mean['identification']['top1_chance']:.3f} top-1" in text
    drawn = [name for name, one in mean["controls"].items() if one["draws"] > 1]
    assert list(script.WHAT)[1:5] == ["shuffled", "phase randomisation", "circular shift", "random filter"]
    assert sorted(drawn) == sorted(list(script.WHAT)[1:5]) and {mean["controls"][name]["draws"] for name in drawn} == {
        20
    }
    # Nothing is listed by window, and a score that was kept is kept again as it is.
    assert "folds" not in stored
    assert script.kept(stored) == {key: value for key, value in stored.items() if key != "made_with"}


def test_protocols_are_what_the_stored_ones_print() -> None:
    script = load_file(ROOT / "benchmarks" / "protocols.py")
    found = script.stored(ROOT / "benchmarks" / "protocols.json")
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert script.decoded(found) in results and script.generated(found) in results
    assert sorted(found) == sorted(file.stem for file in (ROOT / "configs" / "eval" / "protocols").glob("*.yaml"))
    # The sentence below the tables.
    rows = {row["condition"]: row["value"] for row in found["brain2music_2025"]["rows"]
            if row["space"] == "scorer" and row["metric"] == "pairwise identification"}  # fmt: skip
    lifted = [rows[f"{name} from shuffled predictions{rest}"] for name, rest in
              (("generated", ""), ("best of 3", ", chosen by the answer"))]  # fmt: skip
    assert "from {:.3f} to {:.3f}".format(*lifted) in " ".join(results.split())


def test_what_was_scored_once_is_what_the_stored_evaluations_print() -> None:
    script = load_file(ROOT / "benchmarks" / "confirmation.py")
    stored = [read_json(path) for path in script.KEPT]
    results = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert script.table(stored) in results
    # One checkpoint, three groups of songs and listeners, none of which any model knows by name.
    assert len({scores["scorer_sha256"] for scores in stored}) == 1
    heard = [(scores["config"]["listening"]["song_seed"], *scores["config"]["seeds"]) for scores in stored]
    assert heard[1] == heard[2] != heard[0]
    # The sentences below the table: what the brain keeps of the oracle, group by group. Of the first of these no clips
    # of the oracle were generated.
    groups = [read_json(IDENTIFICATION), *stored[:2]]
    ceilings = [script.onsets(scores, "clean", "oracle") for scores in (groups[0], stored[1], stored[1])]
    kept = [script.onsets(scores, "clean", "brain") / ceiling for scores, ceiling in zip(groups, ceilings, strict=True)]
    text = " ".join(results.split())
    assert f"({ceilings[0]:.2f} above, {ceilings[1]:.2f} here), the brain keeps {kept[0]:.2f} with the four" in text
    assert f"{kept[1]:.2f} with the next four (whose oracle was not generated: it is that of the last)" in text
    assert f"{kept[2]:.2f} with the last, whose latencies" in text
    assert f"{sum(kept) / 3:.2f} over the twelve" in text
    assert f"{ceilings[0]:.2f}, {kept[0]:.2f} of it; with two other groups" in README
    assert f"{kept[1]:.2f} and {kept[2]:.2f} of it (the last" in README
    told = script.onsets(stored[2], "clean", "brain") / script.onsets(stored[2], "clean", "oracle")
    assert f"keep {told:.2f} of it instead of {kept[2]:.2f}" in text and f"the last {told:.2f} with latencies" in README


def test_the_latencies_in_the_text_are_those_of_the_stored_evaluation() -> None:
    stored = read_json(ROOT / "benchmarks" / "latency.json")
    config = ListeningConfig(**stored["config"]["listening"])
    text = " ".join((ROOT / "docs" / "results.md").read_text("utf-8").split())
    names = config.subjects
    true = [f"{1000 * listener_of(config, name).latency_s:.0f}" for name in names]
    found = [
        [f"{1000 * level['latency'][f'sub-{name}']['seconds']:.0f}" for name in names] for level in stored["levels"]
    ]
    said = [words.replace("-", "−") for words in (spoken(true), *(spoken(each) for each in found))]
    assert f"The simulator gave these listeners {said[0]} ms;" in text
    assert f"{said[1]} were estimated at 0 dB" in text
    assert f"{said[2]} at −20 dB" in text
    assert f"next to nothing is taken out: {said[3]} ms" in text


def spoken(figures: Sequence[str]) -> str:
    """One after the other, as in a sentence."""
    return ", ".join(figures[:-1]) + f" and {figures[-1]}"


def test_songs_of_all_styles_are_what_the_stored_evaluation_prints() -> None:
    script, stored = load_file(ROOT / "benchmarks" / "styles.py"), read_json(ROOT / "benchmarks" / "styles.json")
    assert script.table(stored) in (ROOT / "docs" / "results.md").read_text("utf-8")
    assert script.kept(stored) == stored


def test_a_score_that_nobody_has_is_no_column(script: Any) -> None:
    table = script._markdown(["a", "b", "c"], [["1", "–", "2"], ["3", "–", "–"]])
    assert table == "| a | c |\n|---|---|\n| 1 | 2 |\n| 3 | – |"


def test_the_version_stands_in_one_place() -> None:
    from eeg2music import __version__

    assert re.search(rf"^version: {re.escape(__version__)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
