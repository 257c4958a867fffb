"""Converted checkpoints: same ids, same vectors, same tensors, or a reason why not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from anisotropy.collection import Document, Query
from anisotropy.encoders import Encoder, open_encoder
from anisotropy.encoders.converting import convert_checkpoint
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.encoders.to_sentence_transformers import UNUSED_FILE
from anisotropy.errors import AnisotropyError, CheckpointError, InputError, UsageError
from tests.encoders import building, building_dpr
from tests.making import make_checkpoint, sentence
from tests.tiny_modules import HIDDEN, build, routed, write_plain

HEADS = ("ance", "dance", "dance-symmetric")
NASTY = [
    "ΟΔΟΣ ΣΑΣ İstanbul ÀÉ ß ẞ",
    "  The  Apple\twith \n odd space ",
    "a <mask> b<s>  c </s>d <PAD> <pad> e<Unk>f <MASK> < s >",
    "emoji 🙂🙃 and 漢字 mixed",
    "",
    sentence(5) * 20,
]
QUERIES = [Query(str(n), text) for n, text in enumerate([*NASTY, *building.TEXTS])]
DOCUMENTS = [
    Document(str(n), text, title=f"A Title {n}  ", url="http://x.test/Y ")
    for n, text in enumerate([*NASTY, *building.TEXTS])
]
#: Opens a folder in a process that has not heard of us, and encodes the texts of a file.
STRANGER = """
import json, sys
import numpy as np
from sentence_transformers import SentenceTransformer
folder, texts, out = sys.argv[1:]
model = SentenceTransformer(folder, device="cpu")
texts = json.load(open(texts))
np.savez(out, queries=model.encode_query(texts["queries"]),
         documents=model.encode_document(texts["documents"]))
try:
    model.encode(["a"])
    print("plain encode works")
except ValueError as error:
    print("plain encode is refused")
