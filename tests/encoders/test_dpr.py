from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from anisotropy.collection import Document, Query
from anisotropy.encoders import describe_checkpoint, load_model, open_encoder
from anisotropy.encoders.configuration import BERT_DEFAULTS, checked_config
from anisotropy.encoders.wordpiece import WordPieceTokenizer, kept_lengths
from anisotropy.errors import AnisotropyError, CheckpointError, CollectionError, UsageError
from tests.encoders import building_dpr as building
from tests.encoders.building import save_legacy

State = dict[str, torch.Tensor]
IDS = building.IDS
START, END = IDS["[CLS]"], IDS["[SEP]"]
TOKENS = [[START, 9, 8, 7, END], [START, 6, 0, 12, END, 20, END], [START, END]]


@pytest.fixture(scope="module")
def state() -> State:
    return building.make_state()


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return building.write_backbone(tmp_path_factory.mktemp("shared") / "bert")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, state: State, backbone: Path) -> Path:
    path = tmp_path_factory.mktemp("dpr") / "nq.cp"
    save_legacy(building.contents(state, "fp32"), path)
    return path


@pytest.fixture(scope="module")
def expected(released: Path, backbone: Path) -> list[np.ndarray]:
    return both_sides(released, backbone=backbone)


def both_sides(path: Path, **options: Any) -> list[np.ndarray]:
    encoder = open_encoder(path, **options)
    return [encoder.encode_tokens(side, TOKENS)[0] for side in ("queries", "documents")]


def one_line(error: type[AnisotropyError], text: str, path: Path | str, **options: Any) -> None:
    with pytest.raises(error, match=text) as caught:
        open_encoder(path, **options).load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("l2", [False, True])
def test_the_forward_pass_written_out(
    released: Path, backbone: Path, state: State, l2: bool
) -> None:
    found = both_sides(released, backbone=backbone, overrides={"normalize": l2})
    for vectors, model in zip(found, ("question_model", "ctx_model"), strict=True):
        slow = np.stack([building.slow_forward(state, model, ids) for ids in TOKENS])
        if l2:
            slow = slow / np.linalg.norm(slow, axis=1, keepdims=True)
        np.testing.assert_allclose(vectors, slow, atol=2e-5)
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_the_padding_id_is_masked_inside_a_text_too(released: Path, backbone: Path) -> None:
    encoder = open_encoder(released, backbone=backbone)
    inside = encoder.encode_tokens("queries", [[START, 6, 0, END]])[0]
    other = encoder.encode_tokens("queries", [[START, 6, 2, END]])[0]
    padded = encoder.encode_tokens("queries", [[START, 6, 0, END], [START, *[9] * 30, END]])[0]
    assert np.abs(inside - other).max() > 1e-3
    np.testing.assert_allclose(padded[:1], inside, atol=1e-5)


@pytest.mark.parametrize("kind", ["fp32", "fp16", "bare"])
@pytest.mark.parametrize("form", ["legacy", "zip"])
def test_both_files_of_the_original(
    tmp_path: Path,
    backbone: Path,
    state: State,
    expected: list[np.ndarray],
    kind: str,
    form: str,
) -> None:
    path = tmp_path / "checkpoint-40"
    inside = state if kind == "bare" else building.contents(state, kind)
    torch.save(inside, path, _use_new_zipfile_serialization=form == "zip")
    encoder = open_encoder(path, backbone=backbone)
    assert (encoder.files.layout, encoder.recipe.name, encoder.step) == ("dpr", "dpr", 40)
    for vectors, wanted in zip(both_sides(path, backbone=backbone), expected, strict=True):
        assert np.array_equal(vectors, wanted)


