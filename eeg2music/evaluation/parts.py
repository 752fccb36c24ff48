"""Finished units of an evaluation on disk, so that a run that was stopped goes on where it was.

```
OUT.parts/<key>/unit.json               scores and facts of the level
OUT.parts/<key>/decoded.safetensors     query, gallery and target in the conditioning space, if there are conditions
OUT.parts/<key>/curves.safetensors      the same of the control curves, if there are any
OUT.parts/<key>/made.safetensors        the same of the generated clips in the scorer's embedding, if there are any
OUT.parts/<key>/sounds.safetensors      clips that are kept to be listened to, if any are
```
The key is a hash of everything that decides the unit, so that a changed checkpoint, material or
setting finds nothing here, and an added level finds the rest. Any change of the package's code
changes the key too. Scores nothing.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from eeg2music import __version__
from eeg2music.config import Config
from eeg2music.errors import InputError
from eeg2music.evaluation.baselines import TAUGHT
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.units import Matched, Unit, UnitResult
from eeg2music.files import atomic_folder, read_json, sha256_file, sha256_folder, sha256_json, write_json
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.types import STEMS
from eeg2music.weights import checkpoint_sha256

# Raise it when parts are written differently.
SCHEMA = 5
# Settings that parts of earlier runs do not know.
LATER = ("styles", "windows_per_song", "prepared", "latency")
_KEY = re.compile(r"[0-9a-f]{32}")


class Parts:
    """The finished units of one evaluation.

    Parameters
    ----------
    out : folder of the result; the parts lie beside it
    checkpoint : folder of the models
    device : type of the device that computes

    Raises
    ------
    InputError
        If something else lies where the parts should.
    """

    def __init__(self, out: Path, config: EvaluateConfig, checkpoint: Path, device: str) -> None:
        whole = out.resolve()
        self.folder = whole.with_name(f"{whole.name}.parts")
        self._common = {
            "schema": SCHEMA,
            "version": __version__,
            "source": source_sha256(),
            "weights": checkpoint_sha256(checkpoint),
            # Configs of the models, and the manifests by which leaks are found.
            "models": sha256_folder(checkpoint, "*.json"),
            "material": _material(config),
            "sampling": config.sampling.model_dump(mode="json"),
            "device": device,
        }
        self._fit = _settings(config.fit)
        if config.fit.prepared:
            self._fit |= {"prepared": _cache(Path(config.fit.prepared)), "genres": config.genres}
        self._check_and_sweep()

    def key(self, unit: Unit) -> str:
        """Names the unit's part."""
        taught = {"fit": self._fit} if unit.condition in TAUGHT else {}
        return sha256_json({**self._common, **unit.identity(), **taught})[:32]

    def has(self, unit: Unit) -> bool:
        """Whether the unit is done."""
        return (self.folder / self.key(unit) / "unit.json").is_file()

    def write(self, unit: Unit, result: UnitResult) -> None:
        """Keep a result, whole or not at all."""
        with atomic_folder(self.folder / self.key(unit)) as folder:
            for name, matched in (("decoded", result.decoded), ("curves", result.curves), ("made", result.made)):
                if matched is not None:
                    save_file(matched._asdict(), folder / f"{name}.safetensors")
            if result.sounds is not None:
                save_file(dict(result.sounds), folder / "sounds.safetensors")
            found = {"unit": unit.identity(), "facts": result.facts, "entry": result.entry, "why": result.why}
            write_json(folder / "unit.json", found)

    def read(self, unit: Unit) -> UnitResult:
        """A result as it was written."""
        folder = self.folder / self.key(unit)
        found = read_json(folder / "unit.json")
        decoded, curves, made = (_matched(folder / f"{name}.safetensors") for name in ("decoded", "curves", "made"))
        sounds = folder / "sounds.safetensors"
        kept = load_file(sounds) if sounds.is_file() else None
        return UnitResult(found["entry"], found["facts"], decoded, made, found["why"], kept, curves)

    def remove(self) -> None:
        """Remove them all: the result is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_and_sweep(self) -> None:
        if not self.folder.exists():
            return
        entries = list(self.folder.iterdir()) if self.folder.is_dir() else [self.folder]
        foreign = [entry.name for entry in entries if not _KEY.fullmatch(entry.name.lstrip(".").partition("-")[0])]
        if foreign:
            raise InputError(
                f"{self.folder} is there already and is not of an evaluation (such as {foreign[0]})",
                allowed="finished parts of an evaluation that was stopped",
                remedy="move it away, or choose another --out",
            )
        # What a run that was killed had half written.
        for entry in entries:
            if entry.name.startswith("."):
                shutil.rmtree(entry, ignore_errors=True)


def source_sha256() -> str:
    """One hash over the package's own source files."""
    return sha256_folder(Path(__file__).parents[1], "*.py")


def _matched(path: Path) -> Matched | None:
    return Matched(**load_file(path)) if path.is_file() else None


def _settings(config: Config) -> dict[str, Any]:
    """As JSON, without settings that came later and are left alone: they change nothing of what was there before."""
    alone = type(config)().model_dump(mode="json")
    told = config.model_dump(mode="json")
    return {key: value for key, value in told.items() if key not in LATER or value != alone[key]}


def _material(config: EvaluateConfig) -> dict[str, Any]:
    """What decides recordings and music."""
    if not config.prepared:
        # The seed of the recordings is the unit's.
        return {"listening": _settings(config.listening)}
    genres = {"genres": config.genres} if config.genres else {}
    split = {"split": sha256_file(config.split)} if config.split else {}
    return {**_cache(Path(config.prepared)), **genres, **split}


def _cache(path: Path) -> dict[str, Any]:
    """Recordings and music of a prepared cache, by content."""
    data = PreparedDataset(path)
    mixes = sorted({Path(row["stimulus_file"]) for row in data.rows if row["stimulus_file"]})
    folders = sorted({mix.parent for mix in mixes})
    stems = [path for song in folders for path in (song / f"{name}.wav" for name in STEMS) if path.is_file()]
    whole = {path.parent for path in stems}
    alone = [mix for mix in mixes if mix.parent not in whole]
    return {"prepared": data.content_hash, "stems": [sha256_file(path) for path in (*stems, *alone)]}
