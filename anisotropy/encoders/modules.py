"""Sentence-transformers and plain transformers models, encoded by the library's own modules."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.encoders.encoder import Encoder, Side, Tokens
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.modules_recipe import module_kinds, route_table
from anisotropy.encoders.recipe import Recipe
from anisotropy.encoders.texts import document_text, query_text
from anisotropy.errors import AnisotropyError, CheckpointError, UsageError, one_of
from anisotropy.files import fingerprint, sha256_file

if TYPE_CHECKING:
    from anisotropy.collection import Document, Query

_TASKS = {"queries": "query", "documents": "document"}
_HASHED = (".json", ".txt", ".model", ".safetensors", ".bin")
_SLICE = 512
_KNOWN_INPUTS = {
    "input_ids",
    "attention_mask",
    "token_type_ids",
    "modality",
    "task",
    "prompt_length",
    "offsets",
}


class ModulesEncoder(Encoder):
    """Vectors equal those of ``SentenceTransformer.encode_query`` and ``encode_document``."""

    def __init__(
        self, files: CheckpointFiles, readings: tuple[Recipe, ...], device: str = "cpu"
    ) -> None:
        super().__init__(files, readings, device)
        self._model: Any = None
        self._prompt_lengths: dict[str, Any] = {}
        self._token_types = False
        self._normalize = False

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every weights, configuration and tokenizer file in the folder."""
        folder = self.files.folder
        paths = [path for path in folder.rglob("*") if path.suffix in _HASHED and path.is_file()]
        named = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
        kept = [(n, p) for n, p in named if not n.startswith(("onnx/", "openvino/", "."))]
        return fingerprint(self.files.layout, [(name, sha256_file(path)) for name, path in kept])

    @cached_property
    def dim(self) -> int:
        """Size of the vectors."""
        self._loaded()
        ids = self._token_lists("queries", ["a"])
        return int(self._vectors("queries", ids).shape[1])

    def load(self) -> None:
        """Load the modules now; a model that would start with random tensors is refused."""
        self._loaded()

    def _loaded(self) -> Any:
        if self._model is None:
            from anisotropy.encoders.devices import checked_device

            self.device = checked_device(self.device)
            with _one_line(self.files.origin), _quiet():
                model = _load_model(self.files, self.recipe)
                _check_weights(model, self.files)
                self._normalize = self.recipe.normalize and not _has_normalize(model)
                self._model = _adapted(model, self.recipe).to(self.device).eval()
                for side in _TASKS:
                    self._probe(side)
        return self._model

    def _probe(self, side: str) -> None:
        """Learn what the first module makes of a text on this side."""
        features = self._preprocess(side, ["a"])
        unknown = set(features) - _KNOWN_INPUTS
        if unknown or "input_ids" not in features:
            raise CheckpointError(
                f"{self.files.origin}: its first module needs {', '.join(sorted(unknown))} "
                "besides token ids; allowed: text models"
            )
        types = features.get("token_type_ids")
        if types is not None and bool(types.any()):
            raise CheckpointError(f"{self.files.origin}: needs token types other than 0")
        self._token_types = types is not None
        self._prompt_lengths[side] = features.get("prompt_length")

    def _preprocess(self, side: str, texts: list[str]) -> dict[str, Any]:
        recipe = self.recipe
        limit = recipe.max_length(side)
        prompt = recipe.query_prompt if side == "queries" else recipe.document_prompt
        options = {"processing_kwargs": {"text": {"max_length": limit}}} if limit else {}
        features: dict[str, Any] = self._model.preprocess(
            texts, prompt=prompt or None, task=_TASKS[side], **options
        )
        return features

    def tokenize(self, side: Side, items: Sequence[Query] | Sequence[Document]) -> list[list[int]]:
        """Token ids of each item, special tokens and prompt included, cut to the length."""
        if side not in _TASKS:
            raise UsageError(f"side: {one_of(side, _TASKS)}")
        bare = dataclasses.replace(self.recipe, query_prompt="", document_prompt="")
        make: Any = query_text if side == "queries" else document_text
        texts = [make(item, bare) for item in items]
        if self.recipe.lowercase:
            texts = [text.lower() for text in texts]
        self._loaded()
        found: list[list[int]] = []
        for start in range(0, len(texts), _SLICE):
            found += self._token_lists(side, texts[start : start + _SLICE])
        return found

    def _token_lists(self, side: str, texts: list[str]) -> list[list[int]]:
        features = self._preprocess(side, texts)
        ids = features["input_ids"]
        if "offsets" in features:  # bags of tokens, one after the other
            ends = [*features["offsets"].tolist()[1:], len(ids)]
            starts = features["offsets"].tolist()
            return [ids[a:b].tolist() for a, b in zip(starts, ends, strict=True)]
        mask = features["attention_mask"].bool()
        return [row[real].tolist() for row, real in zip(ids, mask, strict=True)]

    def encode_tokens(self, side: Side, tokens: Tokens) -> list[np.ndarray]:
        """Vectors of one batch; see `Encoder.encode_tokens`."""
        self._loaded()
        if not len(tokens):
            return [np.empty((0, self.dim), dtype=np.float32)]
        return [self._vectors(side, tokens)]

    def _vectors(self, side: Side, tokens: Tokens) -> np.ndarray:
        import torch

        model, task = self._loaded(), _TASKS[side]
        with torch.inference_mode():
            features = self._features(side, tokens)
            output = model(features, task=task)["sentence_embedding"].float()
            if model.truncate_dim is not None:
                output = output[..., : model.truncate_dim]
            if self._normalize:
                output = torch.nn.functional.normalize(output, dim=-1)
            vectors: np.ndarray = output.cpu().numpy()
        return vectors

    def _features(self, side: Side, tokens: Tokens) -> dict[str, Any]:
        import torch

        tokenizer = self._model.tokenizer
        features: dict[str, Any] = {"modality": "text", "task": _TASKS[side]}
        if self._bags:
            ends = np.cumsum([0] + [len(ids) for ids in tokens])
            flat = [index for ids in tokens for index in ids]
            features["input_ids"] = torch.tensor(flat, dtype=torch.long, device=self.device)
            features["offsets"] = torch.from_numpy(ends[:-1]).to(self.device)
            return features
        left = getattr(tokenizer, "padding_side", "right") == "left"
        pad = tokenizer.pad_token_id or 0
        ids, mask = _padded(tokens, pad, left)
        features["input_ids"] = torch.from_numpy(ids).to(self.device)
        features["attention_mask"] = torch.from_numpy(mask).to(self.device)
        if self._token_types:
            features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        if self._prompt_lengths.get(side) is not None:
            features["prompt_length"] = self._prompt_lengths[side]
        return features

    @cached_property
    def _bags(self) -> bool:
        return "offsets" in self._preprocess("queries", ["a"])


