"""Sentence-transformers and plain transformers models, encoded by the library's own modules."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anisotropy.encoders.configuration import check_layers, read_table
from anisotropy.encoders.encoder import Encoder, Side, Tokens
from anisotropy.encoders.layouts import CheckpointFiles
from anisotropy.encoders.modules_recipe import every_module, module_kinds, route_table
from anisotropy.encoders.modules_text import TASKS, ModulesText
from anisotropy.encoders.recipe import Recipe
from anisotropy.errors import AnisotropyError, CheckpointError, UsageError, reason_of, told_as
from anisotropy.files import fingerprint, sha256_file
from anisotropy.untrusted.safetensors_files import read_safetensors

if TYPE_CHECKING:
    from anisotropy.collection import Document, Query

_HASHED = (".json", ".txt", ".model", ".safetensors", ".bin")
_OURS = ("recipe.json", "training.json")
#: Beside one of these the library leaves torch files alone.
_PREFERRED = ("model.safetensors", "model.safetensors.index.json")


class ModulesEncoder(Encoder):
    """Vectors equal those of ``SentenceTransformer.encode_query`` and ``encode_document``."""

    def __init__(
        self, files: CheckpointFiles, readings: tuple[Recipe, ...], device: str = "cpu"
    ) -> None:
        super().__init__(files, readings, device)
        self._ready: tuple[Any, ModulesText] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every weights, configuration and tokenizer file in the folder.

        Our own record and recipe are left out: the first does not change a vector, and stores
        carry the second themselves.
        """
        folder = self.files.folder
        paths = [path for path in folder.rglob("*") if path.suffix in _HASHED and path.is_file()]
        named = sorted((path.relative_to(folder).as_posix(), path) for path in paths)
        kept = [
            (name, path)
            for name, path in named
            if not name.startswith(("onnx/", "openvino/", ".")) and name not in _OURS
        ]
        return fingerprint(self.files.layout, [(name, sha256_file(path)) for name, path in kept])

    @cached_property
    def dim(self) -> int:
        """Size of the vectors, by encoding one text a side.

        Raises
        ------
        CheckpointError
            If the modules do not fit together, or the sides differ.
        """
        _, text = self._loaded()
        with one_line(self.files.origin):
            queries = self._vectors("queries", text.token_lists("queries", ["a"])).shape[1]
            documents = self._vectors("documents", text.token_lists("documents", ["a"])).shape[1]
        if queries != documents:
            raise CheckpointError(
                f"{self.files.origin}: vectors of {queries} numbers for queries, of {documents} "
                "for documents; needed: the same"
            )
        return int(queries)

    def load(self) -> None:
        """Load the modules now; a model that would start with random tensors is refused."""
        self._loaded()

    def _loaded(self) -> tuple[Any, ModulesText]:
        if self._ready is None:
            from anisotropy.engine.devices import checked_device

            self.device = checked_device(self.device)
            model = load_modules(self.files, self.recipe)
            with one_line(self.files.origin):
                text = ModulesText(model.to(self.device).eval(), self.recipe, self.files.origin)
            self._ready = model, text
        return self._ready

    def tokenize(self, side: Side, items: Sequence[Query] | Sequence[Document]) -> list[list[int]]:
        """Token ids of each item, special tokens and prompt included, cut to the length."""
        _, text = self._loaded()
        return text.tokenize(side, items)

    def encode_tokens(self, side: Side, tokens: Tokens) -> list[np.ndarray]:
        """Vectors of one batch; see `Encoder.encode_tokens`."""
        self._loaded()
        if not len(tokens):
            return [np.empty((0, self.dim), dtype=np.float32)]
        return [self._vectors(side, tokens)]

    def _vectors(self, side: Side, tokens: Tokens) -> np.ndarray:
        import torch

        model, text = self._loaded()
        with torch.inference_mode():
            features = text.features(side, tokens, self.device)
            output = model(features, task=TASKS[side])["sentence_embedding"].float()
            if model.truncate_dim is not None:
                output = output[..., : model.truncate_dim]
            if self.recipe.normalize and not self._normalizes:
                output = torch.nn.functional.normalize(output, dim=-1)
            vectors: np.ndarray = output.cpu().numpy()
        return vectors

    @cached_property
    def _normalizes(self) -> bool:
        """Whether the modules normalize themselves."""
        model, _ = self._loaded()
        return has_normalize(model)


def load_modules(files: CheckpointFiles, recipe: Recipe) -> Any:
    """Return a ``SentenceTransformer`` on the CPU that follows a recipe.

    Parameters
    ----------
    files
        Of layout ``sentence-transformers`` or ``transformers``.
    recipe
        Its pooling, normalization and dtype are put on the modules.

    Raises
    ------
    CheckpointError
        If it cannot be loaded, needs remote code, or a tensor is missing or not finite.
    UsageError
        If the modules cannot follow the recipe.
    """
    if files.layout == "sentence-transformers":
        _check_activations(files)
    for path in _configurations(files):
        check_layers(read_table(path), path)
    _check_torch_files(files.folder)
    with one_line(files.origin), quiet():
        model = _load_model(files, recipe)
        _check_weights(model, files)
        return _adapted(model, recipe)


