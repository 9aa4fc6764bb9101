"""The page in Chromium: models of other programs, errors, the text of requests, keyboard and themes."""

import json
import shutil
import subprocess
import sys

import httpx
import pytest

pytestmark = pytest.mark.browser


def test_a_model_of_unknown_origin(page):
    page.ask("numbers", x="[1, 3]", name='a "b"')
    outputs = json.loads(page.text("#raw-text").replace("NaN", '"NaN"').replace("Infinity", '"Infinity"'))
    assert outputs == {"predictions": [{"half": [0.5, 1.5], "name": 'a "b"', "none": ["Infinity", "Infinity"]}]}
    assert page.text("#facts li") == "no manifest of kbert"
    page.page.get_by_label("Signature").select_option("one_number")
    page.page.get_by_label("number: int64").fill("9007199254740993")
    page.page.get_by_role("button", name="Send").click()
    page.page.wait_for_selector("#raw:not([hidden])")
    assert json.loads(page.text("#raw-text")) == {"outputs": 9007199254740994}


def test_json_that_is_none_is_told_before_it_is_sent(page):
    asked = len(page.addresses)
    page.ask("numbers", x="[1,")
    assert page.text("#problem") == "x: expected JSON, such as [0,0]. Received: [1,"
    assert [address for address in page.addresses[asked:] if address.endswith(":predict")] == []