def _padded(tokens: Tokens, pad: int, left: bool) -> tuple[np.ndarray, np.ndarray]:
    lengths = [len(ids) for ids in tokens]
    ids = np.full((len(lengths), max(lengths)), pad, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, (item, length) in enumerate(zip(tokens, lengths, strict=True)):
        slots = slice(ids.shape[1] - length, None) if left else slice(0, length)
        ids[row, slots] = item
        mask[row, slots] = 1
    return ids, mask


@contextlib.contextmanager
def _one_line(origin: str) -> Iterator[None]:
    """Turn what the model libraries raise into one line."""
    try:
        yield
    except AnisotropyError:
        raise
    except Exception as error:
        lines = (str(error) or type(error).__name__).strip().splitlines()
        raise CheckpointError(f"{origin}: cannot be loaded ({lines[0][:200]})") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence load reports and progress bars of the model libraries; errors stay."""
    import logging

    from transformers.utils import logging as library

    ours = logging.getLogger("sentence_transformers")
    level, other, bars = library.get_verbosity(), ours.level, library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    ours.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.set_verbosity(level)
        ours.setLevel(other)
        if bars:
            library.enable_progress_bar()


def _load_model(files: CheckpointFiles, recipe: Recipe) -> Any:
    from sentence_transformers import SentenceTransformer

    folder = str(files.folder)
    if files.layout == "sentence-transformers":
        return SentenceTransformer(
            folder, device="cpu", trust_remote_code=False, local_files_only=True
        )
    from sentence_transformers.models import Pooling, Transformer

    safe = {"local_files_only": True, "trust_remote_code": False}
    backbone = Transformer(folder, model_kwargs=safe, processor_kwargs=safe, config_kwargs=safe)
    pooling = Pooling(backbone.get_embedding_dimension(), recipe.pooling)
    return SentenceTransformer(modules=[backbone, pooling], device="cpu")


def _has_normalize(model: Any) -> bool:
    from sentence_transformers.models import Normalize

    return any(isinstance(module, Normalize) for module in model.modules())


def _adapted(model: Any, recipe: Recipe) -> Any:
    """Apply the recipe's pooling, normalization and dtype to the modules."""
    from sentence_transformers.models import Normalize, Pooling

    poolings = [module for module in model if isinstance(module, Pooling)]
    if recipe.pooling != "modules":
        if len(poolings) != 1:
            raise UsageError("pooling: fixed by the modules of this model")
        if poolings[0].pooling_mode != recipe.pooling:
            _set_pooling(poolings[0], recipe.pooling)
    if not recipe.normalize:
        for name, module in list(model.named_children()):
            if isinstance(module, Normalize):
                delattr(model, name)
        if _has_normalize(model):
            raise UsageError("normalize: fixed by the routes of this model")
    if recipe.dtype == "bfloat16":
        _to_bfloat16(model)
    return model


def _set_pooling(pooling: Any, mode: str) -> None:
    if not isinstance(pooling.pooling_mode, str):
        raise UsageError("pooling: this model concatenates several; it cannot be changed")
    pooling.pooling_mode = mode


def _to_bfloat16(model: Any) -> None:
    import torch

    def widen(module: Any, inputs: Any, output: dict[str, Any]) -> dict[str, Any]:
        states = output.get("token_embeddings")
        if states is not None:
            output["token_embeddings"] = states.float()
        return output

    for module in _backbones(model):
        module.auto_model.to(torch.bfloat16)
        module.register_forward_hook(widen)


def _backbones(model: Any) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "auto_model")]