assert not any(name.startswith("anisotropy") for name in sys.modules)
"""


def vectors(encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
    (queries,) = encoder.encode_tokens("queries", encoder.tokenize("queries", QUERIES))
    (documents,) = encoder.encode_tokens("documents", encoder.tokenize("documents", DOCUMENTS))
    return queries, documents


def tolerance(encoder: Encoder) -> float:
    return 1e-6 if encoder.recipe.normalize else 1e-5


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    with (folder / "pytorch_model.bin").open("rb") as file:
        found: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return found


def stranger(folder: Path, encoder: Encoder, scratch: Path) -> tuple[np.ndarray, ...]:
    """What plain sentence-transformers gives, and what it says to a call without a task."""
    recipe = encoder.recipe
    texts = {
        "queries": [query_text(query, recipe) for query in QUERIES],
        "documents": [document_text(document, recipe) for document in DOCUMENTS],
    }
    (scratch / "texts.json").write_text(json.dumps(texts))
    words = [str(folder), str(scratch / "texts.json"), str(scratch / "out.npz")]
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, *words],
        capture_output=True, text=True, check=True, cwd=scratch,
    )  # fmt: skip
    loaded = np.load(scratch / "out.npz")
    assert ("is refused" in done.stdout) == (not recipe.document_layernorm)
    assert "initialized" not in done.stderr
    return loaded["queries"], loaded["documents"]


@pytest.mark.parametrize("head", HEADS)
def test_to_sentence_transformers_and_back(upstream: Path, tmp_path: Path, head: str) -> None:
    before = open_encoder(upstream, recipe=head, overrides={"max_query_length": 12})
    notes = convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    assert any("fields of a document" in note for note in notes)
    for note in notes:
        assert note in (tmp_path / "st/README.md").read_text()
    between = open_encoder(tmp_path / "st")
    for part in ("similarity", "temperature", "fields", "lowercase", "max_query_length"):
        assert getattr(between.recipe, part) == getattr(before.recipe, part), part
    convert_checkpoint(between, "upstream", tmp_path / "back")
    after = open_encoder(tmp_path / "back")
    assert after.recipe == before.recipe
    for side, items in (("queries", QUERIES), ("documents", DOCUMENTS)):
        tokens = before.tokenize(side, items)  # type: ignore[arg-type]
        assert tokens == between.tokenize(side, items) == after.tokenize(side, items)  # type: ignore[arg-type]
    assert max(map(len, before.tokenize("queries", QUERIES))) == 12
    for one, two, three in zip(vectors(before), vectors(between), vectors(after), strict=True):
        np.testing.assert_allclose(two, one, atol=tolerance(before), rtol=0)
        np.testing.assert_array_equal(three, one)


@pytest.mark.parametrize("head", HEADS)
def test_the_round_trip_is_bit_equal(
    upstream: Path, state: dict[str, torch.Tensor], tmp_path: Path, head: str
) -> None:
    first = open_encoder(upstream, recipe=head)
    convert_checkpoint(first, "sentence-transformers", tmp_path / "st")
    convert_checkpoint(open_encoder(tmp_path / "st"), "upstream", tmp_path / "back")
    convert_checkpoint(first, "upstream", tmp_path / "straight")
    for folder in (tmp_path / "back", tmp_path / "straight"):
        found = tensors(folder)
        assert list(found) == list(state)
        for name, tensor in state.items():
            assert torch.equal(found[name], tensor), name
        config = json.loads((folder / "config.json").read_text())
        assert building.CONFIG.items() <= config.items()
        assert not {"model_type", "architectures", "transformers_version"} & set(config)
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "added_tokens.json"):
            assert (folder / name).read_bytes() == (upstream / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_plain_sentence_transformers_gives_the_vectors(
    upstream: Path, tmp_path: Path, head: str
) -> None:
    encoder = open_encoder(upstream, recipe=head, overrides={"max_query_length": 12})
    convert_checkpoint(encoder, "sentence-transformers", tmp_path / "st")
    found = stranger(tmp_path / "st", encoder, tmp_path)
    for got, wanted in zip(found, vectors(encoder), strict=True):
        np.testing.assert_allclose(got, wanted, atol=tolerance(encoder), rtol=0)


def test_the_weights_file_is_as_torch_1_4_writes_it(upstream: Path, tmp_path: Path) -> None:
    convert_checkpoint(open_encoder(upstream, recipe="ance"), "upstream", tmp_path / "up")
    assert (tmp_path / "up/pytorch_model.bin").read_bytes()[:2] == b"\x80\x02"
    assert (tmp_path / "up/pytorch_model.bin").stat().st_mode & 0o077 == 0o044


def test_a_checkpoint_without_pooler_gets_none(tmp_path: Path) -> None:
    """Nothing is drawn at random."""
    before = open_encoder(make_checkpoint(tmp_path / "ours", "dance"))
    drawn = torch.get_rng_state()
    convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    assert torch.equal(drawn, torch.get_rng_state())
    between = open_encoder(tmp_path / "st")
    for one, two in zip(vectors(before), vectors(between), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-6, rtol=0)
    assert not any("pooler" in name for name in load_file(tmp_path / "st/model.safetensors"))
    notes = convert_checkpoint(between, "upstream", tmp_path / "up")
    text = "\n".join(notes)
    assert "not in the checkpoint: roberta.pooler.dense, classifier.dense" in text
    assert "a head of 768 outputs" in text
    assert "--representation_l2_normalization" in text
    ours, found = load_file(tmp_path / "ours/model.safetensors"), tensors(tmp_path / "up")
    assert set(ours) == set(found)
    assert all(torch.equal(ours[name], found[name]) for name in ours)


def test_a_folder_that_the_library_saved_again_goes_back(upstream: Path, tmp_path: Path) -> None:
    """The tensors that no module takes are gone then; no vector needs them."""
    from sentence_transformers import SentenceTransformer

    before = open_encoder(upstream, recipe="dance")
    convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    model = SentenceTransformer(str(tmp_path / "st"), device="cpu")
    model.save(str(tmp_path / "again"), create_model_card=False)
    again = open_encoder(tmp_path / "again")
    assert (again.recipe.max_query_length, again.recipe.max_document_length) == (64, 512)
    notes = convert_checkpoint(again, "upstream", tmp_path / "up")
    assert any("not in the checkpoint: classifier.dense" in note for note in notes)
    found = tensors(tmp_path / "up")
    assert not found["roberta.embeddings.position_embeddings.weight"][:2].any()
    after = open_encoder(tmp_path / "up", recipe="dance")
    for one, two in zip(vectors(before), vectors(after), strict=True):
        np.testing.assert_array_equal(two, one)


def test_a_single_file_in_half_precision(
    upstream: Path, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    half = {f"module.{name}": tensor.half() for name, tensor in state.items()}
    half["module.roberta.embeddings.position_ids"] = torch.arange(514)[None]
    torch.save({"state_dict": half}, tmp_path / "model.ckpt")
    options: dict[str, Any] = {"recipe": "ance", "tokenizer": upstream, "backbone": upstream}
    notes = convert_checkpoint(
        open_encoder(tmp_path / "model.ckpt", **options), "upstream", tmp_path / "up"
    )
    assert any("were not in float32" in note for note in notes)
    found = tensors(tmp_path / "up")
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], tensor.half().float())


@pytest.mark.parametrize("extra", ["none", "normalize", "dense", "router"])
def test_models_of_the_library_keep_their_vectors(tmp_path: Path, extra: str) -> None:
    prompts = {"query": "query: ", "document": "passage: "}
    plain = write_plain(tmp_path / "plain")
    folder = build(plain, tmp_path / "model", extra=extra, prompts=prompts)
    before = open_encoder(folder)
    convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    after = open_encoder(tmp_path / "st")
    assert after.recipe == before.recipe
    for one, two in zip(vectors(before), vectors(after), strict=True):
        np.testing.assert_array_equal(two, one)


def test_a_plain_transformers_model_with_options(tmp_path: Path) -> None:
    parts = {"pooling": "cls", "normalize": True, "max_query_length": 6, "max_document_length": 9}
    before = open_encoder(write_plain(tmp_path / "plain"), overrides=parts)
    convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    after = open_encoder(tmp_path / "st")
    for part, value in parts.items():
        assert getattr(after.recipe, part) == value
    for one, two in zip(vectors(before), vectors(after), strict=True):
        np.testing.assert_array_equal(two, one)
    pooler = load_file(tmp_path / "plain/model.safetensors")["pooler.dense.weight"]
    kept = load_file(tmp_path / "st/model.safetensors")["pooler.dense.weight"]
    assert torch.equal(pooler, kept)


def test_two_backbones_keep_their_vectors(tmp_path: Path) -> None:
    before = open_encoder(routed(write_plain(tmp_path / "plain"), tmp_path / "model"))
    convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    for one, two in zip(vectors(before), vectors(open_encoder(tmp_path / "st")), strict=True):
        np.testing.assert_array_equal(two, one)


def with_head(folder: Path) -> Path:
    """A plain BERT under upstream's head, mean-pooled."""
    from anisotropy.encoders.headed import load_headed
    from anisotropy.encoders.saving import save_headed

    encoder = open_encoder(folder)
    model, _, recipe = load_headed(encoder.files, encoder.recipe)
    return save_headed(folder.parent / "headed", model, recipe=recipe)


