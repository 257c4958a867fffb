"""From what a user names (checkpoint, store, dump, hub id) to an open space, encoding as needed.

Stores of encoded checkpoints are cached under fingerprints of checkpoint, recipe and
collection: the same comparison twice encodes once.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.errors import CheckpointError, NotComparable, UsageError
from anisotropy.files import cache_directory
from anisotropy.progress import Progress, ProgressFactory
from anisotropy.spaces.dumps.base import DumpOptions
from anisotropy.spaces.dumps.opening import is_dump, open_dump
from anisotropy.spaces.dumps.upstream import label_of
from anisotropy.spaces.dumps.upstream import series as dumps_in
from anisotropy.spaces.store import check_target, is_store, is_whole, open_store

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.encoders import Encoder
    from anisotropy.encoders.processes import Processes
    from anisotropy.encoders.recipe import Recipe
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.spaces.encoding import EncodeOptions

#: How long a process waits for the slowest one to write its shard.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class EncoderOptions:
    """How to read a checkpoint; see ``open_encoder``.

    Attributes
    ----------
    recipe, tokenizer, backbone
        Name or file of the recipe; paths of a single-file checkpoint's other halves.
    overrides
        Single parts of the recipe.
    device, dtype
        Where and in what precision to compute.
    """

    recipe: str | None = None
    tokenizer: str | None = None
    backbone: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "float32"

    @property
    def changes_vectors(self) -> bool:
        """Whether anything that decides the vectors is asked for."""
        chosen = (self.recipe, self.tokenizer, self.backbone)
        return any(chosen) or bool(self.overrides) or self.dtype != "float32"

    def open(self, source: str | Path) -> Encoder:
        """The encoder of a checkpoint, its recipe resolved."""
        from anisotropy.encoders import open_encoder

        return open_encoder(
            source,
            recipe=self.recipe,
            overrides=dict(self.overrides),
            tokenizer=self.tokenizer,
            backbone=self.backbone,
            device=self.device,
            dtype=self.dtype,
        )


def open_space(
    source: str | Path,
    collection: Collection | None = None,
    *,
    encoder: EncoderOptions | None = None,
    encode: EncodeOptions | None = None,
    dump: DumpOptions | None = None,
    label: str | None = None,
    progress: ProgressFactory | None = None,
    tell: Callable[[str], None] | None = None,
    verify: bool = False,
) -> EmbeddingSpace:
    """Open a store or a dump as it is; encode a checkpoint, or find it in the cache.

    Parameters
    ----------
    source
        A store, a dump, a checkpoint folder, zip or file, or a hub id.
    collection
        What to encode; needed for checkpoints. A store uses it for its texts if it is the same;
        a dump takes judgments and texts from it.
    encoder, encode
        How to read and how to encode.
    dump
        What the files of a dump do not say.
    label
        Name in tables; default: the name of the source without its suffix.
    progress
        Given a label, returns a callback for the encoding.
    tell
        Called with a line before waiting for another process that encodes the same.
    verify
        Compare every checksum of a store; of the cache, what is damaged is encoded again.

    Raises
    ------
    UsageError
        If a checkpoint comes without a collection.
    InputError
        If the source cannot be read.
    NotComparable
        If a store is of another collection than the one given.
    """
    path = Path(source)
    if is_store(path):
        refuse_dump_options(source, dump)
        space = _open_whole_store(path, collection, encoder, encode, verify)
    elif is_dump(path):
        space = _open_dump(path, collection, encoder, encode, dump)
    else:
        refuse_dump_options(source, dump)
        report = progress(label or default_label(source)) if progress else None
        space = _open_checkpoint(source, collection, encoder, encode, report, tell, verify)
        space.label = default_label(source)
    space.label = label or space.label
    return space


def holds_vectors(source: str | Path) -> bool:
    """Whether a source is a store or a dump, which needs no collection to be opened."""
    return is_store(Path(source)) or is_dump(Path(source))


#: Not part of a label.
_SUFFIXES = (
    *(".ckpt", ".cp", ".pt", ".pth", ".bin", ".zip", ".npy", ".npz", ".parquet", ".arrow"),
    *(".faiss", ".index", ".pkl", ".pickle", ".safetensors", ".jsonl"),
)


def default_label(source: str | Path) -> str:
    """``ance`` for ``runs/ance.ckpt``; a bare ``checkpoint-20`` is preceded by its folder.

    A file that names a step of an upstream dump gives its folder and the step.
    """
    name = Path(str(source).rstrip("/"))
    step = label_of(name)
    if step is not None:
        return step
    stem = name.stem if name.suffix in _SUFFIXES else name.name
    return f"{name.parent.name}/{stem}" if stem.startswith("checkpoint-") else stem


def expand(sources: Sequence[str]) -> tuple[list[str], list[str]]:
    """Put the checkpoints of a training folder in its place.

    Parameters
    ----------
    sources
        As named by a user.

    Returns
    -------
    tuple of two lists
        The sources, each training folder replaced by its complete ``checkpoint-<step>`` in
        numeric order, a folder with upstream's dumps of several steps by a file of each; a line
        on everything in a training folder that is left out.

    Raises
    ------
    CheckpointError
        If a training folder has no complete checkpoint.
    """
    found: list[str] = []
    notices: list[str] = []
    for source in sources:
        own, lines = _expanded(source)
        found += own
        notices += lines
    return found, notices


def _expanded(source: str) -> tuple[list[str], list[str]]:
    from anisotropy.encoders.series import find_series, is_checkpoint, steps_in

    folder = Path(source)
    dumps = dumps_in(folder)
    if dumps:
        return [str(path) for path in dumps], []
    series = find_series(folder) if folder.is_dir() else None
    if series is not None:
        notices = series.notices()
        if not series.complete:
            raise CheckpointError(f"{source}: no complete checkpoint in it: {notices[-1]}")
        return [str(path) for path in series.complete], notices
    inside = len(steps_in(folder)) if is_checkpoint(folder) else 0
    notice = (
        f"{source}: a checkpoint itself, so the {inside} in it are left out; name them "
        f"({folder}/checkpoint-*) for the series"
    )
    return [source], [notice] if inside else []


def distinct_labels(labels: list[str]) -> list[str]:
    """Number the labels, all of them, where one occurs more than once."""
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label} ({number})" for number, label in enumerate(labels, 1)]


def side_names(labels: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Name of each of two sides: its label, or what the labels of its seeds begin with."""
    a, b = (side[0] if len(side) == 1 else _beginning(side) for side in labels)
    if a == b:
        return (f"{a} (a)", f"{b} (b)") if a else ("a", "b")
    return a or "a", b or "b"