@contextlib.contextmanager
def one_line(origin: str) -> Iterator[None]:
    """Turn what the model libraries raise into one line."""
    try:
        yield
    except AnisotropyError:
        raise
    except Exception as error:
        if "custom code" in str(error) or "trust_remote_code" in str(error):
            raise CheckpointError(
                f"{origin}: comes with code of its own, which is never executed; allowed: models "
                "that transformers and sentence-transformers have themselves"
            ) from None
        raise CheckpointError(f"{origin}: cannot be loaded ({reason_of(error)})") from None


def _configurations(files: CheckpointFiles) -> list[Path]:
    """The ``config.json`` of every module."""
    folders = [files.folder]
    if files.layout == "sentence-transformers":
        folders = [folder for _, folder in every_module(files.folder)]
    return [path for folder in folders if (path := folder / "config.json").is_file()]


def _check_activations(files: CheckpointFiles) -> None:
    """Refuse an activation that the library would replace by Tanh, because it is not torch's."""
    for kind, folder in every_module(files.folder):
        config = folder / "config.json"
        if kind != "Dense" or not config.is_file():
            continue
        name = read_table(config).get("activation_function", "torch.")
        if not str(name).startswith("torch."):
            raise CheckpointError(
                f"{config}: activation {str(name)[:80]!r} is code of its own, which is never "
                "executed; allowed: those of torch"
            )


def _check_torch_files(folder: Path) -> None:
    """Read the torch files that the library is to load, with our reader, before it does.

    Raises
    ------
    CheckpointError
        If one is damaged or names more than tensors.
    """
    from anisotropy.encoders.weights import read_content

    for path in sorted(folder.rglob("pytorch_model*.bin")):
        if not any((path.parent / name).is_file() for name in _PREFERRED):
            read_content(path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
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
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    safe = {"local_files_only": True, "trust_remote_code": False}
    backbone = Transformer(folder, model_kwargs=safe, processor_kwargs=safe, config_kwargs=safe)
    pooling = Pooling(backbone.get_embedding_dimension(), recipe.pooling)
    return SentenceTransformer(modules=[backbone, pooling], device="cpu")


def has_normalize(model: Any) -> bool:
    """Whether a module of the model gives vectors unit length."""
    from sentence_transformers.sentence_transformer.modules import Normalize

    return any(isinstance(module, Normalize) for module in model.modules())


def _adapted(model: Any, recipe: Recipe) -> Any:
    """Apply the recipe's pooling, normalization and dtype to the modules."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling

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
        if has_normalize(model):
            raise UsageError("normalize: fixed by the routes of this model")
    if recipe.dtype == "bfloat16":
        _to_bfloat16(model)
    return model


def _set_pooling(pooling: Any, mode: str) -> None:
    if not isinstance(pooling.pooling_mode, str):
        raise UsageError("pooling: this model concatenates several; it cannot be changed")
    pooling.pooling_mode = mode


def _to_bfloat16(model: Any) -> None:
    from anisotropy.encoders.precision import run_in_bfloat16

    for module in _backbones(model):
        run_in_bfloat16(module.auto_model)
        module.register_forward_hook(_widen)


def _widen(module: Any, inputs: Any, output: dict[str, Any]) -> dict[str, Any]:
    """Pooling sums in float32 whatever the last layer gives."""
    del module, inputs
    states = output.get("token_embeddings")
    if states is not None:
        output["token_embeddings"] = states.float()
    return output


def _backbones(model: Any) -> list[Any]:
    return [module for module in model.modules() if hasattr(module, "auto_model")]


def _check_weights(model: Any, files: CheckpointFiles) -> None:
    """Refuse tensors that are random because the file lacks them, and NaN or infinities."""
    import torch

    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{files.origin}: NaN or infinity in {name}")
    backbones = _backbones(model)
    places = backbone_places(model, files)
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


def backbone_places(model: Any, files: CheckpointFiles) -> dict[int, Path]:
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
    """Return the tensors no file holds; the slow way asks the library only where names differ."""
    known = file_names(folder)
    wanted = [name for name in model.state_dict() if "pooler." not in name]
    longer = {tail for name in known for tail in _tails(name)}
    absent = [n for n in wanted if n not in longer and not any(t in known for t in _tails(n))]
    return loaded_names(model, folder)[0] if absent else []


def loaded_names(model: Any, folder: Path) -> tuple[list[str], set[str]]:
    """Tensors that the library misses in a folder, and those it leaves out; loads the weights."""
    _, report = type(model).from_pretrained(
        folder, output_loading_info=True, local_files_only=True, trust_remote_code=False
    )
    missing = sorted(name for name in report["missing_keys"] if "pooler." not in name)
    return missing, set(report["unexpected_keys"])


def _tails(name: str) -> list[str]:
    """Return a tensor's name and what is left of it without each prefix."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts) - 1)]


def file_names(folder: Path) -> set[str]:
    """Names of the tensors in the weights files of a folder."""
    from anisotropy.encoders.keys import unwrapped
    from anisotropy.encoders.weights import read_content

    names: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with told_as(CheckpointError):
            names |= set(read_safetensors(path)[0])
    if not names:
        for path in folder.glob("pytorch_model*.bin"):
            names |= set(unwrapped(read_content(path), str(path)))
    return {name.replace("gamma", "weight").replace("beta", "bias") for name in names}
