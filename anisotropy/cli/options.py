"""Options that commands share, and the file they may come from.

Parsers leave out what was not given, so that the resolved configuration is: defaults, then the
file named by ``--config``, then the command line.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anisotropy.errors import InputError, UsageError, one_of, shown

#: Parts of the recipe that have an option of their own.
RECIPE_PARTS = (
    "normalize",
    "similarity",
    "pooling",
    "temperature",
    "max_query_length",
    "max_document_length",
)
FORMATS = ("table", "json", "csv", "latex", "markdown")

#: Types of the values in a configuration file; every other value is text.
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("batch_size", "shard_size", "seed", "max_query_length", "max_document_length"), (int,)
    ),
    **dict.fromkeys(("normalize", "quiet", "verify", "exact", "controls", "dual_run"), (bool,)),
    **dict.fromkeys(
        ("temperature", "perplexity", "relative_error", "scale", "a_scale", "b_scale"),
        (int, float),
    ),
    "relevance_level": (int,),
    **dict.fromkeys(("sample", "points", "neighbors"), (int,)),
    "documents": (int, str),
}
_LISTS = ("fail_if", "spaces", "names", "transform", "ance", "norm", "dual", "dance")
_NUMBERS = ("seeds",)
_ONE_OR_MANY = ("a", "b")

DATA_DEFAULTS: dict[str, Any] = {"data": None, "split": None, "documents": "all"}
CLUSTER_DEFAULTS: dict[str, Any] = {"scheduler": None}
STORE_DEFAULTS: dict[str, Any] = {"verify": False}
RECIPE_DEFAULTS: dict[str, Any] = {
    "recipe": None,
    "tokenizer": None,
    "backbone": None,
    **dict.fromkeys(RECIPE_PARTS),
}
ENCODER_DEFAULTS: dict[str, Any] = {
    **RECIPE_DEFAULTS,
    "device": "auto",
    "batch_size": None,
    "shard_size": None,
    "dtype": "float32",
    "store_dtype": "float32",
}
#: What the files of a dump do not say, option -> (placeholder, help).
_DUMP = {
    "queries": ("FILE", "vectors of the queries, where a dump has documents alone"),
    "ids": ("FILE", "ids of the vectors in their order: .txt, .tsv (id, tab, text), .npy, .json"),
    "query_ids": ("FILE", "ids of the query vectors"),
    "offsets": ("PATH", "upstream's maps from ids to offsets: pid2offset.pickle, or its folder"),
    "scale": ("S", "what int8 values are multiplied by"),
    "field": ("NAME", "column, array or key that holds the vectors"),
}
DUMP_DEFAULTS: dict[str, Any] = {**dict.fromkeys(_DUMP), "qrels": None}
MEASURE_DEFAULTS: dict[str, Any] = {
    "measures": "default",
    "projection": "tsne",
    "perplexity": 30.0,
    "relevance_level": 1,
    "exact": False,
    "sample": None,
    "relative_error": None,
    "seed": 0,
}
#: What says something of runs alone.
RUN_DEFAULTS: dict[str, Any] = {"order": "scores", "dual_run": False}
OUTPUT_DEFAULTS: dict[str, Any] = {"out": None, "format": "table"}


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """``--data``, ``--split``, ``--documents``."""
    group = parser.add_argument_group("collection")
    group.add_argument(
        "--data",
        metavar="D",
        help="docstrings (default), a BEIR, MS MARCO or preprocessed folder, or irds:<id>",
    )
    group.add_argument("--split", metavar="S", help="split to evaluate (default: dev, else test)")
    group.add_argument(
        "--documents",
        metavar="N",
        help="all (default), or all judged documents plus N random ones",
    )


def add_recipe_options(parser: argparse.ArgumentParser, sides: bool = False) -> None:
    """What decides how a checkpoint is read; with `sides`, also ``--a-…`` and ``--b-…``."""
    group = parser.add_argument_group("recipe")
    for name, metavar, text in (
        ("recipe", "NAME|FILE", "how to read the checkpoint: ance, dance, dance-symmetric, …"),
        ("tokenizer", "PATH", "tokenizer of a single-file checkpoint"),
        ("backbone", "PATH", "backbone configuration of a single-file checkpoint"),
    ):
        group.add_argument(f"--{name}", metavar=metavar, help=text)
        for side in ("a", "b") if sides else ():
            group.add_argument(f"--{side}-{name}", metavar=metavar, help=f"the same, only {side}")
    group.add_argument(
        "--normalize", action=argparse.BooleanOptionalAction, help="unit-length vectors"
    )
    group.add_argument("--similarity", metavar="S", help="dot, cosine or euclidean")
    group.add_argument("--pooling", metavar="P", help="cls, mean, max or lasttoken")
    group.add_argument("--temperature", type=float, metavar="T", help="temperature of the scores")
    group.add_argument("--max-query-length", type=int, metavar="N", help="tokens a query")
    group.add_argument("--max-document-length", type=int, metavar="N", help="tokens a document")


def add_encoder_options(
    parser: argparse.ArgumentParser, sides: bool = False, analysis: bool = False
) -> None:
    """How a checkpoint is read, how it is encoded, and with `analysis` where that runs too."""
    add_recipe_options(parser, sides)
    group = parser.add_argument_group("encoding")
    what = "auto (default: a CUDA device where there is one), cpu, cuda, cuda:1, mps"
    where = "; large products of the analysis go there too, but for mps" if analysis else ""
    group.add_argument("--device", metavar="NAME", help=what + where)
    group.add_argument("--batch-size", type=int, metavar="N", help="tokens a batch")
    group.add_argument(
        "--shard-size", metavar="N", type=int, help="texts a shard, what a kill loses (8192)"
    )
    group.add_argument("--dtype", metavar="T", help="computation: float32 (default) or bfloat16")
    group.add_argument("--store-dtype", metavar="T", help="stored: float32 (default) or float16")


def add_dump_options(parser: argparse.ArgumentParser, sides: bool = False) -> None:
    """What the files of a dump do not say; with `sides`, also ``--a-…`` and ``--b-…``."""
    group = parser.add_argument_group("vectors of other programs")
    for name, (metavar, text) in _DUMP.items():
        kind = float if name == "scale" else str
        option = name.replace("_", "-")
        group.add_argument(f"--{option}", type=kind, metavar=metavar, help=text)
        for side in ("a", "b") if sides else ():
            text = f"the same, only {side}"
            group.add_argument(f"--{side}-{option}", type=kind, metavar=metavar, help=text)
    group.add_argument("--qrels", metavar="FILE", help="judgments, where --data gives none")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """``--order`` and ``--dual-run``."""
    group = parser.add_argument_group("runs (TREC or MS MARCO), judged by --qrels or --data")
    group.add_argument(
        "--order", metavar="O", help="what orders a run that has both: scores (default) or ranks"
    )
    group.add_argument(
        "--dual-run",
        action="store_true",
        help="the run ranks queries for documents (first column)",
    )


def sided_dump_defaults() -> dict[str, Any]:
    """No value for each option about a dump that one side can have alone."""
    return {f"{side}_{name}": None for side in ("a", "b") for name in _DUMP}


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """``--verify``."""
    parser.add_argument(
        "--verify", action="store_true", help="check every checksum of stores, cached ones too"
    )


def add_cluster_options(parser: argparse.ArgumentParser) -> None:
    """``--scheduler``."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler, such as tcp://host:8786, whose workers see the same files",
    )


