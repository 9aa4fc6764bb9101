import json
import socketserver
import threading

import pytest

from apps.sentiment_monitor.alerts.alert import Alert, insert_alert
from apps.sentiment_monitor.alerts.channels import EmailChannel, FileChannel, WebhookChannel
from apps.sentiment_monitor.alerts.outbox import Outbox
from apps.sentiment_monitor.errors import UsageError
from apps.sentiment_monitor.headline import Headline
from apps.sentiment_monitor.scoring import Score
from apps.sentiment_monitor.surges.looks import Look
from apps.sentiment_monitor.surges.rule import NEGATIVE, VOLUME

TIME = 1_777_622_400.0
LOOK = Look("World", NEGATIVE, TIME, 1e-6, 20, 12, 0.1, 6)


def add_alert(store, look, *channels):
    with store.transaction() as connection:
        number = insert_alert(connection, look, "negative", channels)
    (row,) = store.rows("SELECT * FROM alerts WHERE id = ?", number)
    return Alert.of_row(row)


def test_the_words_of_an_alert(store):
    headlines = [Headline(text, TIME - 3600 * hours) for text, hours in (("a", 1), ("b", 2), ("c", 3), ("old", 7))]
    scores = [Score("World", 1.0, "negative" if text != "b" else "neutral", 0.5) for text in "abcd"]
    store.add(headlines, scores, now=TIME)
    alert = add_alert(store, LOOK)
    assert alert.title == "World: surge of negative headlines"
    assert alert.explanation == (
        "12 of 20 headlines (60%) in the 6 hours before 2026-05-01 08:00 UTC are negative; 10% are usual (p = 1e-06)."
    )
    assert alert.details["examples"] == ["a", "c"]
    volume = add_alert(store, Look("World", VOLUME, TIME, 1e-6, 20, 12, 7.25, 6))
    assert volume.explanation == "20 headlines in the 6 hours before 2026-05-01 08:00 UTC; 7.2 are usual (p = 1e-06)."
    assert volume.details["examples"] == ["a", "b", "c"]


def test_an_alert_is_repeated_until_the_webhook_answers(store, http_server):
    working = []
    address, requests = http_server(lambda _: (204, {}, b"") if working else (503, {}, b""))
    channel = WebhookChannel(f"{address}/secret")
    add_alert(store, LOOK, channel.name)
    outbox = Outbox(store, [channel])
    for time, sent, asked in ((0, 0, 1), (4, 0, 1), (5, 0, 2), (14, 0, 2), (15, 0, 3)):
        assert outbox.deliver(TIME + time) == sent
        assert len(requests) == asked
    (row,) = store.rows("SELECT * FROM deliveries")
    assert (row["attempts"], row["error"], row["sent"]) == (3, "status 503", None)
    working.append(True)
    # Another process goes on where the first one ended.
    assert Outbox(store, [channel]).deliver(TIME + 3600) == 1
    assert Outbox(store, [channel]).deliver(TIME + 7200) == 0
    assert len({headers["Idempotency-Key"] for _, headers, _ in requests}) == 1
    body = json.loads(requests[-1][2])
    assert body["text"].startswith("World: surge of negative headlines. 12 of 20")
    assert (body["topic"], body["kind"], body["time"]) == ("World", NEGATIVE, "2026-05-01T08:00Z")
    assert "secret" not in channel.name


def test_a_webhook_that_is_down_does_not_hold_up_the_others(store, tmp_path):
    channels = [WebhookChannel("http://127.0.0.1:1/"), FileChannel(tmp_path / "alerts.jsonl")]
    add_alert(store, LOOK, *(channel.name for channel in channels))
    outbox = Outbox(store, channels)
    assert outbox.deliver(TIME) == 1
    (line,) = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["count"] == 20
    assert len(store.rows("SELECT * FROM deliveries WHERE sent IS NULL")) == 1


def test_pauses_grow_up_to_an_hour(store):
    channel = WebhookChannel("http://127.0.0.1:1/")
    add_alert(store, LOOK, channel.name)
    outbox, now, pauses = Outbox(store, [channel]), TIME, []
    for _ in range(12):
        outbox.deliver(now)
        (row,) = store.rows("SELECT next FROM deliveries")
        pauses.append(row[0] - now)
        now = row[0]
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]


def test_alerts_for_a_channel_that_is_missing_are_told(store, caplog):
    add_alert(store, LOOK, "file gone.jsonl")
    assert Outbox(store, []).deliver(TIME) == 0
    assert "1 alerts wait for the channel file gone.jsonl, which this command does not have" in caplog.text


class MailServer(socketserver.ThreadingTCPServer):
    """A server that speaks as much SMTP as `smtplib` needs; it refuses receivers whose address has "nobody"."""

    daemon_threads = True

    def __init__(self):
        self.mails = []
        super().__init__(("127.0.0.1", 0), MailHandler)


class MailHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.mails.append(b"".join(lines).decode())
            self.wfile.write(
                b"550 no\r\n" if b"nobody" in line else b"221 bye\r\n" if command == b"QUIT" else b"250 ok\r\n"
            )
            if command == b"QUIT":
                return


@pytest.fixture
def mail_server():
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_e_mail(store, mail_server):
    address = f"smtp://127.0.0.1:{mail_server.server_address[1]}"
    alert = add_alert(store, LOOK)
    EmailChannel(address, "monitor@example.org", ["ada@example.org", "bob@example.org"]).send(alert)
    (mail,) = mail_server.mails
    assert "Subject: World: surge of negative headlines" in mail
    assert "To: ada@example.org, bob@example.org" in mail
    assert f"Message-ID: <alert-{alert.id}-1777622400@example.org>" in mail
    assert "12 of 20 headlines" in mail
    with pytest.raises(OSError, match="SMTPRecipientsRefused"):
        EmailChannel(address, "monitor@example.org", ["nobody@example.org"]).send(alert)


@pytest.mark.parametrize("address", ["ftp://host/", "hooks.example.org", "http://"])
def test_addresses_that_are_none(address):
    with pytest.raises(UsageError, match="expected --webhook with an address of http or https"):
        WebhookChannel(address)
    with pytest.raises(UsageError, match="expected --smtp with"):
        EmailChannel(address, "a@b", ["c@d"])
