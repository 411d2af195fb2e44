"""Any text in the page, its data and the card is shown as text and never becomes markup, a script or a link."""

import json
import re
import string
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.dataset.card import MAX_TEXT, CardFacts, dataset_card, escape
from transforms.dataset.schema import Layout
from transforms.gallery.chunks import js_literal
from transforms.gallery.page import page_html

MARKUP = st.sampled_from(
    ["</script>", "<!--", "]]>", "${x}", "&lt;", "\u2028", "\u2029", "\\", '"', "'", "`", "\ud800", "‮"]
)
TEXTS = st.lists(MARKUP | st.text(max_size=6), max_size=6).map("".join)
VALUES = st.recursive(
    TEXTS | st.integers() | st.floats() | st.none(), lambda v: st.lists(v) | st.dictionaries(TEXTS, v)
)


@given(VALUES)
def test_data_is_a_literal_that_cannot_end_its_script(value):
    text = js_literal(value)
    assert text.isascii() and not set(text) & set("<>&\u2028\u2029\n")
    json.loads(text)


@given(TEXTS)
def test_text_comes_through_unchanged(text):
    assert json.loads(js_literal({"content": text})) == {"content": text}


class _Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.elements = []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, tuple(name for name, _ in attributes)))


def elements(page):
    parser = _Elements()
    parser.feed(page.decode())
    return parser.elements


@settings(deadline=None, max_examples=50)
@given(TEXTS, VALUES)
def test_the_page_has_the_same_elements_whatever_is_in_it(title, value):
    assert elements(page_html(title, {"rows": value})) == elements(page_html("x", {"rows": 1}))


@given(TEXTS)
def test_the_card_has_no_markdown_of_others(text):
    shown = escape(text)
    assert "\n" not in shown and len(shown) <= 6 * (MAX_TEXT + 1)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]|&(lt|gt|amp);", "", shown)
    assert not set(bare) & set(string.punctuation)
    assert not any(unicodedata.category(mark)[0] == "C" for mark in bare)


@given(TEXTS)
def test_a_title_stays_a_line_of_the_card(title):
    layout = Layout("full", (), ("train",))
    card = dataset_card(CardFacts(title, layout, {"train": 1}, {"train": 1}, ("StyleBeam",)))
    plain = dataset_card(CardFacts("x", layout, {"train": 1}, {"train": 1}, ("StyleBeam",)))
    # YAML may write a long or odd title over several lines, all of them in the head.
    assert card.split("---\n\n")[-1].count("\n") == plain.split("---\n\n")[-1].count("\n")


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "\u2028"])
def test_what_would_end_a_script_is_escaped(text):
    assert re.search(r"\\u(003c|2028)", js_literal(text))
