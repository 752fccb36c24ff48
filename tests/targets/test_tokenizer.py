"""The caption tokenizer: determinism, spelling of unknown words, round trip of its vocabulary."""

from __future__ import annotations

import json

import pytest

from eeg2music.errors import CheckpointError, InputError
from eeg2music.targets.tokenizer import SPECIAL, Tokenizer, build_vocabulary, split_words

CAPTIONS = ["Slow funk in F# minor, 92 BPM.", "slow ballad with piano", "Fast funk"]


def test_frequent_words_come_first_and_the_order_is_fixed() -> None:
    vocabulary = build_vocabulary(CAPTIONS)
    assert tuple(vocabulary[:3]) == SPECIAL
    words = [token for token in vocabulary if token.isalpha() and len(token) > 1]
    assert words[:2] == ["funk", "slow"]
    assert vocabulary == build_vocabulary(reversed(CAPTIONS))
    assert len(set(vocabulary)) == len(vocabulary)


def test_known_words_are_one_token_each() -> None:
    tokenizer = Tokenizer(build_vocabulary(CAPTIONS))
    assert len(tokenizer.tokenize("Slow FUNK in f# minor")) == 1 + 5


def test_unknown_words_and_numbers_are_spelled_and_differ() -> None:
    tokenizer = Tokenizer(build_vocabulary(CAPTIONS))
    assert tokenizer.tokenize("137") != tokenizer.tokenize("173")
    assert tokenizer.tokenize("slower") != tokenizer.tokenize("slow er")
    assert 1 in tokenizer.tokenize("naïve")
    assert 1 not in tokenizer.tokenize("zydeco at 137 bpm")


def test_batches_are_padded_and_cut() -> None:
    tokenizer = Tokenizer(build_vocabulary(CAPTIONS), max_tokens=6)
    ids = tokenizer(["slow", "slow funk in minor with piano and more"])
    assert ids.shape == (2, 6)
    assert ids[0].tolist()[2:] == [0] * 4
    assert tokenizer(["slow"], length=6).shape == (1, 6)
    assert tokenizer([""]).tolist() == [[2]]


def test_a_vocabulary_survives_json() -> None:
    vocabulary = build_vocabulary(CAPTIONS)
    again = Tokenizer(json.loads(json.dumps(vocabulary)))
    assert again.tokenize(CAPTIONS[0]) == Tokenizer(vocabulary).tokenize(CAPTIONS[0])


def test_size_limits() -> None:
    assert len(build_vocabulary([f"w{chr(97 + i)}x" for i in range(26)], size=90)) == 90
    with pytest.raises(InputError, match="too small"):
        build_vocabulary(CAPTIONS, size=10)


def test_a_damaged_vocabulary_is_refused() -> None:
    vocabulary = build_vocabulary(CAPTIONS)
    with pytest.raises(CheckpointError, match="begins with"):
        Tokenizer(vocabulary[1:])
    with pytest.raises(CheckpointError, match="twice"):
        Tokenizer([*vocabulary, "funk"])


def test_words() -> None:
    assert split_words("R&B, 4/4; C#!") == ["r", "&", "b", ",", "4", "/", "4", ";", "c#", "!"]
