"""Text in Markdown shows as it is, wherever it stands; a parser of CommonMark with tables says so."""

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from etl.base.markdown import inert, table
from etl.base.terminal import LONGEST, harmless, short, short_place

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])

#: Whatever Markdown gives a meaning to, and some of what it does not.
PARTS = [
    *("[", "]", "(", ")", "!", "<", ">", "&", "&lt;", "&#35;", "|", "`", "``", "```", "*", "**", "_", "__", "~~", "\\", "\t"),
    *("#", "-", "+", "=", "---", "1.", "2)", "http://a.b", "https://", "www.a.b", "a@b.c", "[a](b)", "![a](b)", "[a]: b"),
    *("<b>", "</b>", "<!--", " ", "  ", "    ", "\n", "\n\n", "\r", "a", "b_c", "é", "\u2028", "\x1b[31m", ":", "/", "$", "^"),
]
TEXTS = st.lists(st.sampled_from(PARTS)).map("".join)


def texts_of(page: str) -> list[str]:
    """Return the texts of a page's paragraphs and cells. Fail where one holds anything but text, or the page anything else."""
    tokens = MARKDOWN.parse(page)
    known = {"bullet_list", "list_item", "paragraph", "table", "thead", "tbody", "tr", "th", "td"}
    assert {token.type.removesuffix("_open").removesuffix("_close") for token in tokens} <= {*known, "inline"}, tokens
    return [_plain(token) for token in tokens if token.type == "inline"]


def _plain(token: Token) -> str:
    children = token.children or []
    assert {child.type for child in children} <= {"text"}, children
    return "".join(child.content for child in children)


@given(TEXTS)
@example("# a heading")
@example("    code")
@example("=")
@example("http://a.b www.c.d e@f.g")
def test_a_text_is_inert_in_an_item_of_a_list(text: str) -> None:
    """An item shows the text on one line: no link, no HTML, no code, no emphasis, no block of its own."""
    shown = harmless(text).strip()
    assert texts_of(f"- {inert(text)}\n- next\n") == ([shown, "next"] if shown else ["next"])
    assert texts_of(f"- stage: {inert(text)}\n") == [f"stage: {shown}".strip()]


@given(TEXTS)
def test_a_text_is_inert_in_a_cell(text: str) -> None:
    """A table has the columns of its head, whatever its cells hold; long ones are cut."""
    page = table(("reason", "records"), [(text, 1), ("next", 2)])
    assert texts_of(page) == ["reason", "records", short(text).strip(), "1", "next", "2"]


@given(st.text(), st.integers(1, 30))
def test_a_text_is_cut_to_a_length(text: str, longest: int) -> None:
    """A short text stays whole but for what a terminal obeys; a longer one keeps its beginning and ends in an ellipsis."""
    cut = short(text, longest)
    whole = harmless(text)
    assert len(cut) <= longest
    assert cut == whole or (len(whole) > longest and cut == f"{whole[: longest - 1]}…")


def test_the_place_of_an_item_keeps_its_number() -> None:
    """Of a long path the beginning is shown, and the number of the item; what is said of it then fits."""
    assert short_place("evidence/a.jsonl", 7) == "evidence/a.jsonl:7"
    assert short_place("a" * 999, 123456) == f"{'a' * 159}…:123456"
    assert len(f"its content is rejected at {short_place('a' * 999, 10**11)}") == LONGEST
