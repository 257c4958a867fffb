"""Which recipe a checkpoint needs, and where each part of it came from.

Order: option, ``recipe.json``, sentence-transformers modules, ``training_args.bin``, doubt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anisotropy.encoders.arguments import read_arguments
from anisotropy.encoders.configuration import BERT_DEFAULTS, read_config, read_table
from anisotropy.encoders.layouts import UPSTREAM_LAYOUTS, CheckpointFiles
from anisotropy.encoders.recipe import (
    MINIMUM_LENGTH,
    PARTS,
    RECIPE_NAMES,
    Recipe,
    check_part,
    load_recipe,
    named_recipe,
)
from anisotropy.errors import CheckpointError, UsageError

_FIRST_POSITION = 2
_LINKED = ("document_layernorm", "similarity")
#: What the code of DPR fixes; upstream has no other, so nobody's vectors would be theirs.
_DPR_FIXED = (
    "pooling",
    "head",
    "document_layernorm",
    "tokenization",
    "separator",
    "pad_token_id",
    "positions",
    "mask",
    "max_document_characters",
    "chunk_length",
)
_OWN = "recipe.json in the checkpoint"


def resolve(
    files: CheckpointFiles,
    *,
    recipe: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    dtype: str = "float32",
) -> tuple[Recipe, ...]:
    """Readings of a checkpoint: one recipe, or two where nothing says whether L2 is on.

    Parameters
    ----------
    files
        The recognized checkpoint.
    recipe
        Name or path of a file with recipe parts.
    overrides
        Recipe part -> value.
    dtype
        Of the computation.

    Raises
    ------
    UsageError
        If a name, part or value is not allowed, or the layout cannot follow it.
    CheckpointError
        If the checkpoint's own recipe cannot be read, or its positions are too few.
    """
    for part in overrides or {}:
        check_part(part)
    asked = {"dtype": dtype, **(overrides or {})}
    name, parts = _option(recipe)
    if files.layout == "dpr":
        return (_dpr_recipe(files, name, parts, asked, recipe),)
    if files.layout not in UPSTREAM_LAYOUTS:
        from anisotropy.encoders.modules_recipe import modules_recipe

        return (modules_recipe(files, name, parts, asked, recipe),)
    if name == "dpr":
        raise UsageError(
            f"recipe dpr: for DPR bi-encoders; {files.origin} is none: allowed: "
            + ", ".join(known for known in RECIPE_NAMES if known != "dpr")
        )
    if name is not None:
        bases = [named_recipe(name, f"option --recipe {recipe}")]
    else:
        bases = _from_files(files, {**parts, **asked})
    readings = [_overridden(base, parts, f"recipe file {recipe}") for base in bases]
    readings = [_overridden(base, asked, "option") for base in readings]
    return tuple(_fitted(reading, files, {**parts, **asked}) for reading in readings)


def _dpr_recipe(
    files: CheckpointFiles,
    name: str | None,
    parts: Mapping[str, Any],
    asked: Mapping[str, Any],
    option: str | Path | None,
) -> Recipe:
    """Recipe of a DPR bi-encoder: ``dpr``, with what is asked for."""
    if name not in (None, "dpr"):
        raise UsageError(
            f"recipe {name}: for ANCE and DANCE; {files.origin} is a DPR bi-encoder: allowed: "
            "dpr, with --normalize for L2"
        )
    source = "DPR bi-encoders" if name is None else f"option --recipe {option}"
    base = named_recipe("dpr", source)
    recipe = base
    if files.recipe is not None:
        own, found, _ = _own_recipe(files.recipe)
        if own not in (None, "dpr"):
            raise CheckpointError(f"{files.recipe}: recipe {own}: not of a DPR bi-encoder")
        recipe = _overridden(recipe, found, _OWN)
    recipe = _overridden(recipe, parts, f"recipe file {option}")
    recipe = _overridden(recipe, asked, "option")
    for part in _DPR_FIXED:
        if getattr(recipe, part) != getattr(base, part):
            raise UsageError(f"{part}: fixed in DPR bi-encoders: allowed: {getattr(base, part)}")
    if recipe.fields[0] == "url":
        raise UsageError("fields: got url,title,text; allowed for DPR: title,text or text")
    return _fitted(recipe, files, {**parts, **asked})


def _option(recipe: str | Path | None) -> tuple[str | None, dict[str, Any]]:
    """Name of a recipe and single parts that the option gives."""
    if recipe is None:
        return None, {}
    if str(recipe) in RECIPE_NAMES:
        return str(recipe), {}
    path = Path(recipe).expanduser()
    if not path.is_file():
        named_recipe(str(recipe))  # raises, naming the nearest
    return _named(load_recipe(path))


def _named(values: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    name = values.get("name")
    parts = {key: value for key, value in values.items() if key in PARTS}
    return (name if name in RECIPE_NAMES else None), parts


def _from_files(files: CheckpointFiles, asked: Mapping[str, Any]) -> list[Recipe]:
    """Readings by the checkpoint's ``recipe.json``, which counts as one given by option does."""
    if files.recipe is None:
        return _from_checkpoint(files, asked)
    name, parts, doubts = _own_recipe(files.recipe)
    if name == "dpr":
        raise CheckpointError(f"{files.recipe}: recipe dpr: {files.origin} is no DPR bi-encoder")
    if name is not None:
        bases = [named_recipe(name, f"{_OWN} (name {name})")]
    else:
        bases = _from_checkpoint(files, {**parts, **asked})
    try:
        readings = [_overridden(base, parts, _OWN) for base in bases]
    except UsageError as error:
        raise CheckpointError(f"{files.recipe}: {error}") from None
    return [dataclasses.replace(r, doubts=(*doubts, *r.doubts)) for r in readings]