def test_files_that_newer_code_wrote(
    tmp_path: Path, backbone: Path, state: State, expected: list[np.ndarray]
) -> None:
    newer = {key: tensor for key, tensor in state.items() if ".pooler." not in key}
    for model in ("question_model", "ctx_model"):
        newer[f"{model}.embeddings.position_ids"] = torch.arange(building.POSITIONS)[None]
    save_file(newer, tmp_path / "dpr.safetensors")
    found = both_sides(tmp_path / "dpr.safetensors", backbone=backbone)
    assert np.array_equal(found[1], expected[1])
    torch.save({"model_dict": {k: t.half() for k, t in state.items()}}, tmp_path / "half.cp")
    half = both_sides(tmp_path / "half.cp", backbone=backbone)
    np.testing.assert_allclose(half[0], expected[0], atol=0.05)


def test_files_beside_it_and_labels(
    tmp_path: Path, state: State, expected: list[np.ndarray]
) -> None:
    building.write_backbone(tmp_path / "run")
    for name in ("nq.cp", "checkpoint-8"):
        save_legacy(building.contents(state, "fp32"), tmp_path / "run" / name)
    assert open_encoder(tmp_path / "run" / "nq.cp").label == "nq"
    assert np.array_equal(both_sides(tmp_path / "run" / "nq.cp")[0], expected[0])


def test_the_local_hub_cache_completes_it(
    released: Path, backbone: Path, expected: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "anisotropy.encoders.hub.cached_file",
        lambda name, file, revision=None: backbone / file if name == "bert-base-uncased" else None,
    )
    encoder = open_encoder(released)
    assert encoder.files.sources["tokenizer"].startswith("assumed: bert-base-uncased")
    assert np.array_equal(both_sides(released)[1], expected[1])


def test_without_its_other_half_both_options_are_named(released: Path, backbone: Path) -> None:
    for options in ({}, {"backbone": backbone / "config.json"}, {"tokenizer": backbone}):
        with pytest.raises(CheckpointError) as caught:
            open_encoder(released, **options)
        text = str(caught.value)
        for part in ("--tokenizer", "--backbone", "hidden_size 32", "vocab_size 60", "assumed"):
            assert part in text
        assert "\n" not in text
    both = {"tokenizer": backbone / "vocab.txt", "backbone": backbone / "config.json"}
    open_encoder(released, **both).load()


def test_questions_and_passages(released: Path, backbone: Path) -> None:
    encoder = open_encoder(
        released, backbone=backbone, overrides={"max_query_length": 5, "max_document_length": 8}
    )
    names = {number: piece for piece, number in IDS.items()}

    def pieces(ids: list[int]) -> str:
        return " ".join(names[number] for number in ids)

    asked = [Query("1", "What is the RIVER?"), Query("2", "market??"), Query("3", "bridge ?")]
    found = encoder.tokenize("queries", asked)
    assert [pieces(ids) for ids in found] == [
        "[CLS] what is the [SEP]",
        "[CLS] market ? [SEP]",
        "[CLS] bridge [SEP]",
    ]
    texts = [
        Document("1", "the market", "River"),
        Document("2", "copper engine", ""),
        Document("3", "river river", "the market is the market."),
        Document("4", "river market is the bridge", "copper"),
        Document("5", "the engine [SEP] is", "copper?"),
    ]
    assert [pieces(ids) for ids in encoder.tokenize("documents", texts)] == [
        "[CLS] river [SEP] the market [SEP]",
        "[CLS] [SEP] copper engine [SEP]",
        "[CLS] the market is [SEP] river river [SEP]",
        "[CLS] copper [SEP] river market is the [SEP]",
        "[CLS] copper ? [SEP] the engine [SEP] [SEP]",
    ]


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_the_longer_part_is_cut_piece_by_piece(first: int, second: int, room: int) -> None:
    slow = [first, second]
    while sum(slow) > room:
        slow[0 if slow[0] > slow[1] else 1] -= 1
    assert kept_lengths(first, second, room) == tuple(slow)


