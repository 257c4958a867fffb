"""What ``compare``, ``analyze`` and ``encode`` share: options to library values, and progress."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.cli.options import FORMATS, recipe_overrides
from anisotropy.errors import UsageError, one_of
from anisotropy.progress import ProgressFactory, encoding_bars, say_line, terminal_bar

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.opening import EncoderOptions
    from anisotropy.results import Results
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.spaces.dumps.base import DumpOptions
    from anisotropy.spaces.encoding import EncodeOptions
    from anisotropy.transforms import Transform
    from anisotropy.workflow import AnalysisOptions


def teller(quiet: bool) -> Callable[[str], None] | None:
    """A function that says a line on stderr; None when quiet."""
    if quiet:
        return None
    return say_line


def progress_bars(quiet: bool) -> ProgressFactory | None:
    """Given a label, a callback that draws a bar a side on stderr; None when quiet."""
    return None if quiet else encoding_bars(terminal_bar)


def slug(names: Sequence[str]) -> str:
    """Name of the folder of a comparison."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in "-vs-".join(names))


def open_side(
    options: dict[str, Any],
    source: str,
    side: str | None,
    label: str,
    collection: Collection | None,
    encode: EncodeOptions,
) -> EmbeddingSpace:
    """Open or encode a space as the options say; of side ``a`` or ``b``, as those of that side."""
    from anisotropy.opening import open_space
    from anisotropy.spaces.dumps import upstream

    dump = dump_options(options, side)
    if options.get("negatives") is not None and not upstream.find(Path(source)):
        dump = dataclasses.replace(dump, offsets=None)  # they name what the negatives are
    return open_space(
        source,
        collection,
        encoder=encoder_options(options, side),
        encode=encode,
        dump=dump,
        label=label,
        progress=progress_bars(options["quiet"]),
        tell=teller(options["quiet"]),
        verify=options["verify"],
    )


def open_data(options: dict[str, Any], sources: Sequence[str]) -> Collection | None:
    """The collection that ``--data`` and ``--split`` name.

    Without ``--data`` it is ``docstrings`` where there is a checkpoint to encode; stores and dumps
    alone need none. What was decided is put down in `options`.
    """
    from anisotropy.collection import open_collection
    from anisotropy.opening import holds_vectors

    if options["data"] is None:
        others = [source for source in sources if not holds_vectors(source)]
        if not others:
            return None
        for source in others:
            _check_readable(source)
        options["data"] = "docstrings"
    return open_collection(
        options["data"], split=options["split"], progress=teller(options["quiet"])
    )


def _check_readable(source: str) -> None:
    """Refuse what is no checkpoint before the built-in collection is gathered for it."""
    from anisotropy.encoders.hub import is_hub_id
    from anisotropy.encoders.layouts import recognize_source

    if Path(source).exists() or not is_hub_id(source):
        recognize_source(source)


def prepare_out(folder: Path) -> None:
    """Make sure before any work that results can be written; no folder is left that is new."""
    made: list[Path] = []
    try:
        made = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"--out {folder}: cannot be written to ({error.strerror})") from None
    finally:
        for one in made:
            with contextlib.suppress(OSError):
                one.rmdir()


def encoder_options(options: Mapping[str, Any], side: str | None = None) -> EncoderOptions:
    """How to read a checkpoint; ``--a-recipe`` and so on go before ``--recipe``."""
    from anisotropy.opening import EncoderOptions

    return EncoderOptions(
        recipe=_of_side(options, "recipe", side),
        tokenizer=_of_side(options, "tokenizer", side),
        backbone=_of_side(options, "backbone", side),
        overrides=recipe_overrides(options),
        device=options["device"],
        dtype=options["dtype"],
    )


def _of_side(options: Mapping[str, Any], name: str, side: str | None) -> Any:
    own = options.get(f"{side}_{name}") if side else None
    return own if own is not None else options[name]


def dump_options(options: Mapping[str, Any], side: str | None = None) -> DumpOptions:
    """What the files of a dump do not say; ``--a-queries`` and so on go before ``--queries``."""
    from anisotropy.spaces.dumps.base import DumpOptions

    def path(name: str) -> Path | None:
        value = options["qrels"] if name == "qrels" else _of_side(options, name, side)
        return None if value is None else Path(value)

    return DumpOptions(
        queries=path("queries"),
        ids=path("ids"),
        query_ids=path("query_ids"),
        qrels=path("qrels"),
        offsets=path("offsets"),
        scale=_of_side(options, "scale", side),
        field=_of_side(options, "field", side),
        split=options.get("split"),
    )


def encode_options(options: Mapping[str, Any]) -> EncodeOptions:
    """How to encode."""
    from anisotropy.spaces.encoding import EncodeOptions
    from anisotropy.spaces.store import SHARD_ITEMS

    items = options.get("shard_size")
    return EncodeOptions(
        store_dtype=options["store_dtype"],
        batch_tokens=options["batch_size"],
        documents=_count(options["documents"]),
        seed=options.get("seed", 0),
        shard_items=SHARD_ITEMS if items is None else items,
    )


def _count(text: Any) -> int | None:
    if str(text) == "all":
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--documents: got {text!r}; allowed: all, or a whole number") from None


def analysis_options(options: Mapping[str, Any]) -> AnalysisOptions:
    """What to measure and draw."""
    from anisotropy.measures import split_list
    from anisotropy.workflow import AnalysisOptions

    measures: str = options["measures"]
    maps: Any = () if options["projection"] == "none" else split_list(options["projection"])
    return AnalysisOptions(
        measures=None if measures == "default" else tuple(split_list(measures)),
        projections=tuple(maps),
        seed=options["seed"],
        on_mismatch=options.get("on_mismatch", "error"),
        perplexity=options["perplexity"],
        relevance_level=options["relevance_level"],
        exact=options["exact"],
        sample=options["sample"],
        relative_error=options["relative_error"],
    )


def transforms(texts: Sequence[str]) -> list[Transform]:
    """The transforms that options name, without repeats; unknown ones are refused."""
    from anisotropy.transforms import parse

    return list(dict.fromkeys(parse(text) for text in texts))


def check_format(options: Mapping[str, Any]) -> None:
    """Refuse an unknown ``--format`` before any work is done."""
    if options["format"] not in FORMATS:
        raise UsageError(f"--format: {one_of(options['format'], FORMATS)}")


def deliver(results: Results, folder: Path, options: Mapping[str, Any], command: str) -> None:
    """Write the results folder and print the table."""
    from anisotropy.cli.options import write_config
    from anisotropy.report import format_results
    from anisotropy.workflow import write

    written = write(results, folder)
    write_config(folder, command, options)
    print(format_results(results, options["format"]))
    if not options["quiet"]:
        print(f"\nreport: {written[0]}", file=sys.stderr)