def _from_checkpoint(files: CheckpointFiles, asked: Mapping[str, Any]) -> list[Recipe]:
    values, note = _arguments(files.arguments)
    maxp = values.get("model_type") == "rdot_nll_multi_chunk" or _positive(asked, "chunk_length")
    suffix = "-maxp" if maxp else ""
    readings = [
        _from_arguments(named_recipe(name + suffix, "upstream default"), values)
        for name in ("ance", "dance")
    ]
    if "normalize" in asked:
        wanted = Recipe().replace("option", normalize=asked["normalize"]).normalize
        return [readings[int(wanted)]]
    normalized = _says_normalized(values)
    if normalized is not None:
        found = readings[int(normalized)]
        said = "training_args.bin"
        return [found.replace(said, **{part: getattr(found, part) for part in _l2_parts()})]
    return [dataclasses.replace(reading, doubts=(_doubt(note, suffix),)) for reading in readings]


def _l2_parts() -> tuple[str, ...]:
    return ("normalize", *_LINKED)


def _own_recipe(path: Path) -> tuple[str | None, dict[str, Any], tuple[str, ...]]:
    """Name, parts and doubts that a checkpoint's ``recipe.json`` gives."""
    values = read_table(path)
    try:
        doubts = Recipe.from_dict(values).doubts
    except UsageError as error:
        raise CheckpointError(f"{path}: {error}") from None
    name, parts = _named(values)
    return name, parts, doubts


def _arguments(path: Path | None) -> tuple[dict[str, Any], str]:
    """Arguments of the training run, and why they settle nothing where they do not."""
    if path is None:
        return {}, "there is no training_args.bin"
    try:
        return read_arguments(path), "training_args.bin does not say it"
    except CheckpointError as error:
        return {}, str(error)


def _says_normalized(values: Mapping[str, Any]) -> bool | None:
    """Whether training was with L2: the flag, or the objective that implies it; None = silent."""
    objective = values.get("loss_objective_function")
    if values.get("representation_l2_normalization") is True or objective == "simclr_cosine":
        return True
    silent = "representation_l2_normalization" not in values and objective is None
    return None if silent else False


def _from_arguments(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    names = {"max_query_length": "max_query_length", "max_seq_length": "max_document_length"}
    names |= {"temperature": "temperature"} if recipe.normalize else {}
    for argument, part in names.items():
        value = values.get(argument)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            recipe = recipe.replace(f"training_args.bin ({argument})", **{part: value})
    return recipe


def _doubt(note: str, suffix: str) -> str:
    return (
        f"the checkpoint does not say whether its vectors are L2-normalized ({note}): both "
        f"readings are derived, ance{suffix} (dot product) and dance{suffix} (L2); settle it with "
        f"--recipe ance{suffix} or --recipe dance{suffix} (in compare --a-recipe, --b-recipe)"
    )


def _positive(asked: Mapping[str, Any], part: str) -> bool:
    return part in asked and Recipe().replace("", **{part: asked[part]}).chunk_length > 0


def _overridden(recipe: Recipe, parts: Mapping[str, Any], source: str) -> Recipe:
    """Put options over a recipe; what upstream ties to L2 follows `normalize` if it changes."""
    if not parts:
        return recipe
    named = {part: f"{source} --{part.replace('_', '-')}" for part in parts}
    changed = recipe.replace(source, **parts)
    if changed.normalize != recipe.normalize:
        model = named_recipe("dance" if changed.normalize else "ance")
        linked = _LINKED if recipe.head == "linear_layernorm" else ("similarity",)
        follow = {part: getattr(model, part) for part in linked if part not in parts}
        changed = changed.replace("follows normalize", **follow)
    texts = named if source == "option" else dict.fromkeys(parts, source)
    return dataclasses.replace(changed, sources={**changed.sources, **texts})


def _fitted(recipe: Recipe, files: CheckpointFiles, asked: Mapping[str, Any]) -> Recipe:
    """Check lengths against the positions the checkpoint has; shorten those not asked for."""
    for part in ("max_query_length", "max_document_length"):
        if getattr(recipe, part) == 0:
            raise UsageError(
                f"{files.origin}: {part}: got 0; allowed for upstream checkpoints: 3 or more"
            )
    if files.config is None:
        return recipe
    if files.layout == "dpr":
        limit = read_config(files.config, BERT_DEFAULTS)["max_position_embeddings"]
    else:
        limit = read_config(files.config)["max_position_embeddings"] - _FIRST_POSITION
    if limit < MINIMUM_LENGTH:
        raise CheckpointError(
            f"{files.config}: max_position_embeddings: room for {limit} tokens; needed: at least "
            f"{MINIMUM_LENGTH}"
        )
    recipe = _within(recipe, "max_query_length", limit, asked, files.origin)
    part = "chunk_length" if recipe.chunk_length else "max_document_length"
    return _within(recipe, part, limit, asked, files.origin)


def _within(
    recipe: Recipe, part: str, limit: int, asked: Mapping[str, Any], origin: str
) -> Recipe:
    value = getattr(recipe, part)
    if value <= limit:
        return recipe
    if part in asked or part == "chunk_length":
        raise UsageError(
            f"{origin}: {part}: got {value}; allowed: at most {limit}, the positions it has"
        )
    return recipe.replace(f"{value} cut to the positions of the checkpoint", **{part: limit})