def test_the_tokenizer_agrees_with_transformers(backbone: Path) -> None:
    from transformers import BertTokenizer

    library = BertTokenizer(str(backbone / "vocab.txt"), do_lower_case=True)
    ours = WordPieceTokenizer.from_file(backbone / "vocab.txt")
    texts = [
        "The River!",
        "",
        "abc  dé\u00a0f\tMARKET.",
        "[MASK] x [SEP]",
        "abc" * 40,
        "ΟΔΟΣ 東京",
    ]
    for first in texts:
        assert ours.encode([first], 12) == [
            library(first, truncation=True, max_length=12)["input_ids"]
        ]
        for second in filter(None, texts):  # the library takes an empty one as none
            whole = library(first, second)["input_ids"]
            assert ours.encode_pairs([first], [second], 500) == [whole]


def test_a_tokenizer_json(tmp_path: Path, backbone: Path, released: Path) -> None:
    from transformers import BertTokenizer

    BertTokenizer(str(backbone / "vocab.txt")).save_pretrained(tmp_path)
    found = WordPieceTokenizer.from_file(tmp_path / "tokenizer.json")
    assert found.fingerprint == WordPieceTokenizer.from_file(backbone / "vocab.txt").fingerprint
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}))
    one_line(
        CheckpointError, "not a WordPiece", released,
        backbone=backbone, tokenizer=tmp_path / "tokenizer.json",
    )  # fmt: skip
    (tmp_path / "vocab.txt").write_text("[CLS]\n[SEP]\n")
    one_line(
        CheckpointError, r"no '\[UNK\]'", released,
        backbone=backbone, tokenizer=tmp_path / "vocab.txt",
    )  # fmt: skip


def test_recipes(released: Path, backbone: Path) -> None:
    def recipe(**overrides: Any) -> Any:
        return open_encoder(released, backbone=backbone, overrides=overrides).recipe

    plain = recipe()
    assert (plain.pooling, plain.head, plain.similarity) == ("cls", "none", "dot")
    assert (plain.max_query_length, plain.max_document_length) == (64, 64)  # its positions
    assert plain.sources["max_query_length"] == "256 cut to the positions of the checkpoint"
    unit = recipe(normalize=True)
    assert (unit.similarity, unit.document_layernorm) == ("cosine", True)
    kept = open_encoder(released, backbone=backbone, overrides={"drop_question_mark": False})
    assert IDS["?"] in kept.tokenize("queries", [Query("1", "river?")])[0]
    alone = open_encoder(released, backbone=backbone, overrides={"fields": ("text",)})
    assert alone.tokenize("documents", [Document("1", "river", "market")]) == [
        [START, IDS["river"], END]
    ]
    named = open_encoder(released, backbone=backbone, recipe="dpr").recipe
    assert named == plain
    assert named.sources["pooling"] == "option --recipe dpr"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"recipe": "dance"}, "recipe dance: for ANCE and DANCE.*allowed: dpr"),
        ({"overrides": {"pooling": "mean"}}, "pooling: fixed in DPR"),
        ({"overrides": {"pad_token_id": 1}}, "pad_token_id: fixed in DPR"),
        ({"overrides": {"fields": ("url", "title", "text")}}, "allowed for DPR: title,text"),
        ({"overrides": {"max_query_length": 65}}, "at most 64"),
    ],
)
def test_options_that_it_cannot_follow(
    released: Path, backbone: Path, options: dict[str, Any], text: str
) -> None:
    one_line(UsageError, text, released, backbone=backbone, **options)