def other_tokenizer(upstream: Path, tmp_path: Path) -> Path:
    convert_checkpoint(
        open_encoder(upstream, recipe="ance"), "sentence-transformers", tmp_path / "o"
    )
    path = tmp_path / "o/tokenizer.json"
    values = json.loads(path.read_text())
    values["normalizer"] = None
    path.write_text(json.dumps(values))
    return tmp_path / "o"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda up, tmp: write_plain(tmp / "p"), "a plain transformers model without that head"),
        (
            lambda up, tmp: build(write_plain(tmp / "p"), tmp / "m"),
            "its modules are Transformer, Pooling, Normalize",
        ),
        (lambda up, tmp: with_head(write_plain(tmp / "p")), "its pooling is mean"),
        (other_tokenizer, "its tokenizer gives other ids than upstream's"),
    ],
)
def test_what_does_not_fit_upstream_is_refused(
    upstream: Path, tmp_path: Path, make: Callable[[Path, Path], Path], reason: str
) -> None:
    encoder = open_encoder(make(upstream, tmp_path))
    with pytest.raises(CheckpointError, match=reason):
        convert_checkpoint(encoder, "upstream", tmp_path / "up")
    assert not (tmp_path / "up").exists()


@pytest.mark.parametrize(
    ("recipe", "overrides", "reason"),
    [
        ("ance-maxp", {}, "MaxP, 4 vectors a document.*--recipe ance converts"),
        ("dance-maxp", {}, "--recipe dance converts"),
        ("dance", {"document_layernorm": False, "normalize": False}, "document_layernorm"),
        ("ance", {"head": "none"}, "head: got 'none'"),
    ],
)
def test_what_the_library_cannot_express_is_refused(
    upstream: Path, tmp_path: Path, recipe: str, overrides: dict[str, Any], reason: str
) -> None:
    encoder = open_encoder(upstream, recipe=recipe, overrides=overrides)
    with pytest.raises(CheckpointError, match=reason):
        convert_checkpoint(encoder, "sentence-transformers", tmp_path / "st")
    assert list(tmp_path.glob("[!h]*")) == []


def test_upstream_is_told_what_its_code_does_not_do(upstream: Path, tmp_path: Path) -> None:
    encoder = open_encoder(
        upstream, recipe="ance-maxp", overrides={"lowercase": False, "query_prompt": "q: "}
    )
    text = "\n".join(convert_checkpoint(encoder, "upstream", tmp_path / "up"))
    assert "--model_type rdot_nll_multi_chunk" in text
    assert "lowercase False" in text
    assert "query_prompt 'q: '" in text
    assert open_encoder(tmp_path / "up").recipe == encoder.recipe