def _beginning(labels: Sequence[str]) -> str:
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*labels, strict=False))
    return "".join(letters[0] for letters in same).rstrip(" -_./(=0123456789")


def _open_whole_store(
    path: Path,
    collection: Collection | None,
    encoder: EncoderOptions | None,
    encode: EncodeOptions | None,
    verify: bool,
) -> EmbeddingSpace:
    if encoder is not None and encoder.changes_vectors:
        raise UsageError(f"{path}: a store has its recipe; recipe options are for checkpoints")
    if encode is not None and encode.documents is not None:
        raise UsageError(f"{path}: a store has its documents; --documents is for checkpoints")
    space = open_store(path, verify=verify)
    known = space.collection_fingerprint
    if collection is not None and known and known != collection.fingerprint:
        raise NotComparable(
            f"{path}: a store of {space.collection_info.get('name')!r} (split "
            f"{space.collection_info.get('split')!r}), not of the collection given, "
            f"{collection.name!r} (split {collection.split!r})"
        )
    for one in (space, space.training):
        if one is not None and known:
            one.collection = collection
    return space


def _open_dump(
    path: Path,
    collection: Collection | None,
    encoder: EncoderOptions | None,
    encode: EncodeOptions | None,
    options: DumpOptions | None,
) -> EmbeddingSpace:
    overrides = dict(encoder.overrides) if encoder is not None else {}
    similarity = overrides.pop("similarity", None)
    if encoder is not None and dataclasses.replace(encoder, overrides=overrides).changes_vectors:
        raise UsageError(
            f"{path}: a dump has its vectors; of the recipe only --similarity is for dumps"
        )
    if encode is not None and encode.documents is not None:
        raise UsageError(f"{path}: a dump has its documents; --documents is for checkpoints")
    options = dataclasses.replace(options or DumpOptions(), similarity=similarity)
    return open_dump(path, options, collection=collection)


def refuse_dump_options(source: str | Path, dump: DumpOptions | None) -> None:
    """Refuse options about a dump where there is none.

    Raises
    ------
    UsageError
        Naming them.
    """
    given = (
        []
        if dump is None
        else [n for n, value in vars(dump).items() if value is not None and n != "split"]
    )
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{source}: is no dump of vectors; {names}: for dumps")


