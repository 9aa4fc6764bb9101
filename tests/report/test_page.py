from kbert.report.page import Html, element, escape, join, note, page, percent, section, table


def test_text_is_escaped_and_html_is_not():
    assert escape("<b> & \"'") == "&lt;b&gt; &amp; &#34;&#39;"
    assert escape(Html("<b>")) == "<b>"
    assert join(["<", Html("<br>")]) == "&lt;<br>"
    assert element("p", "a < b", class_="x", stroke_width='"1"') == (
        '<p class="x" stroke-width="&#34;1&#34;">a &lt; b</p>'
    )


def test_numbers():
    assert [escape(value) for value in (1234567, 0.123456, True, None)] == ["1,234,567", "0.1235", "yes", "–"]
    assert (percent(0.12345), percent(None), percent(0.5, 0)) == ("12.35%", "–", "50%")


def test_a_table_escapes_text_and_groups_digits():
    assert table([("<a>", 1000)], header=("Name", "Count"), caption="All") == (
        "<table><caption>All</caption><tr><th>Name</th><th>Count</th></tr>"
        '<tr><td>&lt;a&gt;</td><td class="number">1,000</td></tr></table>'
    )


def test_page_needs_nothing_else():
    text = page("A <title>", section("One & two", note("words")), footer="end")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "<title>A &lt;title&gt;</title>" in text
    assert '<h2>One &amp; two</h2><p class="note">words</p>' in text
    for foreign in ("<script", "http:", "https:", "src=", "@import", "url("):
        assert foreign not in text
