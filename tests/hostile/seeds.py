"""What edits have found, each as the one change that mattered; all of it is mended."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.hostile.corpus import npy_header

Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Seed:
    """A change of one file.

    Attributes
    ----------
    reader, file
        Key of `readers.READERS`; path in its folder.
    change
        From the good content to the bad one.
    cause
        Pattern of what is said; None where the rest is read, and it is none of its business.
    """

    reader: str
    file: str
    change: Change
    cause: str | None


def put(*places: Any) -> Change:
    """JSON with another value at a place."""
    *path, last, value = places

    def change(content: bytes) -> bytes:
        whole = json.loads(content)
        inside = whole
        for key in path:
            inside = inside[key]
        inside[last] = value
        return json.dumps(whole).encode()

    return change


def to(content: bytes | str) -> Change:
    return lambda _: content.encode() if isinstance(content, str) else content


def swap(old: bytes, new: bytes) -> Change:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def member(end: str, inside: Change) -> Change:
    """A zip file with another content of one member, whole as a zip file."""

    def change(content: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        return packed({n: inside(d) if n.endswith(end) else d for n, d in found.items()})

    return change


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def nameless(content: bytes) -> bytes:
    """A member whose name is empty: the library's own question whether it is a folder fails."""
    return packed({"a.npy": b"x"}).replace(b"a.npy", b"\0.npy")


def _spoil(content: bytes) -> bytes:
    """A byte of the first member changed, so that its checksum is wrong."""
    at = content.index(b"embeddings.word_embeddings")
    return content[:at] + b"E" + content[at + 1 :]