def _open_checkpoint(
    source: str | Path,
    collection: Collection | None,
    encoder_options: EncoderOptions | None,
    encode_options: EncodeOptions | None,
    progress: Progress | None,
    tell: Callable[[str], None] | None,
    verify: bool,
) -> EmbeddingSpace:
    from anisotropy.encoders.histories import read_history
    from anisotropy.spaces.encoding import EncodeOptions, encode_to_cache, store_identity

    if collection is None:
        raise UsageError(f"{source}: a checkpoint needs a collection to encode; give --data")
    encode_options = encode_options or EncodeOptions()
    encoder = (encoder_options or EncoderOptions()).open(source)
    history = read_history(source)
    folders = [
        cache_directory() / "stores" / store_identity(encoder, number, collection, encode_options)
        for number in range(len(encoder.readings))
    ]
    if not all(is_whole(folder, verify=verify) for folder in folders):

        def waiting(folder: Path) -> None:
            if tell is not None:
                tell(f"{source}: waiting for another process that encodes the same into {folder}")

        _tell_precision(encoder, tell)
        encode_to_cache(
            encoder, collection, folders, encode_options, progress, waiting=waiting, verify=verify
        )
    spaces = [open_store(folder, collection=collection) for folder in folders]
    for space, recipe in zip(spaces, encoder.readings, strict=True):
        # Equal parts, but sources and doubts are those of this run, not of the one that encoded.
        space.recipe = recipe.as_dict()
        space.recipe["doubts"] = [*space.recipe["doubts"], *_padding_doubt(recipe, collection)]
        space.history = history
    return _choose_reading(spaces)


def _padding_doubt(recipe: Recipe, collection: Collection) -> list[str]:
    """What is uncertain where a preprocessed folder is padded otherwise than the recipe says."""
    padding = collection.padding_id
    if padding is None or padding == recipe.pad_token_id or not recipe.chunk_length:
        return []
    return [
        f"{collection.name} is padded with id {padding}, the recipe pads with "
        f"{recipe.pad_token_id}, which decides the vectors of chunks of padding alone; a recipe "
        "file with pad_token_id settles it"
    ]


def _choose_reading(readings: list[EmbeddingSpace]) -> EmbeddingSpace:
    """The one reading, or in doubt the one that ranks the judged queries better."""
    if len(readings) == 1:
        return readings[0]
    if not any(readings[0].qrels.values()):
        chosen, numbers = readings[0], "no judged queries: the upstream default is used"
    else:
        values = [_ndcg(space) for space in readings]
        chosen = readings[max(range(len(readings)), key=values.__getitem__)]
        numbers = ", ".join(
            f"{space.recipe['name']} nDCG@10 {value:.4f}"
            for space, value in zip(readings, values, strict=True)
        )
    chosen.recipe["doubts"] = [
        *chosen.recipe.get("doubts", []),
        f"read as {chosen.recipe['name']} ({numbers}); --recipe settles it",
    ]
    return chosen


def _ndcg(space: EmbeddingSpace) -> float:
    from anisotropy.measures import measure_space

    row = measure_space(space, ["nDCG@10"]).row("ranking", "nDCG@10", "recipe")
    return row.value if row is not None else float("nan")


def encode_to_store(
    source: str | Path,
    collection: Collection,
    folder: str | Path,
    *,
    encoder: EncoderOptions | None = None,
    encode: EncodeOptions | None = None,
    progress: ProgressFactory | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Encode a checkpoint into a store of the user's choice; an interrupted one is continued.

    Of several processes that ``torchrun`` or ``accelerate launch`` started each encodes its
    share, on the device that the launcher gives it; the folder must be one that all of them see.

    Returns
    -------
    Path
        The store.

    Raises
    ------
    UsageError
        If the recipe is in doubt: a store has one. If another process writes there.
    StoreError
        If the folder holds something else, or cannot be written.
    """
    from anisotropy.spaces.encoding import encode_collection

    chosen, team = _shared(encoder or EncoderOptions())
    if team.is_main:
        check_target(Path(folder))
    opened = chosen.open(source)
    if len(opened.readings) > 1:
        names = " or ".join(f"--recipe {reading.name}" for reading in opened.readings)
        raise UsageError(f"{source}: {opened.recipe.doubts[0]}; a store has one recipe: {names}")
    callback = progress(default_label(source)) if progress and team.is_main else None
    _tell_precision(opened, tell if team.is_main else None)
    encode_collection(opened, collection, [Path(folder)], encode, callback, team)
    return Path(folder)


def _shared(options: EncoderOptions) -> tuple[EncoderOptions, Processes]:
    """The processes that share the work, and what to encode on in this one."""
    from anisotropy.encoders.processes import Processes, SeveralProcesses, are_several

    if not are_several():
        return options, Processes()
    team = SeveralProcesses(options.device, "encoding", _PATIENCE)
    # Not "cpu:0": weights would be copied to where sums may come out otherwise in the last digit.
    name = "cpu" if team.device.type == "cpu" else str(team.device)
    return dataclasses.replace(options, device=name), team


def _tell_precision(encoder: Encoder, tell: Callable[[str], None] | None) -> None:
    """Say where the precision that was asked for costs time instead of saving it."""
    if tell is None or encoder.recipe.dtype != "bfloat16":
        return
    from anisotropy.encoders.precision import bfloat16_notice
    from anisotropy.engine.devices import checked_device

    if (line := bfloat16_notice(checked_device(encoder.device))) is not None:
        tell(line)