def test_defaults_are_those_of_bert() -> None:
    sizes = {key: value for key, value in building.CONFIG.items() if key != "layer_norm_eps"}
    assert checked_config(sizes, BERT_DEFAULTS)["layer_norm_eps"] == 1e-12


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"ctx_model.embeddings.LayerNorm.bias": None}, "missing tensors: ctx_model"),
        ({"question_model.encode_proj.weight": torch.ones(3, 3)}, "unexpected tensors: question_"),
        (
            {"ctx_model.embeddings.LayerNorm.bias": torch.ones(3)},
            r"another shape: ctx_model.*\(3,",
        ),
        (
            {"ctx_model.embeddings.LayerNorm.bias": torch.full((32,), float("nan"))},
            "NaN or infinity in ctx_model",
        ),
    ],
)
def test_damaged_weights(
    tmp_path: Path, backbone: Path, state: State, change: dict[str, Any], text: str
) -> None:
    damaged = {key: tensor for key, tensor in {**state, **change}.items() if tensor is not None}
    save_legacy(building.contents(damaged, "fp16"), tmp_path / "checkpoint-1")
    one_line(CheckpointError, text, tmp_path / "checkpoint-1", backbone=backbone)
    found = describe_checkpoint(tmp_path / "checkpoint-1", backbone=backbone)
    assert text.split(":")[0].split(".")[0] in found["problems"][0]


def test_a_description(released: Path, backbone: Path, state: State) -> None:
    found = describe_checkpoint(released, backbone=backbone)
    assert (found["layout"], found["problems"], found["doubts"]) == ("dpr", [], [])
    keys = found["keys"]
    assert set(keys["used"]) == {key for key in state if ".pooler." not in key}
    assert set(keys["unused"]) == {key for key in state if ".pooler." in key}
    assert not keys["missing"]
    assert not keys["unexpected"]
    assert found["beside"][2:] == ["offset 20", "epoch 0", "encoder_params"]
    assert found["parameters"]["total"] == sum(tensor.numel() for tensor in state.values())
    bare = describe_checkpoint(released)
    assert bare["keys"] == keys
    assert bare["found"] == {"tokenizer": "not found", "backbone": "not found"}
    assert bare["assumed"]["type_vocab_size"] == 2
    assert "--backbone" in bare["problems"][0]


def test_it_is_not_trained(tmp_path: Path, state: State) -> None:
    from anisotropy.training import open_trainable

    path = building.write_backbone(tmp_path) / "nq.cp"
    save_legacy(building.contents(state, "fp32"), path)
    with pytest.raises(CheckpointError, match="got a dpr model"):
        load_model(path)
    with pytest.raises(CheckpointError, match="read but not trained"):
        open_trainable(path)


def test_fingerprint(tmp_path: Path, released: Path, backbone: Path) -> None:
    base = open_encoder(released, backbone=backbone).fingerprint
    save_legacy(building.contents(building.make_state(1), "fp32"), tmp_path / "nq.cp")
    assert open_encoder(tmp_path / "nq.cp", backbone=backbone).fingerprint != base
    other = building.write_backbone(tmp_path / "other")
    assert open_encoder(released, backbone=other).fingerprint == base
    (other / "vocab.txt").write_text((other / "vocab.txt").read_text() + "more\n")
    assert open_encoder(released, backbone=other).fingerprint != base


def test_bfloat16_and_no_items(released: Path, backbone: Path, expected: list[np.ndarray]) -> None:
    encoder = open_encoder(released, backbone=backbone, dtype="bfloat16")
    vectors = encoder.encode_tokens("queries", TOKENS)[0]
    assert vectors.dtype == np.float32
    assert 0 < np.abs(vectors - expected[0]).max() < 0.2
    assert encoder.encode_tokens("documents", [])[0].shape == (0, building.HIDDEN)


# two folders of transformers


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Path:
    """Question and context encoder as transformers' own classes write them."""
    from transformers import BertTokenizer, DPRConfig, DPRContextEncoder, DPRQuestionEncoder

    folder = tmp_path_factory.mktemp("pair") / "dpr"
    kinds = {"dpr-question_encoder": DPRQuestionEncoder, "dpr-ctx_encoder": DPRContextEncoder}
    for seed, (name, kind) in enumerate(kinds.items()):
        torch.manual_seed(seed)
        model = kind(DPRConfig(**{**building.CONFIG, "initializer_range": 0.3}))
        model.save_pretrained(folder / name)
        BertTokenizer(str(backbone / "vocab.txt")).save_pretrained(folder / name)
    return folder


