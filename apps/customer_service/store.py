"""The store of conversations: an SQLite file with questions, decisions and feedback.

It is the only place where the app keeps texts of customers. Deleted texts are overwritten in the file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kbert
from apps.customer_service.dialogue import HAND_OVER, PastTurn, Reply

_FORMAT = 1
_APPLICATION = 0x6B435330
"""The application id of the SQLite file ("kCS0")."""
_SCHEMA = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY, started REAL NOT NULL, last REAL NOT NULL, handed_over TEXT, handed_over_at REAL
) WITHOUT ROWID;
CREATE TABLE turns (
    conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    number INTEGER NOT NULL, at REAL NOT NULL, question TEXT NOT NULL, understood TEXT NOT NULL,
    decision TEXT NOT NULL, reason TEXT NOT NULL, faq TEXT, confidence REAL NOT NULL,
    helpful INTEGER, right_faq TEXT,
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;
CREATE INDEX conversations_last ON conversations(last);
"""
MOST_TURNS = 200
"""The largest number of questions in a conversation."""


class StoreError(kbert.KbertError):
    """The file is no store, or a conversation does not exist or is full."""


class MissingError(StoreError):
    """There is no such conversation, or it has no such turn."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """A question, what the app decided, and what the customer said about it.

    Args:
        conversation: The id of the conversation.
        number: The number of the question in the conversation, from 1.
        at: When the question was asked, in seconds since 1970.
        question: The question.
        understood: The text that was searched.
        decision: What the app decided.
        reason: Why it handed over, or "".
        faq: The id of the FAQ of the answer; None without an answer.
        confidence: The confidence in the best FAQ.
        helpful: Whether the customer found the answer helpful; None if they did not say.
        right_faq: The id of the FAQ that the customer chose as the right one, or None.
    """

    conversation: str
    number: int
    at: float
    question: str
    understood: str
    decision: str
    reason: str
    faq: str | None
    confidence: float
    helpful: bool | None
    right_faq: str | None


@dataclasses.dataclass(frozen=True)
class HandOver:
    """A conversation that waits for a person.

    Args:
        conversation: The id of the conversation.
        at: When it was handed over, in seconds since 1970.
        reason: Why.
    """

    conversation: str
    at: float
    reason: str


class Store:
    """Keeps conversations. Threads may share it.

    Args:
        path: The SQLite file, which is created if it is missing; the folder is created too.

    Raises:
        StoreError: The file is no store of this app.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Questions of customers are nobody else's business on this machine.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
        self._database.row_factory = sqlite3.Row
        try:
            self._open()
        except sqlite3.DatabaseError as problem:
            self._database.close()
            raise StoreError(f"expected a store of this app. Received: {path} ({problem}); name another file") from None

    def _open(self) -> None:
        run = self._database.execute
        application, version = (run(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
        is_new = not run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not is_new and (application, version) != (_APPLICATION, _FORMAT):
            raise sqlite3.DatabaseError(f"application id {application}, format {version}")
        # The bytes of deleted texts are overwritten with zeros.
        for setting in ("journal_mode = WAL", "foreign_keys = ON", "secure_delete = ON"):
            run(f"PRAGMA {setting}")
        if is_new:
            self._database.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_FORMAT}; COMMIT;"
            )

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    # === Conversations ===

    def start(self) -> str:
        """Starts a conversation, and returns its id. Whoever knows the id can read and delete the conversation."""
        # Hexadecimal, since an id that begins with a hyphen would be an option on the command line.
        name, now = secrets.token_hex(16), time.time()
        with self._transaction() as database:
            database.execute("INSERT INTO conversations VALUES (?, ?, ?, NULL, NULL)", (name, now, now))
        return name

    def add(self, conversation: str, question: str, reply: Reply) -> int:
        """Adds a question and the reply to it, and returns the number of the turn.

        Raises:
            MissingError: There is no such conversation.
            StoreError: The conversation has MOST_TURNS questions.
        """
        now = time.time()
        with self._transaction() as database:
            last = _only(database, "SELECT max(number) FROM turns WHERE conversation = ?", conversation)
            self._require(database, conversation)
            number = (last or 0) + 1
            if number > MOST_TURNS:
                raise StoreError(
                    f"expected at most {MOST_TURNS} questions in a conversation. Received: one more; start another "
                    "conversation"
                )
            database.execute(
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                (
                    conversation,
                    number,
                    now,
                    question,
                    reply.understood,
                    reply.decision,
                    reply.reason,
                    reply.faq and reply.faq.id,
                    reply.confidence,
                ),
            )
            database.execute("UPDATE conversations SET last = ? WHERE id = ?", (now, conversation))
            if reply.decision == HAND_OVER:
                _hand_over(database, conversation, reply.reason, now)
        return number

    def turns(self, conversation: str) -> list[Turn]:
        """Returns the turns of a conversation.

        Raises:
            MissingError: There is no such conversation.
        """
        with self._transaction() as database:
            self._require(database, conversation)
            rows = database.execute("SELECT * FROM turns WHERE conversation = ? ORDER BY number", (conversation,))
            return [_turn(row) for row in rows]

    def past(self, conversation: str) -> list[PastTurn]:
        """Returns what the policy needs to know about the last questions.

        Raises:
            MissingError: There is no such conversation.
        """
        return [PastTurn(turn.understood, turn.helpful) for turn in self.turns(conversation)[-5:]]

    def judge(
        self, conversation: str, number: int, *, helpful: bool | None = None, right_faq: str | None = None
    ) -> None:
        """Stores what the customer says about a turn; a later judgement replaces an earlier one.

        Args:
            conversation: The id of the conversation.
            number: The number of the turn.
            helpful: Whether the answer was helpful.
            right_faq: The id of the FAQ that is right. It takes the conversation off the list of those that wait.

        Raises:
            MissingError: There is no such turn.
        """
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE turns SET helpful = ?, right_faq = ? WHERE conversation = ? AND number = ?",
                (helpful, right_faq, conversation, number),
            )
            if not changed.rowcount:
                raise MissingError("expected a turn of a conversation. Received: one that does not exist")
            if right_faq is not None:
                _take(database, conversation)

    # === Hand-overs ===

    def hand_over(self, conversation: str, reason: str) -> None:
        """Puts a conversation on the list of those that wait for a person.

        Raises:
            MissingError: There is no such conversation.
        """
        with self._transaction() as database:
            self._require(database, conversation)
            _hand_over(database, conversation, reason, time.time())

    def waiting(self) -> list[HandOver]:
        """Returns the conversations that wait for a person, the longest waiting first."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT id, handed_over_at, handed_over FROM conversations WHERE handed_over IS NOT NULL "
                "ORDER BY handed_over_at"
            )
            return [HandOver(*row) for row in rows]

    def take(self, conversation: str) -> None:
        """Takes a conversation off the list of those that wait.

        Raises:
            MissingError: There is no such conversation.
        """
        with self._transaction() as database:
            self._require(database, conversation)
            _take(database, conversation)

    # === Deletion and export ===

    def forget(self, conversation: str) -> None:
        """Deletes a conversation.

        Raises:
            MissingError: There is no such conversation.
        """
        with self._transaction() as database:
            self._require(database, conversation)
            database.execute("DELETE FROM conversations WHERE id = ?", (conversation,))
        self._empty_journal()

    def forget_before(self, moment: float) -> int:
        """Deletes the conversations whose last question was before a moment, in seconds since 1970.

        Returns:
            The number of deleted conversations.
        """
        with self._transaction() as database:
            count = database.execute("DELETE FROM conversations WHERE last < ?", (moment,)).rowcount
        if count:
            self._empty_journal()
        return count

    def judged(self) -> list[Turn]:
        """Returns the turns that customers judged, in the order in which they were asked."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT * FROM turns WHERE helpful IS NOT NULL OR right_faq IS NOT NULL ORDER BY at, conversation"
            )
            return [_turn(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Returns how many conversations, questions, hand-overs and judgements the store has."""
        with self._transaction() as database:
            return {
                "conversations": _only(database, "SELECT count(*) FROM conversations"),
                "questions": _only(database, "SELECT count(*) FROM turns"),
                "handed over": _only(database, "SELECT count(*) FROM turns WHERE decision = ?", HAND_OVER),
                "helpful": _only(database, "SELECT count(*) FROM turns WHERE helpful = 1"),
                "not helpful": _only(database, "SELECT count(*) FROM turns WHERE helpful = 0"),
                "right FAQ chosen": _only(database, "SELECT count(*) FROM turns WHERE right_faq IS NOT NULL"),
            }

    def _empty_journal(self) -> None:
        """Removes the deleted texts from the journal as well."""
        with self._lock:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _require(self, database: sqlite3.Connection, conversation: str) -> None:
        if not _only(database, "SELECT count(*) FROM conversations WHERE id = ?", conversation):
            raise MissingError("expected the id of a conversation. Received: one that does not exist, or was deleted")


def _hand_over(database: sqlite3.Connection, conversation: str, reason: str, now: float) -> None:
    database.execute(
        "UPDATE conversations SET handed_over = ?, handed_over_at = coalesce(handed_over_at, ?) WHERE id = ?",
        (reason, now, conversation),
    )


def _take(database: sqlite3.Connection, conversation: str) -> None:
    database.execute("UPDATE conversations SET handed_over = NULL, handed_over_at = NULL WHERE id = ?", (conversation,))


def _only(database: sqlite3.Connection, query: str, *values: Any) -> Any:
    return database.execute(query, values).fetchone()[0]


def _turn(row: sqlite3.Row) -> Turn:
    values = dict(row)
    helpful = values.pop("helpful")
    return Turn(**values, helpful=None if helpful is None else bool(helpful))
