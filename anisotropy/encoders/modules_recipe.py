"""Recipe of sentence-transformers and plain transformers models, from their small files alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anisotropy.encoders.configuration import read_table
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.recipe import CHOICES, PARTS, POOLINGS, Recipe
from anisotropy.errors import CheckpointError, InputError, UsageError, one_of
from anisotropy.files import read_json

FIXED = (
    "head",
    "document_layernorm",
    "tokenization",
    "pad_token_id",
    "positions",
    "mask",
    "chunk_length",
)
_LEGACY_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_L2_ROUTES = {"query": ["LayerNorm", "Normalize"], "document": ["Normalize"]}
POOLED = "sentence_embedding"


def modules_recipe(
    files: CheckpointFiles,
    name: str | None,
    parts: Mapping[str, Any],
    asked: Mapping[str, Any],
    option: str | Path | None,
) -> Recipe:
    """Recipe of a model whose own modules encode.

    Parameters
    ----------
    files
        Of layout ``sentence-transformers`` or ``transformers``.
    name, parts, option
        Named recipe and single parts that ``--recipe`` (`option`) gave.
    asked
        Single options.

    Raises
    ------
    UsageError
        If a named upstream recipe, or a part that the modules fix, is asked for.
    CheckpointError
        If a configuration file cannot be read.
    """
    if name is not None:
        raise UsageError(
            f"recipe {name}: for upstream checkpoints; {files.origin} is a {files.layout} model "
            "with its own modules: give single parts, for example --normalize or --similarity"
        )
    base = _sentence_transformers if files.layout == "sentence-transformers" else _transformers
    recipe = base(files, {**parts, **asked})
    if files.recipe is not None:
        recipe = _with_own(recipe, files.recipe)
    for found, source in ((parts, f"recipe file {option}"), (asked, "option")):
        recipe = _with_parts(recipe, found, source, files)
    return recipe


def _with_own(recipe: Recipe, path: Path) -> Recipe:
    values = read_table(path)
    fixed = set(FIXED) - {"tokenization"}  # stated by convert, whose tokenizer.json does it
    loose = {part: values[part] for part in values if part in PARTS and part not in fixed}
    try:
        return recipe.replace("recipe.json in the checkpoint", **loose)
    except UsageError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _with_parts(
    recipe: Recipe, parts: Mapping[str, Any], source: str, files: CheckpointFiles
) -> Recipe:
    changed = recipe.replace(source, **parts)
    for part in FIXED:
        if getattr(changed, part) != getattr(recipe, part):
            raise UsageError(f"{part}: fixed by the modules of this {files.layout} model")
    if source != "option":
        return changed
    texts = {part: f"option --{part.replace('_', '-')}" for part in parts}
    return dataclasses.replace(changed, sources={**changed.sources, **texts})


def _base(layout: str, source: str, **parts: Any) -> Recipe:
    recipe = Recipe(
        name=layout,
        head="modules",
        tokenization="tokenizer",
        lowercase=False,
        separator=" ",
        fields=("title", "text"),
        positions="model",
        mask="model",
        max_document_characters=0,
        **parts,
    )
    sources = {**dict.fromkeys(PARTS, source), "separator": "assumed", "fields": "assumed"}
    return dataclasses.replace(recipe, sources=sources)


def _sentence_transformers(files: CheckpointFiles, asked: Mapping[str, Any]) -> Recipe:
    kinds = module_kinds(files.folder)
    settings = _table(files.folder / "config_sentence_transformers.json")
    queries, documents = _prompts(settings)
    query_length, document_length = _max_lengths(kinds)
    recipe = _base(
        files.layout,
        "sentence-transformers modules",
        pooling=_pooling(files.folder, kinds),
        normalize=any(kind == "Normalize" for kind, _ in kinds)
        or _router_normalizes(files, kinds),
        similarity=_similarity(settings, files, asked),
        query_prompt=queries,
        document_prompt=documents,
        max_query_length=query_length,
        max_document_length=document_length,
    )
    layernorm = stated_head(kinds)
    if layernorm is None:
        return recipe
    return dataclasses.replace(recipe, head="linear_layernorm", document_layernorm=layernorm)


def _transformers(files: CheckpointFiles, asked: Mapping[str, Any]) -> Recipe:
    config = _table(files.folder / "config.json")
    names = [str(name) for name in config.get("architectures") or []]
    causal = bool(names) and names[0].endswith("ForCausalLM") and config.get("is_causal", True)
    recipe = _base(
        files.layout,
        "a plain transformers model: as sentence-transformers treats it",
        pooling="lasttoken" if causal else "mean",
        similarity=_similarity({}, files, asked),
        max_query_length=0,
        max_document_length=0,
    )
    return dataclasses.replace(recipe, head="none")


def module_kinds(folder: Path) -> list[tuple[str, Path]]:
    """Class name and folder of each module of a sentence-transformers model.

    Raises
    ------
    CheckpointError
        If ``modules.json`` is not a list of modules inside the folder.
    """
    path = folder / "modules.json"
    try:
        values = read_json(path)
        kinds = [(str(v["type"]).rsplit(".", 1)[-1], str(v.get("path", ""))) for v in values]
    except (InputError, TypeError, KeyError, AttributeError):
        raise CheckpointError(f"{path}: not a list of sentence-transformers modules") from None
    for _, inside in kinds:
        if Path(inside).is_absolute() or ".." in Path(inside).parts:
            raise CheckpointError(f"{path}: module path {inside!r} lies outside the folder")
    return [(kind, folder / inside) for kind, inside in kinds]


def every_module(folder: Path) -> Iterator[tuple[str, Path]]:
    """As `module_kinds`, with the modules inside those with routes."""
    for kind, place in module_kinds(folder):
        yield kind, place
        for name, inside in route_table(place, "types").items():
            yield str(inside).rsplit(".", 1)[-1], place / name


def _table(path: Path) -> dict[str, Any]:
    return read_table(path) if path.is_file() else {}


def _prompts(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Prompts that ``encode_query`` and ``encode_document`` would use."""
    saved = settings.get("prompts")
    found = {"query": "", "document": ""}
    for name, text in (saved if isinstance(saved, dict) else {}).items():
        found[str(name)] = text if isinstance(text, str) else ""
    document = next(name for name in _DOCUMENT_PROMPTS if name in found)
    return found["query"], found[document]


