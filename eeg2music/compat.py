"""Keeps a broken torchaudio from breaking transformers, diffusers and braindecode.

Those packages import torchaudio whenever it is installed, and its releases link CUDA libraries
that a CPU build of torch does not have. Every module that imports transformers or diffusers while it
is itself imported calls `mend_torchaudio()` first; so does every function that loads a model through
them. It never touches a torchaudio that works, and never imports anything but torchaudio.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, TypeVar

logger = logging.getLogger(__name__)

State = Literal["absent", "works", "stubbed", "hidden"]
F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def mend_torchaudio() -> State:
    """Make `import torchaudio` harmless, whatever state the installed one is in.

    Returns
    -------
    "absent": not installed, nothing done. "works": it loads, nothing done. "stubbed": its compiled
    libraries cannot load; its pure Python parts are importable. "hidden": even those cannot be
    imported; it looks as if it were not installed.
    """
    if importlib.util.find_spec("torchaudio") is None:
        return "absent"
    if _imports():
        return "works"
    _forget()
    sys.modules["torchaudio._extension"] = _stub()
    if _imports():
        logger.debug("torchaudio's libraries cannot load; its compiled functions are stubbed")
        return "stubbed"
    _forget()
    # None makes `find_spec` answer "not installed" and `import torchaudio` an ImportError.
    sys.modules["torchaudio"] = None  # type: ignore[assignment]
    logger.debug("torchaudio cannot be imported; it is hidden")
    return "hidden"


def _imports() -> bool:
    try:
        importlib.import_module("torchaudio")
    except Exception as error:  # a broken binary raises OSError, ImportError, RuntimeError, AttributeError…
        logger.debug("torchaudio does not import: %s", error)
        return False
    return True


def _forget() -> None:
    for name in [name for name in sys.modules if name == "torchaudio" or name.startswith("torchaudio.")]:
        del sys.modules[name]


def _stub() -> ModuleType:
    """A stand-in for the module that loads torchaudio's libraries: says that none is there."""

    def unchanged(function: F) -> F:
        return function

    def attribute(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # `_IS_…_AVAILABLE` flags say no; everything else there is a decorator or a check.
        return False if name.isupper() or name.startswith("_IS_") else unchanged

    module = ModuleType("torchaudio._extension")
    module.__getattr__ = attribute  # type: ignore[method-assign]
    module.__path__ = []
    return module


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep the progress bars and load reports of transformers and diffusers off the screen: what matters is raised."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (transformers_logging, diffusers_logging)
    before = [(library, library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity(logging.CRITICAL)
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level, bars in before:
            library.set_verbosity(level)
            if bars:
                library.enable_progress_bar()
