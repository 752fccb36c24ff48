"""Configs are strict: nothing unknown is ignored, and each mistake is named with what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from pydantic import Field, field_validator

from eeg2music import config
from eeg2music.config import Config, build_config, find_config, load_config, shipped_folder
from eeg2music.config_words import known_names
from eeg2music.errors import ConfigError


class Inner(Config):
    steps: int = Field(8, ge=1)
    scale: float = 1.0
    label: str | None = None


class Item(Config):
    name: str
    snr_db: float = 0.0


class Outer(Config):
    seed: int = 0
    kind: Literal["fast", "slow"] = "fast"
    names: tuple[str, ...] | None = None
    inner: Inner = Inner()
    optional: Inner | None = None
    items: tuple[Item, ...] = ()
    span: tuple[float, float] = (0.0, 1.0)
    level: Literal["quiet"] | float | tuple[float | None, ...] = "quiet"
    weights: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = {}
    stems: tuple[str, ...] = ()

    @field_validator("stems")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known_names(names, ("drums", "bass"))
        return names


def write(folder: Path, text: str) -> Path:
    path = folder / "a.yaml"
    path.write_text(text)
    return path


def test_defaults_file_and_overrides_in_this_order(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 3\ninner: {steps: 4, scale: 2}\nitems:\n- name: one\n")
    assert load_config(Outer) == Outer()
    loaded = load_config(Outer, file, ["inner.steps=5", "--kind=slow"])
    assert (loaded.seed, loaded.kind) == (3, "slow")
    assert loaded.inner == Inner(steps=5, scale=2.0)
    assert loaded.items == (Item(name="one"),)
    assert loaded.names is None


def test_the_last_of_two_overrides_wins() -> None:
    assert load_config(Outer, None, ["seed=1", "seed=2"]).seed == 2


def test_overrides_go_below_sections_that_the_file_leaves_empty(tmp_path: Path) -> None:
    assert load_config(Outer, write(tmp_path, "inner:\n"), ["inner.steps=3"]).inner.steps == 3
    assert load_config(Outer, None, ["optional.steps=3"]).optional == Inner(steps=3)


@pytest.mark.parametrize(
    ("override", "value"),
    [("names=[a, b]", ("a", "b")), ("names=", None), ("names=null", None), ("names=[]", ())],
)
def test_overrides_are_yaml_values(override: str, value: object) -> None:
    assert load_config(Outer, None, ["names=[x]", override]).names == value


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_config(Outer, None, ["inner.label=a=b"]).inner.label == "a=b"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sed=1", r"Unknown key 'sed' on the command line\. Allowed: seed, kind.*did you mean 'seed'\?$"),
        ("inner.step=1", r"Unknown key 'inner\.step' .*Allowed: steps, scale, label\. .*did you mean 'steps'\?$"),
        ("optional.stepz=1", r"Unknown key 'optional\.stepz'.*did you mean 'steps'\?$"),
        ("items=[{name: a, snr: 1}]", r"Unknown key 'items\.0\.snr'.*Allowed: name, snr_db.*did you mean 'snr_db'"),
        (
            "inner.steps=many",
            r"inner\.steps = 'many' on the command line does not fit\. Allowed: a whole number, 1 or .*default, 8\.$",
        ),
        ("inner.steps=0", r"inner\.steps = 0 on .* Allowed: a whole number, 1 or more\."),
        ("inner.scale=.inf", r"inner\.scale = inf .* Allowed: a finite number\."),
        ("inner=3", r"inner = 3 on the command line does not fit\. Allowed: a section with steps, scale, label\."),
        ("kind=medium", r"kind = 'medium' .* Allowed: fast or slow\."),
        ("kind=fsat", r"kind = 'fsat' .* Allowed: fast or slow\. Remedy: did you mean 'fast'\?$"),
        ("steps=3", r"Unknown key 'steps' .* Remedy: did you mean 'inner\.steps'\?$"),
        ("names=3", r"names = 3 .* Allowed: a list of names in brackets or null\."),
        ("names=[1]", r"names\.0 = 1 .* Allowed: a text\. Remedy: put it in quotes; on the command line '\"1\"', or"),
        ("stems=3", r"stems = 3 .* Allowed: a list of names in brackets\. Remedy: correct it\."),
        ("inner.label=1020", r"label = 1020 .* Allowed: a text or null\. Remedy: put it in quotes; .* '\"1020\"'"),
        ("span=[1]", r"span = \[1\] .* Allowed: a list of 2: a number, a number\."),
        ("level=loud", r"level = 'loud' .* Allowed: quiet, a number or a list, each a number or null\."),
        ("level=[1, loud]", r"level\.1 = 'loud' .* Allowed: a number or null\."),
        ("weights={a: x}", r"weights\.a = 'x' .* Allowed: a number, from 0 to 1\."),
        ("stems=[drum, bass]", r"does not fit: there is no 'drum'\. Allowed: drums, bass\. .*did you mean 'drums'\?$"),
        (
            "items=[{snr_db: 1}]",
            r"The key 'items\.0\.name' is missing on .* Allowed: a text\. Remedy: add name: …",
        ),
        ("seed.sub=1", r"Unknown key|seed = .*does not fit"),
        ("seed", r"The override 'seed' cannot be read\. Allowed: key=value or key\.subkey=value\. Remedy: "),
        ("=1", r"The override '=1' cannot be read"),
        ("inner..steps=1", r"The override 'inner\.\.steps=1' cannot be read"),
        ("names=[a", r"The override 'names=\[a' is not valid YAML"),
        ("names=!!python/name:os.system", r"not valid YAML"),
    ],
)
def test_mistakes_are_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(Outer, None, [override])
    text = str(caught.value)
    assert "\n" not in text and " Allowed: " in text and " Remedy: " in text


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("inner: {steps: x}", "inner.scale=2", r"inner\.steps = 'x' in .*a\.yaml does not fit"),
        ("inner: {steps: x}", "inner.steps=y", r"inner\.steps = 'y' on the command line does not fit"),
        ("seed: 1", "inner.stepz=2", r"Unknown key 'inner\.stepz' on the command line"),
        ("innr: {steps: 2}", "innr.scale=2", r"Unknown key 'innr' in .*a\.yaml and on the command line"),
        ("items: [{snr_db: 1}]", "seed=1", r"'items\.0\.name' is missing in .*a\.yaml\. Allowed: a text"),
    ],
)
def test_a_mistake_is_blamed_on_who_made_it(tmp_path: Path, text: str, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(Outer, write(tmp_path, text), [override])


def test_an_override_cannot_go_below_a_value(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"The override 'seed\.sub=1' goes below 'seed', which is a value"):
        load_config(Outer, write(tmp_path, "seed: 1\n"), ["seed.sub=1"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", r"a\.yaml is not valid YAML \(.*line 2"),
        ("a: !!python/object/apply:os.system [touch x]", r"a\.yaml is not valid YAML"),
        ("- 1\n- 2", r"a\.yaml holds a list\. Allowed: a mapping"),
        ("just words", r"a\.yaml holds a str"),
        ("seed: 1\nkind: slow\nseed: 2", r"a\.yaml is not valid YAML \(the key 'seed' stands twice in line 3"),
        ("inner: {steps: 1, steps: 2}", r"the key 'steps' stands twice in line 1"),
        ("", r"a\.yaml sets nothing\. Allowed: a mapping .* Remedy: write what differs"),
        ("# nothing\n", r"a\.yaml sets nothing"),
        ("---\n", r"a\.yaml sets nothing"),
        ("{}", r"a\.yaml sets nothing"),
        ("sed: 1", r"Unknown key 'sed' in .*a\.yaml"),
        ("3: 1", r"The key 3 in .*a\.yaml is no text\. Allowed: seed, kind"),
    ],
)
def test_a_file_that_is_no_config(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(Outer, write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(Outer, tmp_path / "a.yaml")


def test_a_missing_file_lists_what_ships() -> None:
    with pytest.raises(ConfigError, match=r"No config file at gone\.yaml.*configs/simulate/smoke\.yaml"):
        load_config(Outer, "gone.yaml")


@pytest.mark.parametrize("name", ["configs/simulate/smoke.yaml", "simulate/smoke.yaml", "simulate/smoke"])
def test_shipped_configs_are_found_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == shipped_folder("configs") / "simulate" / "smoke.yaml"


def test_a_file_of_ones_own_comes_before_a_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "simulate" / "smoke.yaml"
    own.parent.mkdir()
    own.write_text("seed: 9")
    assert find_config("simulate/smoke.yaml").resolve() == own


def test_configs_inside_an_installed_package_are_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "eeg2music"
    package.mkdir(parents=True)
    monkeypatch.setattr(config, "__file__", str(package / "config.py"))
    assert shipped_folder("configs") == tmp_path / "site" / "configs"
    (package / "configs").mkdir()
    assert shipped_folder("configs") == package / "configs"


def test_configs_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        Outer().seed = 1


def test_what_is_shown_can_be_read_back(tmp_path: Path) -> None:
    given = load_config(Outer, None, ["names=[a]", "inner.steps=2", "items=[{name: x, snr_db: -3}]"])
    file = write(tmp_path, yaml.safe_dump(given.model_dump(mode="json")))
    assert load_config(Outer, file) == given


def test_build_config_names_its_source() -> None:
    with pytest.raises(ConfigError, match="in the checkpoint"):
        build_config(Outer, {"nope": 1}, source="the checkpoint")


def test_an_unknown_key_is_told_before_a_missing_one() -> None:
    # The typo explains what is missing, not the other way round.
    with pytest.raises(ConfigError, match=r"Unknown key 'items\.0\.nam'.*did you mean 'name'\?$"):
        load_config(Outer, None, ["items=[{nam: a}]"])
