"""The chat page in Chromium, as a person uses it."""

import json
import shutil
from pathlib import Path

import pytest

import apps.customer_service
from apps.customer_service.api import Settings, make_app
from apps.customer_service.faqs import read_faqs
from apps.customer_service.server import running

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
EXAMPLE = Path(apps.customer_service.__file__).with_name("example")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    if CHROMIUM is None:
        pytest.skip("needs the program chromium (apt-get install chromium)")
    with playwright.sync_playwright() as running_playwright:
        browser = running_playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, store, make_assistant):
    """The page; in the end nothing was written to the console, and nothing was asked of other servers."""
    app = make_app(make_assistant(), store, Settings(contact="Call 0800 1234, or see https://example.org/help."))
    with running(app) as url:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        problems, addresses = [], []
        page.on("console", lambda message: "status of 503" in message.text or problems.append(message.text))
        page.on("pageerror", lambda problem: problems.append(str(problem)))
        page.on("request", lambda request: addresses.append(request.url))
        page.goto(url)
        page.wait_for_selector(".chip")
        yield page
        assert problems == []
        assert [address for address in addresses if not address.startswith(url)] == []
        context.close()


def ask(page, question):
    page.keyboard.type(question)
    count = page.locator(".message.app").count()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "count => document.querySelectorAll('.message.app').length > count && !document.querySelector('.dots')",
        arg=count,
    )
    return page.locator(".message.app").last


def test_an_answer_and_feedback_with_the_keyboard(page, store):
    answer = ask(page, "How much is a ticket?")
    assert answer.locator(".answer").inner_text() == "A ticket costs 3 euros.\nCards are accepted."
    assert "What does a ticket cost?" in answer.inner_text()
    # The question has the focus again, so the buttons of the answer come before it.
    for _ in range(2):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector('.thumb[aria-pressed="true"]')
    (turn,) = store.judged()
    assert (turn.helpful, turn.faq) == (True, "price")


def test_the_right_faq_is_chosen(page, store):
    answer = ask(page, "How much is a ticket?")
    answer.get_by_role("button", name="No").click()
    answer.get_by_role("button", name="How much is a ticket for a child?").click()
    page.get_by_text("Children travel for 1 euro.").wait_for()
    (turn,) = store.judged()
    assert (turn.helpful, turn.faq, turn.right_faq) == (False, "price", "child")


def test_a_hand_over_says_why_and_whom_to_call(page):
    answer = ask(page, "Is my bag found?")
    text = answer.inner_text()
    assert "A person will answer" in text
    assert "I am not sure enough" in text
    assert answer.get_by_role("link", name="https://example.org/help").count() == 1
    answer.get_by_role("button", name="I lost my bag on the tram").click()
    link = page.get_by_role("link", name="https://example.org/lost")
    link.wait_for()
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_texts_stay_texts(page):
    ask(page, "<img src=x onerror=alert(1)><b>bold</b>")
    assert page.locator(".message.you").last.inner_text().endswith("<img src=x onerror=alert(1)><b>bold</b>")
    assert page.locator("#messages img, #messages b").count() == 0


def test_the_language_and_the_theme_are_remembered(page):
    page.get_by_role("button", name="中文").click()
    page.get_by_role("button", name="深色").click()
    assert page.title() == "客户服务"
    page.reload()
    page.wait_for_selector(".chip")
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == ["zh", "dark"]
    assert page.get_by_label("您的问题").get_attribute("placeholder") == "请输入您的问题"


def test_a_conversation_is_deleted(page, store):
    ask(page, "How much is a ticket?")
    page.get_by_role("button", name="Delete this conversation").click()
    assert store.counts()["conversations"] == 1
    page.get_by_role("button", name="Delete it? Press again").click()
    page.get_by_text("The conversation was deleted.").wait_for()
    assert store.counts()["conversations"] == 0
    assert page.locator(".message.you").count() == 0
    # The next question begins another one.
    ask(page, "How much is a ticket?")
    assert store.counts()["conversations"] == 1


def test_a_person_is_asked_for(page, store):
    ask(page, "How much is a ticket?")
    page.get_by_role("button", name="Talk to a person").click()
    page.get_by_text("This conversation was put on the list.").wait_for()
    assert [each.reason for each in store.waiting()] == ["person"]


def test_errors_are_shown_and_the_question_stays(page):
    page.route("**/api/ask", lambda route: route.fulfill(status=503, body=json.dumps({"error": "busy"})))
    page.keyboard.type("How much?")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("Many people are asking now.").wait_for()
    assert page.get_by_label("Your question").input_value() == "How much?"
    page.unroute("**/api/ask")
    page.evaluate("document.getElementById('question').value = 'a'.repeat(1001)")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("1000").wait_for()


def test_the_examples_of_the_app_are_valid():
    for name in ("faq.csv", "faq_zh.csv"):
        assert len(read_faqs(EXAMPLE / name)) == 19
