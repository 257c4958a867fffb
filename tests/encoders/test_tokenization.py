from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anisotropy.collection import Document, Query
from anisotropy.encoders import named_recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.tokenization import SPECIALS, UpstreamTokenizer, lower_characters
from anisotropy.errors import CheckpointError
from tests.making import tokenizer

PIECES = st.sampled_from(
    [*SPECIALS, "<MASK>", "<sep>", " ", "\n", "\u00a0", "The Apple", "Σ", "x"]
)


def slow_lower(text: str) -> str:
    """Upstream's rule written out: special strings in exact case stay, one character at a time."""
    found, place = "", 0
    while place < len(text):
        special = next((s for s in SPECIALS if text.startswith(s, place)), None)
        found += special or text[place].lower()
        place += len(special) if special else 1
    return found


def slow_split(text: str) -> list[str]:
    """Split on one special string after the other, stripping every segment (2.3.0)."""
    parts = [text.strip()]
    for special in SPECIALS:
        found: list[str] = []
        for part in parts:
            if part in SPECIALS:
                found.append(part)
                continue
            segments = part.split(special)
            for number, segment in enumerate(segments):
                found += [special] if number else []
                found += [segment.strip()] if segment.strip() else []
        parts = found
    return parts


def slow_pieces(text: str, lowercase: bool) -> list[int]:
    """BPE by repeatedly merging the pair of lowest rank, word by word."""
    import regex

    words = regex.compile(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    )
    vocabulary, ranks = tokenizer().vocabulary, {p: i for i, p in enumerate(tokenizer().merges)}
    ids: list[int] = []
    for part in slow_split(slow_lower(text) if lowercase else text):
        if part in SPECIALS:
            ids.append(vocabulary[part])
            continue
        for word in words.findall(part):
            units = [byte_letters()[byte] for byte in word.encode()]
            while len(units) > 1:
                pairs = list(pairwise(units))
                best = min(pairs, key=lambda pair: ranks.get(pair, sys.maxsize))
                if best not in ranks:
                    break
                units = merged(units, best)
            ids += [vocabulary[unit] for unit in units]
    return ids


def merged(units: list[str], pair: tuple[str, str]) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(units):
        together = tuple(units[place : place + 2]) == pair
        found.append("".join(pair) if together else units[place])
        place += 2 if together else 1
    return found


def byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in kept}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + number) for number, byte in enumerate(others)}


@given(st.lists(st.one_of(PIECES, st.text(max_size=6))).map("".join))
@example("<<s>s> </S></s> <mask<mask>")
@example("ΟΔΟΣ İstanbul \u200b 😀 don't")
def test_equals_the_rules_written_out(text: str) -> None:
    for lowercase in (True, False):
        ids = tokenizer().encode([text], 10_000, lowercase)[0]
        assert ids == [0, *slow_pieces(text, lowercase), 2]


def test_lower_casing_of_every_character() -> None:
    everything = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    assert lower_characters(everything) == "".join(c.lower() for c in everything)
    assert lower_characters("ΟΔΟΣ") == "οδοσ"


def test_truncation_keeps_the_end_token() -> None:
    full = tokenizer().encode(["the apple grows in the valley"], 100)[0]
    assert len(full) > 5
    for limit in range(3, len(full) + 2):
        cut = tokenizer().encode(["the apple grows in the valley"], limit)[0]
        assert cut == (full if limit >= len(full) else [*full[: limit - 1], 2])
    assert tokenizer().encode([""], 8) == [[0, 2]]


def test_lone_surrogates_do_not_stop_it() -> None:
    assert tokenizer().encode(["a\ud800b"], 9) == tokenizer().encode(["a?b"], 9)


def test_vocabulary_from_each_form_is_the_same(tmp_path: Path) -> None:
    tokenizer().write(tmp_path)
    files = UpstreamTokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt")
    pairs: list[object] = [list(pair) for pair in tokenizer().merges]
    texts: list[object] = [f"{a} {b}" for a, b in tokenizer().merges]
    for merges in (pairs, texts):
        model = {"type": "BPE", "vocab": dict(tokenizer().vocabulary), "merges": merges}
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
        single = UpstreamTokenizer.from_tokenizer_json(tmp_path / "tokenizer.json")
        assert single.fingerprint == files.fingerprint == tokenizer().fingerprint
        assert single.encode(["the <mask> Pear"], 20) == files.encode(["the <mask> Pear"], 20)


@pytest.mark.parametrize(
    ("vocabulary", "merges", "text"),
    [
        ("{", "", "not readable as JSON"),
        ("[]", "", "not a vocabulary"),
        ('{"a": "b"}', "", "not a vocabulary"),
        ('{"a": 1}', "", "no '<s>'"),
        ('{"<s>": 0, "</s>": 2, "<unk>": 3}', "a b c\n", "a merge needs two pieces"),
        ('{"<s>": 0, "</s>": 2, "<unk>": 3}', "a b\n", "disagree"),
    ],
)
def test_bad_files(tmp_path: Path, vocabulary: str, merges: str, text: str) -> None:
    (tmp_path / "vocab.json").write_text(vocabulary)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(Exception, match=text) as caught:
        UpstreamTokenizer.from_files(tmp_path / "vocab.json", tmp_path / "merges.txt").encode(
            ["a"], 9
        )
    assert "\n" not in str(caught.value)


def test_a_word_piece_tokenizer_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"type": "WordPiece", "vocab": {"a": 1}}}))
    with pytest.raises(CheckpointError, match="not a byte-level BPE"):
        UpstreamTokenizer.from_tokenizer_json(path)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (Document("1", "body \n", "title ", "url "), "url<sep>title<sep>body"),
        (Document("1", "body", "", "url"), "url<sep><sep>body"),
        (Document("1", "body", "title"), "title<sep>body"),
        (Document("1", " body\n"), " body"),
        (Document("1", ""), ""),
    ],
)
def test_fields_of_a_document(document: Document, text: str) -> None:
    assert document_text(document, named_recipe("ance")) == text


def test_characters_are_cut_before_tokens() -> None:
    recipe = named_recipe("ance").replace("test", max_document_characters=7)
    assert document_text(Document("1", "body", "title"), recipe) == "title<s"
    free = recipe.replace("test", max_document_characters=0)
    assert document_text(Document("1", "b" * 20_000), free) == "b" * 20_000


def test_prompts_and_other_fields() -> None:
    recipe = named_recipe("ance").replace(
        "test", query_prompt="q: ", document_prompt="d: ", fields=("text",), separator="|"
    )
    assert query_text(Query("1", "why \n"), recipe) == "q: why"
    assert document_text(Document("1", "body", "title", "url"), recipe) == "d: body"
    plain = recipe.replace("test", tokenization="tokenizer")
    assert query_text(Query("1", "why \n"), plain) == "q: why \n"