def test_a_doubt_has_to_be_settled(upstream: Path, tmp_path: Path) -> None:
    for layout in ("upstream", "sentence-transformers"):
        with pytest.raises(UsageError, match="a folder has one recipe: --recipe ance or"):
            convert_checkpoint(open_encoder(upstream), layout, tmp_path / "out")
    with pytest.raises(UsageError, match="got 'onnx'; allowed: sentence-transformers, upstream"):
        convert_checkpoint(open_encoder(upstream, recipe="ance"), "onnx", tmp_path / "out")


def test_a_target_in_use_is_refused(upstream: Path, tmp_path: Path) -> None:
    encoder = open_encoder(upstream, recipe="ance")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "folder", "link"):
        with pytest.raises(InputError, match="exists already"):
            convert_checkpoint(encoder, "upstream", tmp_path / name)
    (tmp_path / "empty").mkdir()
    convert_checkpoint(encoder, "upstream", tmp_path / "empty")
    assert (tmp_path / "empty/config.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["upstream", "sentence-transformers"])
def test_a_write_that_fails_leaves_nothing(upstream: Path, tmp_path: Path, layout: str) -> None:
    """A limit on the size of files stands in for a full disk: each library fails its own way."""
    program = f"""
import resource, signal
from anisotropy.cli import main
import sentence_transformers, transformers  # what they write when imported is not the question
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
raise SystemExit(main(["convert", {str(upstream)!r}, "--recipe", "ance", "--to", {layout!r},
                       "--out", "out"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == "anisotropy: out: could not be written (File too large); " + (
        "nothing was left there\n"
    )
    assert list(tmp_path.glob("*")) == list(tmp_path.glob(".*")) == []


def test_unused_tensors_are_not_read_as_the_models(upstream: Path, tmp_path: Path) -> None:
    convert_checkpoint(
        open_encoder(upstream, recipe="ance"), "sentence-transformers", tmp_path / "st"
    )
    described = open_encoder(tmp_path / "st").summary()
    unused = sum(tensor.numel() for tensor in load_file(tmp_path / "st" / UNUSED_FILE).values())
    used = sum(
        tensor.numel()
        for path in (tmp_path / "st").rglob("model.safetensors")
        for tensor in load_file(path).values()
    )
    assert unused > 0
    assert described["parameters"]["total"] == used
    with pytest.raises(AnisotropyError, match="is in the modules already"):
        clash(tmp_path / "st", tmp_path / "up")


def write_dpr(folder: Path, *without: str) -> dict[str, Any]:
    """A tiny bi-encoder, and the options to read it."""
    state = building_dpr.make_state()
    kept = {name: t for name, t in state.items() if not any(part in name for part in without)}
    building_dpr.write_backbone(folder)
    building.save_legacy(building_dpr.contents(kept, "fp32"), folder / "nq.cp")
    return {"source": folder / "nq.cp", "overrides": {"max_document_length": 20}}


@pytest.mark.parametrize("l2", [False, True])
@pytest.mark.parametrize("without", [(), ("pooler",)])
def test_a_bi_encoder(tmp_path: Path, l2: bool, without: tuple[str, ...]) -> None:
    options = write_dpr(tmp_path / "dpr", *without)
    options["overrides"]["normalize"] = l2
    before = open_encoder(**options)
    notes = convert_checkpoint(before, "sentence-transformers", tmp_path / "st")
    assert any("a model each" in note for note in notes)
    after = open_encoder(tmp_path / "st")
    queries = [
        Query(str(n), text) for n, text in enumerate(["What is the river?", "", "BRIDGE ."])
    ]
    documents = [
        Document(str(n), text, title)
        for n, (title, text) in enumerate(
            [
                ("Market", "the copper engine " * 20),
                ("Bridge", ""),
                ("ab cd", "Is\tthe ÀÉ"),
                ("", "the copper"),
                ("", ""),
            ]
        )
    ]
    for side, items in (("queries", queries), ("documents", documents)):
        tokens = before.tokenize(side, items)  # type: ignore[arg-type]
        assert tokens == after.tokenize(side, items)  # type: ignore[arg-type]
        (one,) = before.encode_tokens(side, tokens)  # type: ignore[arg-type]
        (two,) = after.encode_tokens(side, tokens)  # type: ignore[arg-type]
        np.testing.assert_allclose(two, one, atol=1e-6, rtol=1e-6)
        route = {"queries": "query", "documents": "document"}[side]
        stored = load_file(tmp_path / f"st/{route}_0_Transformer/model.safetensors")
        assert any("pooler" in name for name in stored) == (not without)
    with pytest.raises(CheckpointError, match="a DPR bi-encoder, whose layout is another one"):
        convert_checkpoint(before, "upstream", tmp_path / "up")


def clash(folder: Path, target: Path) -> None:
    from safetensors.torch import save_file

    save_file({"norm.weight": torch.zeros(HIDDEN)}, folder / UNUSED_FILE)
    convert_checkpoint(open_encoder(folder), "upstream", target)