def test_errors_of_the_server_are_shown_in_one_line(page, server):
    page.ask("numbers", x='["one", 2]', name="a")
    answer = httpx.post(f"{server}/v1/models/numbers:predict", json={"instances": [{"x": ["one", 2], "name": "a"}]})
    assert answer.status_code == 400
    error = " ".join(answer.json()["error"].split())
    assert page.text("#problem") == f"400 Bad Request: {error}"
    assert page.text("#summary") == ""
    # Chromium itself writes a line about each answer that is an error.
    assert [problem.split(":")[0] for problem in page.problems] == ["Failed to load resource"]
    page.problems.clear()


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_request_as_a_command_and_as_a_program_gives_the_answer(page, language):
    if language == "curl" and shutil.which("curl") is None:
        pytest.skip("needs the program curl")
    text = 'it\'s "the cat" \\ $HOME `ls` 😀 中文\n{\u2028}'
    page.ask("films", Text=text)
    page.page.get_by_text(language, exact=True).click()
    code = page.text("#code")
    program = ["bash", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    result = subprocess.run(program, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(page.text("#raw-text"))


def test_the_request_is_copied(page):
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.page.get_by_role("button", name="Copy").click()
    page.page.get_by_role("button", name="Copied").wait_for()
    copied = page.page.evaluate("() => navigator.clipboard.readText()")
    assert copied == page.text("#code")
    assert copied.startswith("curl ")


def test_versions_and_labels(page, server):
    listed = httpx.get(f"{server}/kbert/models").json()
    (films,) = [model for model in listed["models"] if model["name"] == "films"]
    films["versions"] += [
        {"version": "9", "state": "END", "labels": []},
        {"version": "10", "state": "AVAILABLE", "labels": ["my canary"]},
    ]
    page.page.route("**/kbert/models", lambda route: route.fulfill(json={"models": [films]}))
    page.page.reload()
    version = page.page.get_by_label("Version")
    version.locator("option").first.wait_for(state="attached")
    options = version.locator("option").all_text_contents()
    assert options == ["newest", "my canary (10)", "10", "9 (end)", "1"]
    assert version.locator("option:disabled").all_text_contents() == ["9 (end)"]
    version.select_option("my canary (10)")
    assert f"'{server}/v1/models/films/labels/my%20canary:predict'" in page.text("#code")
    version.select_option("1")
    assert f"'{server}/v1/models/films/versions/1:predict'" in page.text("#code")
    page.page.get_by_role("button", name="Send").click()
    page.page.wait_for_selector("#summary:not(:empty)")
    assert page.addresses[-1].endswith("/v1/models/films/versions/1:predict")


def test_the_keyboard_reaches_everything_and_sends(page, predictors):
    page.choose("films")
    keyboard = page.page.keyboard
    page.page.locator("body").press("Home")
    reached = []
    for _ in range(12):
        keyboard.press("Tab")
        reached.append(page.page.evaluate("() => document.activeElement.id || document.activeElement.textContent"))
    wanted = ["theme", "model", "version", "input-text", "send", "copy"]
    assert [name for name in reached if name in wanted] == wanted
    page.page.locator("#input-text").focus()
    assert page.page.locator("#input-text").evaluate("area => getComputedStyle(area).outlineStyle") == "solid"
    keyboard.press("Control+A")
    keyboard.type("a dog")
    keyboard.press("Control+Enter")
    page.page.wait_for_selector("#summary:not(:empty)")
    assert page.text("#summary").startswith(predictors["films"].predict(["a dog"])[0]["label"])


def test_every_field_has_a_label_and_the_answer_is_announced(page):
    for model in ("films", "questions", "sentences", "numbers"):
        page.choose(model)
        unlabelled = page.page.locator("input, select, textarea").evaluate_all(
            "fields => fields.filter(field => !field.labels.length).map(field => field.id)"
        )
        assert unlabelled == []
    assert page.page.locator("#summary").get_attribute("aria-live") == "polite"
    assert page.page.locator("#problem").get_attribute("role") == "alert"


def test_the_switch_changes_the_theme_and_the_browser_remembers(page):
    def paper():
        return page.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")

    light = paper()
    page.page.get_by_role("button", name="Dark").click()
    dark = paper()
    assert dark != light
    page.page.reload()
    assert paper() == dark
    assert page.page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    page.page.get_by_role("button", name="Dark").click()
    assert paper() == light


def test_the_page_follows_the_theme_of_the_system(page):
    light = page.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    page.page.emulate_media(color_scheme="dark")
    assert page.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor") != light
    page.page.wait_for_selector("#theme[aria-pressed=true]")


def test_nothing_is_wider_than_a_phone(page):
    page.page.set_viewport_size({"width": 360, "height": 740})
    for model in ("films", "entities", "questions", "sentences"):
        page.choose(model)
        page.page.keyboard.press("Control+Enter")
        page.page.wait_for_selector("#summary:not(:empty)", state="attached")
        assert page.page.evaluate("() => document.documentElement.scrollWidth") == 360


def test_what_was_typed_stays_with_its_model(page):
    page.choose("films")
    page.page.locator("#input-text").fill("my own text")
    page.choose("questions")
    page.choose("films")
    assert page.page.locator("#input-text").input_value() == "my own text"
    assert page.page.url.endswith("/#films")


def test_the_address_names_the_model(browser, server):
    opened = browser.new_page()
    opened.goto(f"{server}/#questions")
    opened.get_by_label("Context").wait_for()
    assert opened.get_by_label("Model", exact=True).input_value() == "questions"
    opened.close()


def test_an_api_key_is_asked_for_and_sent(page, server):
    def demand_key(route):
        if route.request.headers.get("authorization") == "Bearer my key":
            return route.fallback()
        return route.fulfill(status=401, json={"error": "expected the header Authorization: Bearer KEY"})

    page.page.route("**/kbert/models", demand_key)
    page.page.route("**/v1/**", demand_key)
    page.page.reload()
    page.page.wait_for_selector("#problem:not(:empty)")
    assert page.text("#problem") == "401 Unauthorized: expected the header Authorization: Bearer KEY"
    page.page.get_by_label("API key").fill("my key")
    page.page.get_by_label("API key").press("Tab")
    page.page.wait_for_selector("textarea")
    page.ask("films", Text="the cat")
    assert page.text("#problem") == ""
    assert '-H "Authorization: Bearer $KBERT_API_KEY"' in page.text("#code")
    page.page.get_by_text("Python", exact=True).click()
    assert '"Authorization": "Bearer " + os.environ["KBERT_API_KEY"]}' in page.text("#code")
    assert "my key" not in page.text("#code")
    assert [problem.split(":")[0] for problem in page.problems] == ["Failed to load resource"]
    page.problems.clear()


def test_the_openapi_document_describes_the_real_answers(server):
    """The example of each model is a good request, and its answer has the form that the document says."""
    jsonschema = pytest.importorskip("jsonschema", reason="needs the package jsonschema")
    document = httpx.get(f"{server}/openapi.json").json()
    paths = [path for path in document["paths"] if path.startswith("/v1/models/") and "{" not in path]
    assert len(paths) == 12
    for path in paths:
        post = document["paths"][path]["post"]
        asked = post["requestBody"]["content"]["application/json"]
        answered = post["responses"]["200"]["content"]["application/json"]
        answer = httpx.post(f"{server}{path}", json=asked["example"], timeout=60)
        assert answer.status_code == 200, (path, answer.text)
        for schema, value in (
            (asked["schema"], asked["example"]),
            (answered["schema"], answered["example"]),
            (answered["schema"], json.loads(answer.content)),
        ):
            whole = {**schema, "components": document["components"]}
            problems = [problem.message for problem in jsonschema.Draft202012Validator(whole).iter_errors(value)]
            assert problems == [], path
