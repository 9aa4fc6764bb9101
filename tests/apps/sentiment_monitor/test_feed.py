import pytest

from apps.sentiment_monitor.headline import Headline
from apps.sentiment_monitor.sources.feed import FeedSource, feed_headlines
from apps.sentiment_monitor.sources.xml_tree import parse_xml

NOW = 1_780_000_000.0
RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title>
<item><title>Shares &amp;amp; bonds &lt;b&gt;fall&lt;/b&gt;</title>
<pubDate>Fri, 01 May 2026 08:00:00 GMT</pubDate></item>
<item><title><![CDATA[Rain in  May]]></title><pubDate>soon</pubDate></item>
<item><title></title></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Wire</title>
<entry><title type="html">A &lt; B</title><updated>2026-05-01T08:00:00Z</updated></entry></feed>"""
RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel/>
<item><title>Old</title><dc:date>2026-05-01T08:00Z</dc:date></item></rdf:RDF>"""
BOMB = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><rss><channel><item><title>&c;</title></item></channel></rss>"""
SECRET = b"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><channel><item>
<title>&x;</title></item></channel></rss>"""


def test_rss_atom_and_rdf():
    assert feed_headlines(RSS, NOW, source="wire") == [
        Headline("Shares & bonds fall", 1_777_622_400, "wire"),
        Headline("Rain in May", NOW, "wire"),
    ]
    assert feed_headlines(ATOM, NOW) == [Headline("A < B", 1_777_622_400)]
    assert feed_headlines(RDF, NOW) == [Headline("Old", 1_777_622_400)]


@pytest.mark.parametrize("data", [BOMB, SECRET])
def test_entities_are_refused(data):
    with pytest.raises(ValueError, match="expected XML without declared entities"):
        parse_xml(data)


def test_what_is_no_feed():
    with pytest.raises(ValueError, match=r"expected RSS or Atom\. Received: XML with the element html"):
        feed_headlines(b"<html><body/></html>", NOW)
    with pytest.raises(ValueError, match="expected XML"):
        feed_headlines(b"<rss>", NOW)
    with pytest.raises(ValueError, match="to a depth of 100"):
        feed_headlines(b"<a>" * 101 + b"</a>" * 101, NOW)


class States(dict):
    state = dict.get


def poll(source, states, now):
    batch = source.poll(states, now)
    states.update(batch.states)
    return [headline.text for headline in batch.headlines], [problem.message for problem in batch.problems]


def test_a_feed_is_asked_at_intervals_and_only_for_changes(http_server):
    def answer(handler):
        if handler.headers.get("If-None-Match") == '"1"':
            return 304, {}, b""
        return 200, {"ETag": '"1"'}, ATOM

    address, requests = http_server(answer)
    source, states = FeedSource(f"{address}/feed", every=60), States()
    assert poll(source, states, NOW) == (["A < B"], [])
    assert poll(source, states, NOW + 59) == ([], [])
    assert len(requests) == 1
    assert poll(source, states, NOW + 61) == ([], [])
    assert len(requests) == 2


def test_a_failing_feed_is_asked_less_and_less(http_server):
    working = []
    address, requests = http_server(lambda _: (200, {}, RSS) if working else (500, {}, b""))
    source, states = FeedSource(address, every=60), States()
    for time, asked in ((0, 1), (119, 1), (121, 2), (360, 2), (362, 3)):
        poll(source, states, NOW + time)
        assert len(requests) == asked, time
    working.append(True)
    assert poll(source, states, NOW + 900)[0] == ["Shares & bonds fall", "Rain in May"]
    assert poll(source, states, NOW + 961)[0]  # asked again after the usual time


def test_what_a_feed_does_wrong_is_a_problem(http_server):
    answers = {
        "/bomb": (200, {}, BOMB),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
        "/busy": (503, {"Retry-After": "1000"}, b""),
        "/large": (200, {}, b" " * 5_000_001),
    }
    address, _ = http_server(lambda handler: answers[handler.path])
    expected = {
        "/bomb": "expected XML without declared entities. Received: a declaration of an entity",
        "/file": "expected the feed. Received: status 302",
        "/busy": "expected the feed. Received: status 503",
        "/large": "expected at most 5,000,000 bytes. Received: more",
    }
    for path, message in expected.items():
        states = States()
        assert poll(FeedSource(address + path, every=60), states, NOW) == ([], [message])
    states = States()
    poll(FeedSource(f"{address}/busy", every=60), states, NOW)
    assert states[f"feed:{address}/busy"]["next"] == NOW + 1000
    assert "refused" in poll(FeedSource("http://127.0.0.1:1/feed"), States(), NOW)[1][0]
