"""Tokens of texts, computed once per run and cached between runs."""

from __future__ import annotations

import json
import os
from array import array
from contextlib import suppress
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

KEY_BYTES = 16


class RememberedTokens:
    """A tokenizer that tokenises each text once: turns recur in all later rows of a conversation, and in twins.

    The tokens can be cached in a file for later runs. Entries are keyed by a hash of the text, and the file by hashes
    of corpus and tokenizer, so that nothing in it can be out of date: a changed row, template or tokenizer is another
    key or another file. A file that cannot be read is ignored.

    Args:
        tokenizer: Tokenizer of the backbone.
        folder: Folder of the cache files; None: no cache.
        corpus: Name of the corpus; each has a file of its own.
    """

    def __init__(self, tokenizer: Any, folder: Path | None = None, corpus: str = "") -> None:
        self._tokenizer = tokenizer
        self._read: dict[bytes, array[int]] = {}
        self._numbers: dict[int, int] = {}
        self._file = folder and folder / f"{_hash(corpus).hex()}-{_fingerprint(tokenizer).hex()}.npz"
        self._known = _load(self._file, tokenizer) if self._file else {}
        self._new = 0

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Return the text's tokens as ``input_ids``; equal tokens are one object, which saves most of their memory."""
        key = _hash(text)
        if key not in self._read:
            ids = self._known.get(key)
            if ids is None:
                ids = array("i", self._tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"])
                self._new += 1
            self._read[key] = ids
        return {"input_ids": [self._numbers.setdefault(token, token) for token in self._read[key]]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def keep(self) -> None:
        """Write the cache file if anything is new; a folder that cannot be written to is ignored."""
        if self._file is None or not self._new:
            return
        ends = np.cumsum([len(ids) for ids in self._read.values()])
        ids = np.fromiter((token for ids in self._read.values() for token in ids), dtype=np.int32)
        keys = np.frombuffer(b"".join(self._read), dtype=np.uint8).reshape(-1, KEY_BYTES)
        unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                np.savez(file, keys=keys, ends=ends, ids=ids)
            unfinished.replace(self._file)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
        self._new = 0


def _fit(keys: bytes, ends: np.ndarray, ids: np.ndarray, vocabulary: int) -> bool:
    """Return whether the contents of a cache file are valid: a key for each text, and token ids of this tokenizer."""
    if not (ends.ndim == ids.ndim == 1 and ends.dtype.kind in "iu" and ids.dtype.kind in "iu"):
        return False
    lengths = np.diff(ends.astype(np.int64), prepend=0)
    return (
        len(keys) == KEY_BYTES * len(ends)
        and bool((lengths >= 0).all())
        and int(lengths.sum()) == len(ids)
        and (not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < vocabulary))
    )


def _load(file: Path, tokenizer: Any) -> dict[bytes, array[int]]:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            keys, ends, ids = kept["keys"].tobytes(), kept["ends"], kept["ids"]
        if not _fit(keys, ends, ids, 1 + max(tokenizer.get_vocab().values())):
            return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, BadZipFile):
        return {}
    whole = array("i", ids.astype(np.intc).tobytes())
    places = enumerate(pairwise([0, *ends.tolist()]))
    return {keys[KEY_BYTES * at : KEY_BYTES * (at + 1)]: whole[start:end] for at, (start, end) in places}


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _fingerprint(tokenizer: Any) -> bytes:
    """Hash everything that decides how a text is tokenised."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    description = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    splits = getattr(tokenizer, "split_special_tokens", False)
    return _hash(f"{type(tokenizer).__name__} {splits} {description}")