LONG = "x" * 3000
DIGITS = swap(b": 4", b": " + b"9" * 4000)
FOUND = {
    # of another type than what writes it
    "stages-of-numbers": Seed("own-checkpoint", "training.json", put("stages", [1]), None),
    "pooling-of-true": Seed(
        "sentence-transformers", "1_Pooling/config.json", put("pooling_mode", True), None
    ),
    "output-name-of-a-list": Seed(
        "modules", "2_Dense/config.json", put("module_output_name", []), "cannot be loaded"
    ),
    "states-of-no-tokens": Seed(
        "modules",
        "modules.json",
        put(0, "type", "sentence_transformers.models.Normalize"),
        "cannot be loaded|not",
    ),
    "added-token-of-a-word": Seed(
        "tokenizer", "tokenizer.json", put("added_tokens", ["<s>"]), "added_tokens"
    ),
    "merge-of-a-number": Seed(
        "tokenizer", "tokenizer.json", put("model", "merges", [5]), "merge needs two pieces"
    ),
    "one-position": Seed(
        "own-checkpoint", "config.json", put("max_position_embeddings", 1), "room for -1 tokens"
    ),
    "number-of-no-type": Seed(
        "torch",
        "plain.bin",
        to(pickle.dumps({"a": __import__("numpy").float64(1)}, 2).replace(b"f8", b"x8")),
        "number of no type",
    ),
    # without end
    "one-text-of-a-gigabyte-where-there-is-none": Seed(
        "npy", "ids.npy", to(npy_header("(0,)", "|S1073741824")), "text of at most"
    ),
    "layers": Seed(
        "upstream-checkpoint",
        "config.json",
        put("num_hidden_layers", 2**31),
        "num_hidden_layers.*at most 1000",
    ),
    "layers-of-a-module": Seed(
        "sentence-transformers", "config.json", put("num_hidden_layers", 2**31), "at most 1000"
    ),
    "layers-to-load": Seed(
        "modules", "config.json", put("num_hidden_layers", 2**31), "at most 1000"
    ),
    "settings": Seed("settings", "analyze.toml", to("a = " + "[" * 3000), "nested too deep"),
    "settings-of-training": Seed("settings", "train.toml", to("a = " + "[" * 3000), "too deep"),
    "margins": Seed("settings", "margins.toml", to("a = " + "[" * 3000), "nested too deep"),
    "recipe": Seed("recipe", "recipe.toml", to("a = " + "[" * 3000), "nested too deep"),
    # of nothing
    "no-length": Seed(
        "own-checkpoint", "recipe.json", put("max_query_length", 0), "max_query_length: got 0"
    ),
    "groups-without-pairs": Seed(
        "negatives",
        "ann_grouped_training_data_1",
        to('{"pos_q_group": {}, "pos_d_group": {}, "neg_D_group": {}}\n'),
        "no pairs in it",
    ),
    # damaged zip files
    "weights-with-a-wrong-checksum": Seed("dpr", "nq.cp", _spoil, "corrupt or truncated"),
    "weights-without-a-header": Seed("dpr", "nq.cp", swap(b"PK\3\4", b"PK\0\0"), ""),
    "member-without-a-name": Seed("npz", "stored.npz", nameless, "has no name"),
    "member-with-a-long-name": Seed("npz", "stored.npz", to(packed({LONG: b""})), "allowed: arr"),
    "zip-of-a-broken-vocabulary": Seed(
        "released-zip", "x.zip", member("vocab.json", to("{")), "x.zip: .*vocab.json"
    ),
    # texts that no file or terminal takes
    "half-a-prompt": Seed(
        "sentence-transformers",
        "config_sentence_transformers.json",
        put("prompts", {"query": "\ud800"}),
        "half of a surrogate pair",
    ),
    "half-a-mark": Seed(
        "negatives", "ann_ndcg_0", put("checkpoint", "\ud800"), "half of a surrogate pair"
    ),
    "half-an-id": Seed(
        "negatives",
        "ann_grouped_training_data_1",
        swap(b'"0": 0', b'"0": "\\ud800"'),
        "line 1: item id .* what UTF-8 cannot",
    ),
    "name-of-control-characters": Seed(
        "pickle", "2-0.pkl", to(b"\x80\x02cos\x1b[31m\nsystem\n."), r"names os\\x1b\[31m.system"
    ),
    "piece-of-control-characters": Seed(
        "upstream-checkpoint", "merges.txt", to("#version: 0.2\n\x1b a\n"), "disagree"
    ),
    "count-of-control-characters": Seed(
        "dumps",
        "flex-stored/stored/pt_meta.json",
        put("doc_count", "\0"),
        r"'\\x00' documents",
    ),
    "label-of-control-characters": Seed(
        "store", "manifest.json", put("checkpoint", "label", "\x1b[31m"), None
    ),
    # longer than a line
    "recipe-part": Seed("recipe", "recipe.json", put("normalize", LONG), "normalize: got 'xxx"),
    "recipe-name": Seed("recipe", "recipe.json", put(LONG, 1), "recipe part: got 'xxx"),
    "layers-of-a-word": Seed("own-checkpoint", "config.json", put("vocab_size", LONG), "got 'xxx"),
    "shard-items": Seed(
        "unfinished-store", "unfinished.jsonl", swap(b": 4", b": " + b"9" * 4000), ""
    ),
    "id-of-a-store": Seed(
        "store", "queries/ids.txt", swap(b"1\n", b"\t" + b"x" * 3000 + b"\n"), "line 2: .*is no id"
    ),
    "document-of-a-judgment": Seed(
        "store", "qrels.tsv", swap(b"d1", b"x" * 3000), "is not in ids.txt"
    ),
    "measure-of-a-claim": Seed(
        "settings", "claims.json", swap(b"mean_cosine", b"mean_cosin"), r"\(\d+ in all\)"
    ),
    "level-of-claims": Seed("settings", "claims.json", put("level", LONG), "level: got 'xxx"),
    # a last line that does not end
    "ids-cut-short": Seed(
        "store", "training-queries/ids.txt", lambda good: good + b"a\tb", "does not end"
    ),
    "judgments-cut-short": Seed("store", "qrels.tsv", lambda good: good[:-1], "does not end"),
}
