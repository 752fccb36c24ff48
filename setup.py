"""Packaging that needs code: configs and small checkpoints travel inside the wheel."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def data_files(folder: str) -> list[str]:
    """Everything below `folder` but hidden files, relative to it."""
    files = (path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file())
    return [str(path) for path in files if not any(part.startswith(".") for part in path.parts)]


setup(
    packages=[*find_packages(include=["eeg2music", "eeg2music.*"]), "eeg2music.configs", "eeg2music.checkpoints"],
    package_dir={"eeg2music.configs": "configs", "eeg2music.checkpoints": "checkpoints"},
    package_data={
        "eeg2music": ["py.typed"],
        "eeg2music.configs": data_files("configs"),
        "eeg2music.checkpoints": data_files("checkpoints"),
    },
)
