"""A backbone of any model library under upstream's head, to go on training it.

With h = head(trunk(text)) and LN = ``norm``, vectors are read as in `upstream`. On a model that
has no such head it is put on so that it changes as little as it can: the linear layer is the
identity, the LayerNorm has weight 1 and bias 0. What that changes before the first step is the
mean of each vector, and its length: under unit length nothing else, and for documents that skip
the LayerNorm nothing at all. On all-MiniLM-L6-v2 nDCG@10 moved by less than 0.001 (SciFact 0.6239
to 0.6248, Cranfield 0.3776 to 0.3774, the same 99.9% of top tens, whatever the head's reading).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.modules import backbone_places, file_names, load_modules, one_line
from anisotropy.encoders.modules_recipe import POOLED, module_kinds, stated_head
from anisotropy.encoders.modules_text import ModulesText
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.upstream import keep_layers, read_head
from anisotropy.errors import CheckpointError, UsageError

POOLINGS = ("mean", "cls", "max")
PUT_ON = "put on the start: linear layer the identity, LayerNorm with weight 1 and bias 0"


class HeadedModel(nn.Module):
    """Modules of sentence-transformers up to a pooled state, a linear layer, a LayerNorm.

    Parameters
    ----------
    trunk
        Transformer, Pooling, then any number of Dense.
    head, norm
        Dense and LayerNorm of sentence-transformers.
    """

    def __init__(self, trunk: Sequence[nn.Module], head: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk)
        self.head = head
        self.norm = norm

    @property
    def dim(self) -> int:
        """Size of the vectors."""
        return int(self.head.get_embedding_dimension())  # type: ignore[operator]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def _layernorm(self) -> nn.Module:
        """The layer inside the module, which would want a table of features."""
        return self.norm.norm  # type: ignore[return-value]

    def forward(self, features: dict[str, Any]) -> Tensor:
        """(B, dim) head output before LayerNorm, from `ModulesText.features`."""
        output: Tensor = self.head(self.trunk(features))[POOLED]
        return output

    def query(self, head: Tensor, recipe: Recipe) -> Tensor:
        """(B, dim) query vectors from `forward`'s output."""
        return read_head(head, self._layernorm, recipe, layernorm=True)

    def document(self, head: Tensor, recipe: Recipe) -> Tensor:
        """(B, dim) document vectors from `forward`'s output."""
        return read_head(head, self._layernorm, recipe, layernorm=recipe.document_layernorm)


def load_headed(
    files: CheckpointFiles, recipe: Recipe, *, layers: int = 0
) -> tuple[HeadedModel, ModulesText, Recipe]:
    """Model, texts and recipe of a sentence-transformers or transformers model, to train it.

    Parameters
    ----------
    files, recipe
        The recognized model and its recipe.
    layers
        Only the first so many layers of the backbone are kept; 0 = all.

    Returns
    -------
    tuple of HeadedModel, ModulesText, Recipe
        In float32 on the CPU, in evaluation mode; the recipe with the head, and with unit vectors
        where the model is scored by the cosine.

    Raises
    ------
    CheckpointError
        If it is not a Transformer with one pooling, or cannot be loaded.
    UsageError
        If it has fewer layers than asked for.
    """
    _check_modules(files)
    stated = recipe.head == "linear_layernorm"
    recipe = headed_recipe(recipe, files.origin)
    model = load_modules(files, recipe)
    if model.truncate_dim is not None:
        raise CheckpointError(f"{files.origin}: cuts its vectors; allowed to train: whole vectors")
    trunk, head, norm = _parts(model, stated)
    folder = backbone_places(model, files)[id(trunk[0])]
    keep_layers(trunk[0].auto_model, layers, files.origin)
    settle_pooler(trunk[0].auto_model, file_names(folder))
    _check_lengths(recipe, trunk[0].auto_model)
    with one_line(files.origin):
        text = ModulesText(model, recipe, files.origin)
    return HeadedModel(trunk, head, norm).float().eval(), text, recipe


def headed_recipe(recipe: Recipe, origin: str) -> Recipe:
    """Return the recipe of a model once it has upstream's head.

    Raises
    ------
    CheckpointError
        If its pooling cannot be trained.
    """
    if recipe.pooling not in POOLINGS:
        raise CheckpointError(
            f"{origin}: pooling: got {recipe.pooling!r}; allowed to train: {', '.join(POOLINGS)}"
        )
    recipe = dataclasses.replace(recipe, name="sentence-transformers")  # the layout it is saved in
    if recipe.head == "linear_layernorm":
        return recipe
    recipe = recipe.replace(PUT_ON, head="linear_layernorm", document_layernorm=True)
    if recipe.similarity == "cosine" and not recipe.normalize:
        recipe = recipe.replace("scored by the cosine", normalize=True)
    return recipe


