"""The page in Chromium: no errors, no scrolling sideways on a phone, and a refresh that leaves a reader alone."""

import shutil
import threading
import time

import pytest
import uvicorn

from apps.sentiment_monitor.headline import Headline
from apps.sentiment_monitor.page.app import make_app
from apps.sentiment_monitor.scoring import Score

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture
def address(store, unused_port):
    now = time.time()
    store.set_state("models", {"topics": ["World", "Sports"], "negative": "negative"})
    store.add([Headline("A headline", now - 60)], [Score("World", 0.9, "negative", 0.9)], now=now)
    server = uvicorn.Server(uvicorn.Config(make_app(store.path), port=unused_port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{unused_port}/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_errors_and_fits_a_phone(browser, address, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    problems = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(address)
    assert page.locator("article").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert background == ("rgb(244, 246, 250)" if scheme == "light" else "rgb(14, 18, 25)")
    assert problems == []


def test_a_refresh_shows_new_headlines_and_keeps_opened_parts(browser, address, store):
    page = browser.new_page()
    page.clock.install()
    page.goto(address)
    numbers = page.locator("details[data-key='table-World']")
    numbers.locator("summary").click()
    store.add([Headline("A new headline", time.time())], [Score("Sports", 0.9, "neutral", 0.1)], now=time.time())
    page.clock.run_for(31_000)
    # The focus is on what the reader has opened: nothing changes under the hands.
    assert page.get_by_text("A new headline").count() == 0
    page.evaluate("document.activeElement.blur()")
    page.clock.run_for(31_000)
    page.get_by_text("A new headline").wait_for()
    assert numbers.evaluate("details => details.open")
