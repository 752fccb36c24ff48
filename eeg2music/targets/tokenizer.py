"""A small tokenizer whose vocabulary is built from the captions a text tower is trained on.

Text is lower-cased and cut into words, numbers and signs. A known word is one token; an unknown
one is spelled by the longest known pieces, down to single characters. It never reads or writes
files: the vocabulary is a list of strings that travels in the model's config.json.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from eeg2music.errors import CheckpointError, InputError

PAD, UNKNOWN, START = "<pad>", "<unk>", "<start>"
SPECIAL = (PAD, UNKNOWN, START)
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789#,.'/"
# A piece that continues a word; the plain form begins one.
CONTINUES = "##"

_WORD = re.compile(r"[a-z]+#?|[0-9]+|[^\sa-z0-9]")


def split_words(text: str) -> list[str]:
    """Words, numbers and signs of a text, lower-cased.

    >>> split_words("Slow funk in F# minor, 92 BPM.")
    ['slow', 'funk', 'in', 'f#', 'minor', ',', '92', 'bpm', '.']
    """
    return _WORD.findall(text.lower())


def build_vocabulary(captions: Iterable[str], size: int = 1000) -> list[str]:
    """Special tokens, single characters, then the most frequent words of the captions.

    Ties are broken alphabetically, so that the same captions give the same list.

    Raises
    ------
    InputError
        If `size` cannot hold the special tokens and the characters.
    """
    pieces = [*SPECIAL, *CHARACTERS, *(CONTINUES + c for c in CHARACTERS)]
    if size < len(pieces):
        raise InputError(f"A vocabulary of {size} tokens is too small", allowed=f"at least {len(pieces)}")
    known = set(pieces)
    counts = Counter(word for caption in captions for word in split_words(caption) if word not in known)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    return pieces + words[: size - len(pieces)]


class Tokenizer:
    """Text to token ids.

    Parameters
    ----------
    vocabulary : tokens in the order of their ids; the first three are the special ones
    max_tokens : longest sequence, start token included; what goes beyond is cut off
    """

    def __init__(self, vocabulary: Sequence[str], max_tokens: int = 64) -> None:
        if tuple(vocabulary[: len(SPECIAL)]) != SPECIAL:
            raise CheckpointError(
                f"The vocabulary begins with {list(vocabulary[:3])}", allowed=f"{list(SPECIAL)} first"
            )
        self.max_tokens = max_tokens
        self._ids = {token: index for index, token in enumerate(vocabulary)}
        if len(self._ids) != len(vocabulary):
            raise CheckpointError("The vocabulary holds a token twice", remedy="build it with build_vocabulary")
        self._longest = max(len(token) for token in vocabulary)

    def __len__(self) -> int:
        return len(self._ids)

    def tokenize(self, text: str) -> list[int]:
        """Ids of one text, start token first, at most `max_tokens` of them."""
        ids = [self._ids[START]]
        for word in split_words(text):
            ids.extend(self._spell(word))
        return ids[: self.max_tokens]

    def __call__(self, texts: Sequence[str], *, length: int | None = None) -> Tensor:
        """Ids of several texts, padded with 0.

        Returns
        -------
        (batch, token) int64; `token` is `length`, or that of the longest text.
        """
        rows = [self.tokenize(text) for text in texts]
        width = max((len(row) for row in rows), default=1) if length is None else length
        out = torch.zeros(len(rows), width, dtype=torch.int64)
        for target, row in zip(out, rows, strict=True):
            target[: len(row)] = torch.tensor(row[:width])
        return out

    def _spell(self, word: str) -> list[int]:
        """The longest known pieces of a word from left to right."""
        ids, start = [], 0
        while start < len(word):
            prefix = "" if start == 0 else CONTINUES
            for stop in range(min(len(word), start + self._longest), start, -1):
                found = self._ids.get(prefix + word[start:stop])
                if found is not None:
                    break
            else:
                found, stop = self._ids[UNKNOWN], start + 1
            ids.append(found)
            start = stop
        return ids
