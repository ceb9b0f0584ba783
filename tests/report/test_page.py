"""The page shows what it was given, whole in itself and inert."""

import base64
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.report.page import (
    Headline,
    Passage,
    Picture,
    ReportPage,
    Sample,
    Table,
    columns,
    picture_size,
    render,
    write_report,
)
from recurra.report.plots import length_histogram
from recurra.report.saving import png_bytes

PNG = png_bytes(length_histogram([1, 2, 2]))
ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Reader(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def every(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(text, **parts):
    """A page with the text in every place where a user's text can stand."""
    whole = {
        "title": text,
        "subtitle": text,
        "headline": Headline(text, text, text),
        "facts": [(text, text)],
        "tables": [Table(text, [text, "n"], [[text, 1]], text)],
        "pictures": [Picture(text, PNG, text, text)],
        "samples": [Sample(text, text, text, 0.5), Sample(text, "other", text), Sample(text, None, text)],
        "passages": [Passage(text, text)],
        "settings": [(text, text)],
    }
    return ReportPage(**(whole | parts))


def test_everything_given_is_on_the_page():
    page = ReportPage(
        title="Reviews",
        subtitle="a subtitle",
        headline=Headline("accuracy", "84.9 %", "baseline 82.3 %"),
        facts=[("parameters", "1,482")],
        tables=[
            Table("Test", ["system", "accuracy", "rows"], [["ours", 0.8486, 1872], ["plain", 0.5, None]], "a note")
        ],
        pictures=[Picture("Lengths", PNG, "a histogram", "a caption")],
        samples=[
            Sample("fine", "good", "good", 0.991),
            Sample("odd", "good", "bad", 0.5),
            Sample("new", None, "bad"),
        ],
        settings=[("hidden_size", "128")],
    )
    reader = Reader(render(page))
    for words in (
        "Reviews", "a subtitle", "accuracy 84.9 % baseline 82.3 %", "parameters 1,482", "a note", "a caption",
        "system accuracy rows ours 0.8486 1,872 plain 0.5000", "fine ✓ good 99.1 %", "odd ✗ bad 50.0 % truth: good",
        "new bad", "Settings hidden_size 128",
    ):  # fmt: skip
        assert words in reader.text
    (image,) = reader.every("img")
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == PNG
    assert image["alt"] == "a histogram"
    assert reader.every("details") == [{"class": "card"}]  # closed until it is opened


def test_a_passage_keeps_its_lines_and_nothing_that_commands_the_page():
    page = render(
        ReportPage("t", "s", Headline("loss", "1"), passages=[Passage("seed 0", "one\n two\x07<b>\n" + "x" * 5000)])
    )
    assert '<p class="passage" dir="auto">one\n two\ufffd&lt;b&gt;\nxxx' in page
    assert page.count("x") < 1500
    assert "What it writes seed 0" in Reader(page).text


def test_a_page_with_nothing_but_a_headline_has_no_empty_boxes():
    reader = Reader(render(ReportPage("t", "s", Headline("accuracy", "0.5"))))
    assert not any(reader.every(tag) for tag in ("table", "img", "ul", "details", "dl", "h2"))


def test_markup_in_any_text_is_inert():
    harmless, attacked = Reader(render(page_of("harmless"))), Reader(render(page_of(ATTACK)))
    shape = [(tag, sorted(attributes)) for tag, attributes in harmless.elements]
    assert [(tag, sorted(attributes)) for tag, attributes in attacked.elements] == shape
    assert "script" not in {tag for tag, _ in attacked.elements}
    assert attacked.text.count(ATTACK) == harmless.text.count("harmless") > 15


def test_the_page_forbids_everything_from_outside_and_asks_for_nothing():
    page = render(page_of("x"))
    reader = Reader(page)
    assert page.startswith("<!DOCTYPE html>")
    assert reader.every("meta")[1] == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    }
    assert not any(reader.every(tag) for tag in ("script", "link", "iframe", "object", "form", "base"))
    sources = [
        value for _, attributes in reader.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http://" not in page and "https://" not in page and "url(" not in page


def test_a_text_of_a_hundred_thousand_characters_is_cut_in_the_middle():
    text = "a" * 50_000 + "b" * 50_000
    page = render(page_of(text, passages=()))  # which lose their end
    assert len(page) < 40_000 + len(base64.b64encode(PNG))
    assert re.search("a{100}…b{100}", page)
    assert "a" * 300 not in page


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_any_text_can_be_shown(text):
    render(page_of(text)).encode("utf-8")


def test_lone_surrogates_and_nul_do_not_break_writing(tmp_path):
    write_report(tmp_path, page_of("a\ud800b\0c"))
    assert "a\ufffdb\ufffdc" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ([0.5, 0.91234], ["0.5000", "0.9123"]),
        ([1.0, 0.75], ["1.0000", "0.7500"]),
        ([212.44, 9.126], ["212.4", "9.1"]),
        ([67349.2], ["67,349"]),
        ([67349, -3], ["67,349", "-3"]),
        ([0.25, None, float("nan"), float("inf")], ["0.2500", "", "nan", "inf"]),
        (["0.123456789", "x"], ["0.123456789", "x"]),
    ],
)
def test_a_column_of_numbers_has_the_same_decimals_throughout(cells, shown):
    (column,) = columns(Table("t", ["x"], [[cell] for cell in cells]))
    assert column.cells == shown
    assert column.numeric == (not isinstance(cells[0], str))


def test_a_long_table_scrolls_in_a_box_and_says_how_many_rows_it_has():
    def table(rows):
        return render(page_of("x", tables=[Table("t", ["n"], [[row] for row in range(rows)])]))

    assert 'class="scroll tall"' in table(21) and "21 rows" in table(21)
    assert 'class="scroll tall"' not in table(20)


def test_a_picture_keeps_its_place_by_its_size_in_pixels():
    width, height = picture_size(PNG)
    assert (width, height) == (1040, 560)  # 5.2 × 2.8 inches at 200 dots an inch
    (image,) = Reader(render(page_of("x"))).every("img")
    assert (image["width"], image["height"]) == ("520", "280")