def _check_modules(files: CheckpointFiles) -> None:
    """Refuse what is not one Transformer with one pooling, by the small files alone."""
    if files.layout != "sentence-transformers":
        return
    kinds = module_kinds(files.folder)
    found = body = [kind for kind, _ in kinds]
    if body[-1:] == ["Normalize"]:
        body = body[:-1]
    if stated_head(kinds) is not None:
        body = body[:-2]
    if body[:2] != ["Transformer", "Pooling"] or set(body[2:]) - {"Dense"}:
        raise CheckpointError(
            f"{files.origin}: got the modules {', '.join(found)}; allowed to train: Transformer, "
            "Pooling, any Dense, Normalize, and the head that training puts on them"
        )


def _parts(model: Any, stated: bool) -> tuple[list[Any], Any, Any]:
    """Trunk, linear layer and LayerNorm of a model; new ones where it has none."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Router

    modules = [module for module in model if not isinstance(module, Normalize)]
    if not stated:
        return modules, *_identity_head(int(modules[-1].get_embedding_dimension()))
    *trunk, head, last = modules
    return trunk, head, last.sub_modules["query"][0] if isinstance(last, Router) else last


def _identity_head(dim: int) -> tuple[Any, Any]:
    """Linear layer that is the identity, and a LayerNorm with weight 1 and bias 0."""
    from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm

    with torch.random.fork_rng(devices=[]):  # Dense draws weights, which are replaced
        head = Dense(
            dim, dim, activation_function=nn.Identity(),
            init_weight=torch.eye(dim), init_bias=torch.zeros(dim),
        )  # fmt: skip
    return head, LayerNorm(dim)


def settle_pooler(backbone: Any, stored: set[str]) -> None:
    """Keep a pooler of the file as it is, and drop a random one: no vector passes it."""
    if getattr(backbone, "pooler", None) is None:
        return
    if any("pooler." in name for name in stored):
        backbone.pooler.requires_grad_(False)
    else:
        backbone.pooler = None


def _check_lengths(recipe: Recipe, backbone: Any) -> None:
    """Refuse lengths above the positions that the backbone has."""
    limit = getattr(backbone.config, "max_position_embeddings", None)
    table = getattr(getattr(backbone, "embeddings", None), "position_embeddings", None)
    if limit is None:
        return
    if table is not None and table.padding_idx is not None:  # RoBERTa counts from there
        limit -= table.padding_idx + 1
    for part in ("max_query_length", "max_document_length"):
        if getattr(recipe, part) > limit:
            got = getattr(recipe, part)
            raise UsageError(f"{part}: got {got}; allowed: at most {limit}, the positions it has")


def as_sentence_transformer(model: HeadedModel, recipe: Recipe) -> Any:
    """Return a copy of a model, in float32 on the CPU, as sentence-transformers has it.

    Parameters
    ----------
    model
        Unchanged.
    recipe
        How its head is read; prompts, similarity and the longer of the maximum lengths go along.

    Raises
    ------
    UsageError
        If documents skip the LayerNorm without unit length, which the library's modules have no
        route for.
    """
    from sentence_transformers import SentenceTransformer

    own = copy.deepcopy(model).to("cpu", torch.float32).eval()
    settle_tokenizer(own.trunk[0].tokenizer, recipe)
    prompts = {"query": recipe.query_prompt, "document": recipe.document_prompt}
    return SentenceTransformer(
        modules=[*own.trunk, own.head, *_reading(own.norm, recipe)],
        device="cpu",
        prompts=prompts,
        similarity_fn_name=recipe.similarity,
    )


def _reading(norm: nn.Module, recipe: Recipe) -> list[Any]:
    """Modules after the linear layer."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Router

    if recipe.document_layernorm:
        return [norm, Normalize()] if recipe.normalize else [norm]
    check_head(recipe)
    routes = {"query": [norm, Normalize()], "document": [Normalize()]}
    # without a default, or plain encode() would silently take one side's route
    return [Router(routes, default_route=None, allow_empty_key=False)]


def check_head(recipe: Recipe) -> None:
    """Refuse the one way to read the head that cannot be saved.

    Raises
    ------
    UsageError
        If documents skip the LayerNorm without unit length.
    """
    if not (recipe.document_layernorm or recipe.normalize):
        raise UsageError("document_layernorm: got False; allowed with normalize False: True")


def settle_tokenizer(tokenizer: Any, recipe: Recipe) -> None:
    """State the maximum length; forget the lengths of the texts it happened to see last."""
    lengths = recipe.max_query_length, recipe.max_document_length
    if all(lengths):
        tokenizer.model_max_length = max(lengths)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is not None:
        fast.no_truncation()
        fast.no_padding()
