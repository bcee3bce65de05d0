"""Terms mean what Python's ``re`` says they mean, whichever engine looks for them."""

import re

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intake_tcga.archs4.text_match import contains, term_of
from intake_tcga.errors import OptionError

# Letters whose other cases, digits and blanks on which engines disagree, and what is special in expressions.
LETTERS = (
    "iI\u0131\u0130kK\u212asS\u017faA\xe5\xc5\u212b\xb5\u03bc\u039c\xdf\u1e9e\u01c5\u03c2\u03c3\u03a3\ufb0109\u0663"
    "_ \t\n\v\x1c\x85\xa0\u2028-.:$^[]{}()|*+?\\,<>=!#&~'\"/\x00\x7f\U0001f48a"
)
PIECES = [
    *(
        "i",
        "I",
        "k",
        "K",
        "s",
        "S",
        "aA",
        "\xe5",
        "\u017f",
        "\u212a",
        "\u0131",
        "\xb5",
        "\xdf",
        "x",
        "0",
        "liver",
    ),
    *(
        ".",
        ".*",
        "[a-z]",
        "[^i]",
        "[^s]",
        "[^k]",
        "[\xc0-\u017f]",
        "[^\xb5]",
        "[[:alpha:]]",
        "[[]",
        "[]a]",
        "[^]a]",
    ),
    *(
        "[\\d-]",
        "[\\b]",
        "[a&&b]",
        "[A-k]",
        "[!-~]",
        "^",
        "$",
        "|",
        "(?:",
        ")",
        "(",
        "(?P<name>",
        "(?=i)",
        "(?!s)",
    ),
    *(
        "(?<=k)",
        "(?i:s)",
        "(?s:.)",
        "(?#c)",
        "*",
        "+",
        "?",
        "*?",
        "++",
        "{2}",
        "{,2}",
        "{1,}",
        "{",
        "}",
        "-",
        ",",
        "_",
    ),
    *(
        r"\d",
        r"\D",
        r"\w+",
        r"\W",
        r"\s",
        r"\S",
        r"\b",
        r"\B",
        r"\A",
        r"\Z",
        r"\.",
        r"\-",
        r"\ ",
        r"\n",
        r"\t",
    ),
    *(r"\x41", r"\u0131", r"\1", r"\101", r"\\", r"\_", "a**", "\n"),
]


def check(pattern, texts, term, flags=re.IGNORECASE):
    expected = [re.search(pattern, text, flags) is not None for text in texts]
    assert contains(pa.array(texts, pa.string()), term).tolist() == expected
    assert contains(pa.array(texts, pa.string()).dictionary_encode(), term).tolist() == expected
    assert contains(pa.array(["", *texts], pa.large_string())[1:], term).tolist() == expected


@settings(max_examples=400, deadline=None)
@given(
    pattern=st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join),
    texts=st.lists(st.text(LETTERS, max_size=6), max_size=12),
)
@example(pattern="i$", texts=["i\n", "İ", "ı", "I"])
@example(pattern=r"\B", texts=["", "a"])
@example(pattern="a{,2}b", texts=["b", "a{,2}b"])
@example(pattern="[[:alpha:]]", texts=["a]", "x", ":]"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_expressions_mean_what_python_says(pattern, texts):
    try:
        re.compile(pattern, re.IGNORECASE)
    except re.error as wrong:
        place = "" if wrong.pos is None else f"at position {wrong.pos}\\."
        with pytest.raises(OptionError, match=place):
            term_of(pattern, regex=True)
        return
    check(pattern, texts, term_of(pattern, regex=True))


@settings(max_examples=200, deadline=None)
@given(
    literal=st.text(LETTERS, min_size=1, max_size=3),
    texts=st.lists(st.text(LETTERS, max_size=6), max_size=12),
)
def test_literals_are_found_as_they_stand(literal, texts):
    texts = [*texts, literal, literal.upper(), f"x{literal.lower()}"]
    check(re.escape(literal), texts, term_of(literal, regex=False))


@pytest.mark.parametrize("flags", [0, re.DOTALL, re.VERBOSE, re.ASCII, re.MULTILINE | re.IGNORECASE])
def test_compiled_expressions_keep_their_flags(flags):
    texts = ["Liver", "liver", "a\nb", "é", "li ver", "x\nliver"]
    for pattern in ("liver", "a.b", r"^\w$", "^li ver"):
        check(pattern, texts, term_of(re.compile(pattern, flags), regex=True), flags)


def test_common_expressions_do_not_need_python():
    for pattern in ("myoblast", "liver|hepat", r"heart.*(left|right)", "T-cell[s]?", r"day \d+", "CD4+"):
        assert term_of(pattern, regex=True).arrow == pattern
    for pattern in ("(?=x)", r"(a)\1", "x{,3}", "(?x) a"):
        assert term_of(pattern, regex=True).arrow is None


def test_what_re2_refuses_python_finds():
    deep = "(?:a{1,400}){1,400}"
    assert contains(pa.array(["b", "aaa"]), term_of(deep, regex=True)).tolist() == [False, True]


def test_long_columns_are_searched_in_slices():
    texts = [f"sample {i}" for i in range(200_000)]
    found = contains(pa.array(texts), term_of("sample 1999..$", regex=True))
    assert found.sum() == 100
    assert found[199_900:].all()


def test_numbers_are_searched_as_they_are_written():
    assert contains(pa.array([9606, 10090]), term_of("^96", regex=True)).tolist() == [True, False]
    assert contains(pa.array([], pa.string()), term_of("x", regex=True)).tolist() == []


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("li(ver", r"missing \), unterminated subpattern at position 2"),
        ("*", "nothing to repeat at position 0"),
        ("", "give a text"),
    ],
)
def test_what_is_no_expression_is_said_where(term, message):
    with pytest.raises(OptionError, match=message):
        term_of(term, regex=True)


@pytest.mark.parametrize("term", [5, None, b"liver", re.compile(b"liver")])
def test_terms_are_texts(term):
    with pytest.raises(OptionError):
        term_of(term, regex=True)
