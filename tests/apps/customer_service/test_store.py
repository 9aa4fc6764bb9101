import re
import sqlite3
import stat
import time

import pytest

from apps.customer_service.dialogue import ANSWER, HAND_OVER, PastTurn, Reply
from apps.customer_service.faqs import Faq
from apps.customer_service.store import MOST_TURNS, MissingError, Store, StoreError

FAQ = Faq("price", ("How much?",), "3 euros")
ANSWERED = Reply(ANSWER, "3 euros", "en", faq=FAQ, confidence=0.75, understood="how much")
UNSURE = Reply(HAND_OVER, "not sure", "en", reason="unsure", confidence=0.25, understood="why")


def bytes_of(store):
    return b"".join(path.read_bytes() for path in store.path.parent.glob(f"{store.path.name}*"))


def test_a_conversation_is_kept(store):
    name = store.start()
    assert store.add(name, "how much", ANSWERED) == 1
    assert store.add(name, "why", UNSURE) == 2
    store.judge(name, 1, helpful=False)
    first, second = store.turns(name)
    assert (first.number, first.question, first.decision, first.faq, first.confidence) == (
        1,
        "how much",
        ANSWER,
        "price",
        0.75,
    )
    assert (first.helpful, first.right_faq, second.helpful, second.faq) == (False, None, None, None)
    assert store.past(name) == [PastTurn("how much", False), PastTurn("why")]
    assert time.time() - second.at < 60
    assert store.counts() == {
        "conversations": 1,
        "questions": 2,
        "handed over": 1,
        "helpful": 0,
        "not helpful": 1,
        "right FAQ chosen": 0,
    }


def test_ids_are_words_on_a_command_line(store):
    assert all(re.fullmatch("[0-9a-f]{32}", store.start()) for _ in range(3))


def test_it_outlives_the_process_and_only_its_owner_may_read_it(store):
    name = store.start()
    store.add(name, "how much", ANSWERED)
    store.close()
    again = Store(store.path)
    assert [turn.question for turn in again.turns(name)] == ["how much"]
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    again.close()


def test_what_is_deleted_is_not_in_the_file(store):
    name, other = store.start(), store.start()
    secret = "my number is 4711-0815 " * 20
    store.add(name, secret, ANSWERED)
    store.add(other, "how much", ANSWERED)
    assert b"4711-0815" in bytes_of(store)
    store.forget(name)
    assert b"4711-0815" not in bytes_of(store)
    with pytest.raises(MissingError):
        store.turns(name)
    assert len(store.turns(other)) == 1


def test_old_conversations_are_deleted_with_their_turns(store):
    old = store.start()
    store.add(old, "how much", ANSWERED)
    moment = time.time()
    young = store.start()
    assert store.forget_before(moment - 3600) == 0
    assert store.forget_before(moment) == 1
    assert store.counts()["questions"] == 0
    assert store.turns(young) == []


def test_who_waits_for_a_person(store):
    first, second = store.start(), store.start()
    store.add(first, "why", UNSURE)
    store.add(second, "how much", ANSWERED)
    store.hand_over(second, "person")
    assert [(each.conversation, each.reason) for each in store.waiting()] == [(first, "unsure"), (second, "person")]
    # A customer who finds the right FAQ needs nobody.
    store.judge(first, 1, right_faq="price")
    store.take(second)
    assert store.waiting() == []


def test_what_does_not_exist(store):
    name = store.start()
    for call in (
        lambda: store.add("none", "x", ANSWERED),
        lambda: store.past("none"),
        lambda: store.judge(name, 1, helpful=True),
        lambda: store.hand_over("none", "person"),
        lambda: store.take("none"),
        lambda: store.forget("none"),
    ):
        with pytest.raises(MissingError, match=r"^expected .*\. Received: one that does not exist"):
            call()


def test_a_conversation_ends(store):
    name = store.start()
    for _ in range(MOST_TURNS):
        store.add(name, "how much", ANSWERED)
    with pytest.raises(StoreError, match=r"^expected at most 200 questions in a conversation\. Received: one more;"):
        store.add(name, "how much", ANSWERED)


def test_other_files_are_left_alone(tmp_path):
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all, but long enough to look at" * 10)
    other = tmp_path / "other.sqlite"
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE t (x)")
    database.commit()
    database.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"^expected a store of this app\. Received: .*; name another file$"):
            Store(path)
        assert path.read_bytes() == before