def _max_lengths(kinds: list[tuple[str, Path]]) -> tuple[int, int]:
    """Maximum lengths of queries and documents that the model states; 0 = its tokenizer's."""
    places = [path for kind, path in kinds if kind == "Transformer"]
    if len(places) != 1:
        return 0, 0
    settings = _table(places[0] / "sentence_bert_config.json")
    return _length(settings, "query_length"), _length(settings, "document_length")


def _length(settings: Mapping[str, Any], key: str) -> int:
    value = settings.get(key) or settings.get("max_seq_length")
    return value if type(value) is int and value >= 3 else 0


def _pooling(folder: Path, kinds: list[tuple[str, Path]]) -> str:
    places = [path for kind, path in kinds if kind == "Pooling"]
    if len(places) != 1:
        return "modules"
    values = _table(places[0] / "config.json")
    mode = values.get("pooling_mode")
    legacy = [name for key, name in _LEGACY_POOLINGS.items() if values.get(key)]
    if mode is None:
        mode = legacy or ["mean"]
    modes = mode if isinstance(mode, list) else [mode]
    return str(modes[0]) if len(modes) == 1 and modes[0] in POOLINGS else "modules"


def _router_normalizes(files: CheckpointFiles, kinds: list[tuple[str, Path]]) -> bool:
    for kind, path in kinds:
        if kind in ("Router", "Asym"):
            types = route_table(path, "types")
            if any(str(name).endswith("Normalize") for name in types.values()):
                return True
    return False


def route_table(folder: Path, key: str) -> dict[str, Any]:
    """Table ``types`` or ``structure`` of a module with routes; empty if there is none."""
    config = _table(folder / "router_config.json") or _table(folder / "config.json")
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def stated_head(kinds: list[tuple[str, Path]]) -> bool | None:
    """Whether documents pass the LayerNorm of upstream's head; None without such a head.

    The head is a plain Dense, then LayerNorm (and Normalize), or under upstream's L2 a Router:
    queries LayerNorm and Normalize, documents Normalize alone.
    """
    names = [kind for kind, _ in kinds]
    if names[-1:] == ["Normalize"] and names[-2:-1] == ["LayerNorm"]:
        names.pop()
    if names[-2:-1] != ["Dense"] or not _plain(_table(kinds[len(names) - 2][1] / "config.json")):
        return None
    if names[-1] == "LayerNorm":
        return True
    return False if names[-1] == "Router" and _routes(kinds[-1][1]) == _L2_ROUTES else None


def _plain(dense: Mapping[str, Any]) -> bool:
    """Whether a Dense is a linear layer with a bias and nothing else, on the pooled state."""
    activation = str(dense.get("activation_function")).rsplit(".", 1)[-1]
    names = {dense.get(f"module_{end}_name") or POOLED for end in ("input", "output")}
    plain = activation == "Identity" and dense.get("bias", True) and names == {POOLED}
    return bool(plain) and not dense.get("use_residual")


def _routes(folder: Path) -> dict[str, list[str]]:
    """Class names of the modules of each route."""
    types = route_table(folder, "types")
    return {
        route: [str(types.get(name)).rsplit(".", 1)[-1] for name in names]
        for route, names in route_table(folder, "structure").items()
    }


def _similarity(
    settings: Mapping[str, Any], files: CheckpointFiles, asked: Mapping[str, Any]
) -> str:
    name = settings.get("similarity_fn_name") or "cosine"
    if name in CHOICES["similarity"]:
        return str(name)
    if "similarity" in asked:
        return "cosine"  # replaced by what was asked for
    allowed = one_of(name, CHOICES["similarity"])
    raise CheckpointError(f"{files.origin}: similarity: {allowed}; choose one with --similarity")
