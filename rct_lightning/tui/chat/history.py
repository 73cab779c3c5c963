"""Chat history: all conversations in one SQLite file.

An exchange is a message of the user with its replies; a conversation is a name that exchanges share. Nothing is
overwritten: a regenerated reply marks the former one as replaced, and an edit marks the former exchange as withdrawn.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rct_lightning.dialogue import Turn
from rct_lightning.errors import UserError
from rct_lightning.sanitize import printable

MIGRATIONS = (
    """
    CREATE TABLE exchanges (
        id INTEGER PRIMARY KEY, conversation TEXT NOT NULL, asked REAL NOT NULL, text TEXT NOT NULL,
        withdrawn INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX by_conversation ON exchanges (conversation);
    CREATE TABLE replies (
        id INTEGER PRIMARY KEY, exchange INTEGER NOT NULL REFERENCES exchanges (id) ON DELETE CASCADE,
        side TEXT NOT NULL CHECK (side IN ('tuned', 'base')), text TEXT NOT NULL, how TEXT NOT NULL,
        model TEXT NOT NULL, name TEXT NOT NULL, seed INTEGER NOT NULL, settings TEXT NOT NULL, tokens INTEGER NOT NULL,
        gain REAL, turns INTEGER NOT NULL, memory TEXT NOT NULL, replaced INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX by_exchange ON replies (exchange);
    CREATE INDEX by_model ON replies (model, id);
    """,
    """
    CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)
    """,
)
"""Scripts that migrate a file from one version to the next; ``PRAGMA user_version`` counts those that were run."""
CURRENT = "NOT replies.replaced AND NOT exchanges.withdrawn AND replies.side = 'tuned'"
JOINED = "replies JOIN exchanges ON exchanges.id = replies.exchange"
SECONDS_TO_WAIT = 2.0
"""Time to wait for another chat that is writing to the file."""


@dataclass(frozen=True)
class SavedReply:
    """A reply and how it was made.

    Attributes:
        side: ``tuned`` or ``base``.
        text: The reply, possibly incomplete.
        how: ``eos``, ``turn``, ``limit`` or ``stopped``.
        model: SHA-256 of the adapter.
        name: Name of the run.
        seed: Seed it was sampled with.
        settings: The settings at the time.
        tokens: Number of tokens of the reply.
        gain: Gain of the reply from the history, nats per token; None without a history.
        turns: Earlier turns of the same conversation that were fed.
        memory: Turns of earlier conversations that were fed before them.
    """

    side: str
    text: str
    how: str
    model: str
    name: str
    seed: int
    settings: dict[str, Any]
    tokens: int
    gain: float | None = None
    turns: int = 0
    memory: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class Exchange:
    """A message of the user, its time (Unix time), and the current replies to it, the tuned model's first."""

    id: int
    conversation: str
    asked: float
    text: str
    replies: tuple[SavedReply, ...] = ()

    @property
    def reply(self) -> SavedReply | None:
        """The reply that the conversation continues from."""
        return next((reply for reply in self.replies if reply.side == "tuned"), None)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The exchange as context of later ones; empty if there is no reply."""
        if self.reply is None or not self.reply.text.strip():
            return ()
        return Turn("human", self.text), Turn("assistant", self.reply.text)


@dataclass(frozen=True)
class Found:
    """A conversation in a list: its first exchange, or the one that matched the search."""

    conversation: str
    asked: float
    text: str
    reply: str


class History:
    """The history file.

    Args:
        path: Created if missing, readable by its owner only; None keeps everything in memory.

    Raises:
        UserError: It cannot be opened, has a newer version, or is not a history file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(_made(path), timeout=SECONDS_TO_WAIT, isolation_level=None)
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"{path}: the history cannot be opened ({error}). Move the file away to begin a new one, or name "
                f"another folder in the environment variable RCT_DATA_DIR."
            ) from None

    def _prepare(self) -> None:
        self._write_ahead()
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA secure_delete = ON")
        if self._version() != len(MIGRATIONS):
            self._migrate()
        self.indexed = self._index()

    def _write_ahead(self) -> None:
        """Switch to WAL mode, retrying: here SQLite does not wait by itself for another chat that is doing the same."""
        until = time.monotonic() + SECONDS_TO_WAIT
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def _version(self) -> int:
        found: int = self._db.execute("PRAGMA user_version").fetchone()[0]
        return found

    def _migrate(self) -> None:
        with self._transaction() as db:
            version = self._version()  # read only now: another chat may have migrated it meanwhile
            if version > len(MIGRATIONS):
                raise sqlite3.DatabaseError(f"it has version {version}, and this program knows {len(MIGRATIONS)}")
            for script in MIGRATIONS[version:]:
                for statement in script.split(";"):
                    db.execute(statement)
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _index(self) -> bool:
        """Create the word index (FTS5) and return True; without FTS5 return False: search then reads all texts."""
        try:
            with self._transaction() as db:
                db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (text)")
                db.execute(
                    f"INSERT INTO words (rowid, text) SELECT replies.id, exchanges.text || char(10) || replies.text "
                    f"FROM {JOINED} WHERE side = 'tuned' AND replies.id > (SELECT coalesce(max(rowid), 0) FROM words)"
                )
        except sqlite3.OperationalError as error:
            if "fts5" not in str(error):
                raise
            return False
        return True

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction: all or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._transaction() as db:
                yield db
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: this could not be kept ({error}).") from None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # --- writing ----------------------------------------------------------------------------------------------------

    def ask(self, conversation: str, text: str, asked: float, instead_of: Exchange | None = None) -> Exchange:
        """Store the user's message, optionally in place of an exchange that is withdrawn."""
        with self._writing() as db:
            if instead_of is not None:
                self._check_is_there(instead_of)
                db.execute("UPDATE exchanges SET withdrawn = 1 WHERE id = ?", (instead_of.id,))
            number = db.execute(
                "INSERT INTO exchanges (conversation, asked, text) VALUES (?, ?, ?)", (conversation, asked, text)
            ).lastrowid
        assert number is not None
        return Exchange(number, conversation, asked, text)

    def withdraw(self, exchange: Exchange, back: Exchange | None = None) -> None:
        """Withdraw an exchange that was not answered, and bring back the one whose place it took."""
        with self._writing() as db:
            for each, withdrawn in ((exchange, 1), (back, 0)):
                if each is not None:
                    db.execute(
                        "UPDATE exchanges SET withdrawn = ? WHERE id = ? AND conversation = ?",
                        (withdrawn, each.id, each.conversation),
                    )

    def answer(self, exchange: Exchange, replies: Sequence[SavedReply]) -> Exchange:
        """Store the replies to an exchange; former replies are marked as replaced."""
        with self._writing() as db:
            self._check_is_there(exchange)
            db.execute("UPDATE replies SET replaced = 1 WHERE exchange = ?", (exchange.id,))
            for reply in replies:
                row = asdict(reply) | {
                    "exchange": exchange.id,
                    "settings": json.dumps(reply.settings),
                    "memory": json.dumps([asdict(turn) for turn in reply.memory], ensure_ascii=False),
                }
                number = db.execute(
                    f"INSERT INTO replies ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", row
                ).lastrowid
                if self.indexed and reply.side == "tuned":
                    db.execute(
                        "INSERT INTO words (rowid, text) VALUES (?, ?)", (number, f"{exchange.text}\n{reply.text}")
                    )
        return replace(exchange, replies=tuple(replies))

    def _check_is_there(self, exchange: Exchange) -> None:
        """Refuse to write to an exchange that another chat deleted: its number may be that of another by now."""
        asked = "SELECT 1 FROM exchanges WHERE id = ? AND conversation = ?"
        if self._db.execute(asked, (exchange.id, exchange.conversation)).fetchone() is None:
            raise UserError("This conversation was deleted meanwhile, in another chat. /new begins another one.")

    def delete(self, conversation: str) -> None:
        """Delete a conversation, including replaced and withdrawn parts, from the disk as well."""
        chosen = f"SELECT replies.id FROM {JOINED} WHERE conversation = ?"
        with self._writing() as db:
            if self.indexed:
                db.execute(f"DELETE FROM words WHERE rowid IN ({chosen})", (conversation,))
                db.execute("INSERT INTO words (words) VALUES ('optimize')")  # otherwise the index keeps deleted words
            db.execute("DELETE FROM exchanges WHERE conversation = ?", (conversation,))
        self._rows("PRAGMA wal_checkpoint (TRUNCATE)")

    def keep_setting(self, name: str, value: str) -> None:
        """Store a setting for later sessions."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))

    def forget_settings(self, names: Iterable[str]) -> None:
        """Delete stored settings, so that the program's defaults apply again."""
        with self._writing() as db:
            db.executemany("DELETE FROM settings WHERE name = ?", [(name,) for name in names])

    # --- reading ----------------------------------------------------------------------------------------------------

    def kept_settings(self) -> dict[str, str]:
        """Return the stored settings by name, as they were typed."""
        texts = "typeof(name) = 'text' AND typeof(value) = 'text'"
        return dict(self._rows(f"SELECT name, value FROM settings WHERE {texts} ORDER BY name"))

    def exchanges(self, conversation: str) -> list[Exchange]:
        """Return the exchanges of a conversation, oldest first."""
        rows = self._rows(
            "SELECT id, conversation, asked, text FROM exchanges WHERE conversation = ? AND NOT withdrawn ORDER BY id",
            conversation,
        )
        return [self._exchange(*row) for row in rows]

    def remembered(self, model: str, count: int, *, but: str) -> list[Exchange]:
        """Return the newest exchanges with a model in other conversations, except stopped replies, oldest first."""
        rows = self._rows(
            f"SELECT exchanges.id, conversation, asked, exchanges.text FROM {JOINED} WHERE {CURRENT} AND model = ? "
            f"AND conversation != ? AND how != 'stopped' AND trim(replies.text) != '' "
            f"ORDER BY exchanges.id DESC LIMIT ?",
            model,
            but,
            count,
        )
        return [self._exchange(*row) for row in reversed(rows)]

    def conversations(self, limit: int = 100) -> list[Found]:
        """List conversations by their first exchange, newest first."""
        return self._found(
            f"exchanges.id IN (SELECT min(exchanges.id) FROM {JOINED} WHERE {CURRENT} GROUP BY conversation)", (), limit
        )

    def search(self, words: str, limit: int = 100) -> list[Found]:
        """Find exchanges that contain all words, the last of which may be a prefix; newest first."""
        wanted = re.findall(r"\w+", words)
        if not wanted:
            return []
        if self.indexed:
            query = " ".join(f'"{word}"' for word in wanted) + "*"
            return self._found("replies.id IN (SELECT rowid FROM words WHERE words MATCH ?)", (query,), limit)
        holds = " AND ".join(["exchanges.text || char(10) || replies.text LIKE ? ESCAPE '\\'"] * len(wanted))
        return self._found(holds, tuple("%" + word.replace("_", "\\_") + "%" for word in wanted), limit)

    def _found(self, where: str, values: tuple[str, ...], limit: int) -> list[Found]:
        rows = self._rows(
            f"SELECT conversation, asked, exchanges.text, replies.text FROM {JOINED} WHERE {CURRENT} AND {where} "
            f"ORDER BY exchanges.id DESC LIMIT ?",
            *values,
            limit,
        )
        return [Found(name, asked, printable(text), printable(reply)) for name, asked, text, reply in rows]

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise UserError(f"{self.path}: the history cannot be read ({error}). Move the file away.") from None

    def _exchange(self, number: int, conversation: str, asked: float, text: str) -> Exchange:
        rows = self._rows(
            "SELECT side, text, how, model, name, seed, settings, tokens, gain, turns, memory FROM replies "
            "WHERE exchange = ? AND NOT replaced ORDER BY side DESC",
            number,
        )
        return Exchange(number, conversation, asked, printable(text), tuple(_reply(*row) for row in rows))


def _reply(side: str, text: str, how: str, model: str, name: str, seed: int, settings: str, *rest: Any) -> SavedReply:
    tokens, gain, turns, memory = rest
    fed = tuple(Turn(turn["role"], printable(turn["content"])) for turn in json.loads(memory))
    return SavedReply(
        side, printable(text), how, model, printable(name), seed, json.loads(settings), tokens, gain, turns, fed
    )


def history_file() -> Path:
    """Return the path of the user's history: in the folder named by RCT_DATA_DIR, or in the user's data folder."""
    import platformdirs

    own = os.environ.get("RCT_DATA_DIR")
    folder = Path(own) if own else platformdirs.user_data_path("rct_lightning", appauthor=False)
    return folder / "chat.sqlite"


def _made(path: Path | None) -> str:
    """Create the file, readable by its owner only, if it is missing."""
    if path is None:
        return ":memory:"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    return str(path)