def add_measure_options(parser: argparse.ArgumentParser) -> None:
    """``--measures``, ``--projection``, ``--seed``."""
    group = parser.add_argument_group("measures")
    group.add_argument(
        "--measures",
        metavar="LIST",
        help="default, all, or text identities separated by commas",
    )
    group.add_argument(
        "--projection",
        metavar="LIST",
        help="maps to draw: tsne (default), umap, pca, which is drawn beside any other, or none",
    )
    group.add_argument("--perplexity", type=float, metavar="P", help="of t-SNE (30)")
    group.add_argument(
        "--relevance-level", type=int, metavar="N", help="smallest grade that is relevant (1)"
    )
    group.add_argument("--exact", action="store_true", help="every row, no sampled anchors")
    group.add_argument(
        "--sample", type=int, metavar="N", help="anchors a side of more than 2N rows (5000)"
    )
    group.add_argument(
        "--relative-error",
        type=float,
        metavar="R",
        help="as many anchors as keep the relative standard error of the uniformity of sampled "
        "documents below R, such as 0.001",
    )
    group.add_argument("--seed", type=int, metavar="N", help="seed of every random choice (0)")


def add_comparison_options(parser: argparse.ArgumentParser) -> None:
    """``--on-mismatch`` and ``--fail-if``."""
    parser.add_argument(
        "--on-mismatch", metavar="M", help="different ids: error (default) or intersect"
    )
    parser.add_argument(
        "--fail-if",
        action="append",
        metavar="GATE",
        help='exit 1 when true, e.g. "delta[ranking.recipe.nDCG@10] < -0.005" (repeatable)',
    )


