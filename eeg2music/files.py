"""Files written whole or not at all, and hashed by content.

Never leaves a half-written file or folder behind: everything is written beside its
destination and renamed into place.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from eeg2music.errors import InputError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file path with the same suffix; rename it to `path` on success."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target.parent, f".{target.stem}-", target.suffix, _make_file)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder; rename it to `path` on success, replacing what was there."""
    # Absolute, because the working folder itself may be the one that is replaced.
    target = Path(path).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target.parent, f".{target.name}-", "", Path.mkdir)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        if target.exists():
            _exchange(temporary, target)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(folder: Path, prefix: str, suffix: str, make: Callable[[Path], None]) -> Path:
    """A new file or folder of a name that nothing has, with the permissions that the user's umask leaves.

    Those of `tempfile` are private whatever the umask says.
    """
    while True:
        path = folder / f"{prefix}{secrets.token_hex(4)}{suffix}"
        with suppress(FileExistsError):
            make(path)
            return path


def _make_file(path: Path) -> None:
    path.touch(exist_ok=False)


def _exchange(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`. A folder cannot be replaced in one step: the old one moves aside first."""
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-old-"))
    old = aside / "old"
    try:
        target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            raise
    except BaseException:
        # Only an empty folder goes: were the old one still in it, it would be the last copy.
        with suppress(OSError):
            aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)


def check_result_folder(path: str | os.PathLike[str], own: Collection[str]) -> None:
    """Make sure that a result may be written to `path`, before time is spent on it.

    Results replace the folder they go to. So it has to be new, empty, or hold nothing but an earlier result.

    Parameters
    ----------
    own : names of all files and folders that such a result may hold

    Raises
    ------
    InputError
        If something else is there, or nothing can be written there.
    """
    target = Path(path).absolute()
    remedy = "choose a new folder with --out"
    if target.exists() and not target.is_dir():
        raise InputError(f"{path} is a file", allowed="a folder", remedy=remedy)
    foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in own) if target.is_dir() else []
    if foreign:
        raise InputError(
            f"{path} holds what is not of an earlier result, such as {foreign[0]}",
            allowed="a folder that is new, empty, or holds an earlier result",
            remedy=remedy,
        )
    _check_writable(target)


def check_result_file(path: str | os.PathLike[str], example: str) -> None:
    """Make sure that a file may be written to `path`, before time is spent on it.

    Parameters
    ----------
    example : name of such a file, for the message

    Raises
    ------
    InputError
        If a folder is there, or nothing can be written there.
    """
    if Path(path).is_dir():
        raise InputError(
            f"{path} is a folder", allowed=f"a file, such as {example}", remedy=f"name one with --out {path}/{example}"
        )
    _check_writable(Path(path).absolute())


def check_new_folder(path: str | os.PathLike[str]) -> None:
    """Make sure that a folder can be made at `path`, or is there and can be written in.

    Raises
    ------
    InputError
    """
    target = Path(path).absolute()
    if target.exists() and not target.is_dir():
        raise InputError(f"{path} is a file", allowed="a folder", remedy="choose another folder")
    _check_writable(target / "file")


def _check_writable(target: Path) -> None:
    """Refuse a path below something that nothing can be written in."""
    parent = next(folder for folder in target.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(
            f"Nothing can be written in {parent}", allowed="a folder of yours", remedy="choose a new folder with --out"
        )


def _sync(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON, atomically. Refuses NaN and infinity."""
    text = json.dumps(value, indent=2, sort_keys=False, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex digest of a file's content."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_folder(path: str | os.PathLike[str], pattern: str = "*") -> str:
    """Hex digest over names and contents of the files below a folder that match `pattern`."""
    root = Path(path)
    digest = hashlib.sha256()
    for file in sorted(root.rglob(pattern)):
        if file.is_file():
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(sha256_file(file).encode())
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hex digest of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