def test_two_folders_of_transformers(pair: Path) -> None:
    from transformers import DPRContextEncoder, DPRQuestionEncoder

    encoder = open_encoder(pair)
    assert (encoder.files.layout, encoder.label) == ("dpr", "dpr")
    library = {
        "queries": DPRQuestionEncoder.from_pretrained(pair / "dpr-question_encoder").eval(),
        "documents": DPRContextEncoder.from_pretrained(pair / "dpr-ctx_encoder").eval(),
    }
    for side, model in library.items():
        for ids in TOKENS:
            with torch.inference_mode():
                wanted = model(torch.tensor([ids])).pooler_output.numpy()
            np.testing.assert_allclose(
                encoder.encode_tokens(side, [ids])[0],
                wanted,
                atol=1e-5,  # type: ignore[arg-type]
            )
    keys = encoder.summary()["keys"]
    assert len(keys["used"]) == 74
    assert not keys["missing"]
    assert not keys["unexpected"]
    with_question = encoder.tokenize("queries", [Query("1", "what is the bridge?")])
    assert with_question == [[START, *(IDS[w] for w in ("what", "is", "the", "bridge")), END]]


def test_one_folder_alone_names_the_other(pair: Path) -> None:
    one_line(CheckpointError, "question encoder of DPR alone", pair / "dpr-question_encoder")
    one_line(CheckpointError, "context encoder of DPR alone", pair / "dpr-ctx_encoder")


def copied(pair: Path, target: Path) -> Path:
    import shutil

    return Path(shutil.copytree(pair, target))


def test_two_folders_that_do_not_fit(pair: Path, tmp_path: Path) -> None:
    folder = copied(pair, tmp_path / "config")
    path = folder / "dpr-ctx_encoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_hidden_layers": 1}))
    one_line(CheckpointError, "num_hidden_layers 2, the context encoder 1", folder)
    folder = copied(pair, tmp_path / "vocabulary")
    path = folder / "dpr-ctx_encoder" / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in [*building.VOCABULARY, "more"]))
    one_line(CheckpointError, "different vocabularies", folder)
    open_encoder(folder, tokenizer=pair / "dpr-question_encoder").load()
    folder = copied(pair, tmp_path / "twice")
    copied(pair / "dpr-ctx_encoder", folder / "zzz")
    one_line(CheckpointError, "two context encoders of DPR in it, dpr-ctx_encoder and zzz", folder)
    (folder / "dpr-question_encoder" / "config.json").unlink()
    copied(pair / "dpr-ctx_encoder", tmp_path / "half" / "only")
    one_line(CheckpointError, "no checkpoint in this folder", tmp_path / "half")


def test_opening_and_tokenizing_load_no_torch(released: Path, backbone: Path) -> None:
    program = (
        "import sys\n"
        "from anisotropy.collection import Query\n"
        "import anisotropy.encoders as e\n"
        f"x = e.open_encoder({str(released)!r}, backbone={str(backbone)!r})\n"
        "x.fingerprint, x.readings, x.tokenize('queries', [Query('1', 'apple')])\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_given_token_ids(released: Path, backbone: Path) -> None:
    encoder = open_encoder(released, backbone=backbone, overrides={"max_query_length": 4})
    ids = (START, 6, 7, 8, END)
    assert encoder.tokenize("queries", [Query("1", "", ids)]) == [[START, 6, 7, END]]
    assert encoder.tokenize("documents", [Document("1", "", tokens=ids)]) == [list(ids)]
    with pytest.raises(CollectionError, match="made by another tokenizer"):
        encoder.tokenize("documents", [Document("1", "", tokens=(0, 6, 2))])