def _check_weights(model: Any, files: CheckpointFiles) -> None:
    """Refuse tensors that are random because the file lacks them, and NaN or infinities."""
    import torch

    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{files.origin}: NaN or infinity in {name}")
    backbones = _backbones(model)
    places = _backbone_places(model, files)
    for backbone in backbones:
        folder = places.get(id(backbone))
        if folder is None:
            raise CheckpointError(
                f"{files.origin}: cannot tell which weights belong to its "
                f"{type(backbone).__name__}; allowed: Transformer modules, also inside a Router"
            )
        missing = _missing(backbone.auto_model, folder)
        if missing:
            where = f"{files.origin} ({folder.name})" if len(backbones) > 1 else files.origin
            shown = ", ".join(missing[:4]) + (" ..." if len(missing) > 4 else "")
            raise CheckpointError(f"{where}: missing tensors: {shown}")


def _backbone_places(model: Any, files: CheckpointFiles) -> dict[int, Path]:
    """Folder of the weights of each backbone, by the ``id`` of the module."""
    if files.layout != "sentence-transformers":
        return {id(backbone): files.folder for backbone in _backbones(model)}
    folders = [path for _, path in module_kinds(files.folder)]
    return dict(_placed(list(model), folders))


def _placed(modules: Iterable[Any], folders: Iterable[Path]) -> Iterator[tuple[int, Path]]:
    for module, folder in zip(modules, folders, strict=True):
        if not hasattr(module, "sub_modules"):
            yield id(module), folder
            continue
        for route, names in route_table(folder, "structure").items():
            yield from _placed(module.sub_modules[route], [folder / name for name in names])


def _missing(model: Any, folder: Path) -> list[str]:
    """Names of tensors no file holds; the slow way asks the library only where names differ."""
    known = _file_names(folder)
    wanted = [name for name in model.state_dict() if "pooler." not in name]
    longer = {tail for name in known for tail in _tails(name)}
    absent = [n for n in wanted if n not in longer and not any(t in known for t in _tails(n))]
    if not absent:
        return []
    _, report = type(model).from_pretrained(
        folder, output_loading_info=True, local_files_only=True, trust_remote_code=False
    )
    return sorted(name for name in report["missing_keys"] if "pooler." not in name)


def _tails(name: str) -> list[str]:
    """Return a tensor's name and what is left of it without each prefix."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts) - 1)]


def _file_names(folder: Path) -> set[str]:
    from anisotropy.encoders.recognition import safetensors_header
    from anisotropy.encoders.weights import read_state_dict

    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        names |= set(safetensors_header(path))
    if not names:
        for path in folder.glob("pytorch_model*.bin"):
            names |= set(read_state_dict(path))
    return {name.replace("gamma", "weight").replace("beta", "bias") for name in names}