def add_transform_options(parser: argparse.ArgumentParser, sides: bool = False) -> None:
    """``--transform``; with `sides`, also ``--a-transform`` and ``--b-transform``."""
    group = parser.add_argument_group("intervention")
    what = "applied to both sides of the comparison" if sides else "one more space for each X"
    group.add_argument(
        "--transform",
        action="append",
        metavar="T",
        help=f"{what}: steps such as center>normalize, whiten(shrinkage=0.1), "
        "remove_top_directions(k=3), standardize" + ("" if sides else " (repeatable)"),
    )
    for side in ("a", "b") if sides else ():
        group.add_argument(f"--{side}-transform", metavar="T", help=f"the same, only {side}")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """``--out``, ``--format``, and the options of every command."""
    group = parser.add_argument_group("output")
    group.add_argument("--out", metavar="DIR", help="folder of the results")
    group.add_argument("--format", metavar="F", help=f"printed as {', '.join(FORMATS)}")
    add_common_options(parser)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--quiet``."""
    parser.add_argument("--config", metavar="FILE", help="options from a TOML file")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")


def resolve(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults, then the configuration file, then what was given on the command line.

    Raises
    ------
    UsageError
        If the file is no TOML or has keys or types that the command does not know.
    """
    known = {**defaults, "quiet": False}
    from_file: dict[str, Any] = {}
    if given.get("config"):
        from_file = _read(Path(given["config"]), known)
    typed = {key: value for key, value in given.items() if key != "config"}
    options = {**known, **from_file, **typed}
    _check_text(options)
    return options


def _read(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    from anisotropy.untrusted.texts import read_toml

    try:
        content = read_toml(path)
    except InputError as error:
        raise UsageError(f"--config {error}") from None
    content = {key.replace("-", "_"): value for key, value in content.items()}
    for key, value in content.items():
        if key not in known:
            raise UsageError(f"--config {path}: unknown key: {one_of(key, known)}")
        _check_type(f"--config {path}: {key}", key, value)
    return content


def _check_type(where: str, key: str, value: Any) -> None:
    if key in _LISTS or (key in _ONE_OR_MANY and isinstance(value, list)):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UsageError(f"{where} is {shown(value)}; needed: a list of texts")
        return
    if key in _NUMBERS:
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise UsageError(f"{where} is {shown(value)}; needed: a list of whole numbers")
        return
    kinds = _TYPES.get(key, (str,))
    # A truth value is a whole number to Python, not to a user.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(
            {int: "int", float: "float", bool: "bool", str: "str"}[k] for k in kinds
        )
        raise UsageError(f"{where} is {shown(value)}; needed: {names}")


def _check_text(options: Mapping[str, Any]) -> None:
    """Refuse names that no file of results could hold."""
    for key, value in options.items():
        for text in value if isinstance(value, list) else [value]:
            try:
                str(text).encode("utf-8")
            except UnicodeEncodeError:
                raise UsageError(f"--{key}: {text!a} is not UTF-8; rename it") from None


def recipe_overrides(options: Mapping[str, Any]) -> dict[str, Any]:
    """Single parts of the recipe that were set."""
    return {part: options[part] for part in RECIPE_PARTS if options.get(part) is not None}


def write_config(
    folder: Path, command: str, options: Mapping[str, Any], name: str = "config.toml"
) -> None:
    """Write the resolved configuration as a file to be used with ``--config``."""
    import json

    from anisotropy.files import write_text

    lines = [f"# anisotropy {command}"]
    for key, value in options.items():
        if value is not None and key != "quiet" and value != []:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    write_text(folder / name, "\n".join(lines) + "\n")
