"""``anisotropy explore``: linked maps of one or two spaces as one offline page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.cli.options import (
    DATA_DEFAULTS,
    DUMP_DEFAULTS,
    ENCODER_DEFAULTS,
    STORE_DEFAULTS,
    add_common_options,
    add_data_options,
    add_dump_options,
    add_encoder_options,
    add_store_options,
    resolve,
    sided_dump_defaults,
    write_config,
)
from anisotropy.errors import UsageError

if TYPE_CHECKING:
    from anisotropy.explorer import ExplorerOptions

SUMMARY = "look around in one embedding space, or in two side by side: one offline page"
_SIDES = ("a", "b")
DEFAULTS: dict[str, Any] = {
    "spaces": [],
    **DATA_DEFAULTS,
    **DUMP_DEFAULTS,
    **sided_dump_defaults(),
    **ENCODER_DEFAULTS,
    **STORE_DEFAULTS,
    **{f"{side}_{name}": None for side in _SIDES for name in ("recipe", "tokenizer", "backbone")},
    "label_a": None,
    "label_b": None,
    "points": 5000,
    "neighbors": 20,
    "projection": "tsne,pca",
    "perplexity": 30.0,
    "relevance_level": 1,
    "seed": 0,
    "on_mismatch": "error",
    "out": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "spaces",
        nargs="*",
        metavar="X",
        help="A, or A and B: checkpoints, stores, dumps or hub ids",
    )
    parser.add_argument("--label-a", metavar="NAME", help="name of A on the page")
    parser.add_argument("--label-b", metavar="NAME", help="name of B")
    parser.add_argument(
        "--on-mismatch", metavar="M", help="different ids: error (default) or intersect"
    )
    add_data_options(parser)
    add_store_options(parser)
    add_encoder_options(parser, sides=True)
    add_dump_options(parser, sides=True)
    group = parser.add_argument_group("page")
    group.add_argument("--points", type=int, metavar="N", help="points on a map (5000)")
    group.add_argument("--neighbors", type=int, metavar="K", help="documents a query (20)")
    group.add_argument("--projection", metavar="LIST", help="maps: tsne,pca (default), umap")
    group.add_argument("--perplexity", type=float, metavar="P", help="of t-SNE (30)")
    group.add_argument(
        "--relevance-level", type=int, metavar="N", help="smallest grade that is relevant (1)"
    )
    group.add_argument("--seed", type=int, metavar="N", help="seed of every random choice (0)")
    group.add_argument("--out", metavar="FILE", help="page to write, its name ending in .html")
    add_common_options(parser)


def run(given: dict[str, Any]) -> int:
    """Open, build, write, and print where the page is."""
    options = resolve(given, DEFAULTS)
    sources = options["spaces"]
    if not 1 <= len(sources) <= 2:
        raise UsageError(
            f"explore needs one or two checkpoints, stores, dumps or hub ids; got {len(sources)}"
        )
    from anisotropy.cli import jobs
    from anisotropy.explorer import build, write_page

    chosen, encode = _explorer_options(options), jobs.encode_options(options)
    labels = _labels(options)
    path = _path(options, labels)
    jobs.prepare_out(path.parent)
    collection = jobs.open_data(options, sources)
    spaces = [
        jobs.open_side(options, source, side, label, collection, encode)
        for source, side, label in zip(sources, _SIDES, labels, strict=False)
    ]
    data = build(spaces, chosen, say=jobs.teller(options["quiet"]))
    print(write_page(data, path))
    write_config(path.parent, "explore", options, f"{path.stem}.toml")
    return 0


def _explorer_options(options: dict[str, Any]) -> ExplorerOptions:
    from anisotropy.explorer import ExplorerOptions
    from anisotropy.measures import split_list

    maps: Any = split_list(options["projection"])
    return ExplorerOptions(
        points=options["points"],
        neighbors=options["neighbors"],
        projections=tuple(dict.fromkeys(maps)),
        perplexity=options["perplexity"],
        seed=options["seed"],
        relevance_level=options["relevance_level"],
        on_mismatch=options["on_mismatch"],
    )


def _labels(options: dict[str, Any]) -> list[str]:
    from anisotropy.opening import default_label, distinct_labels

    own = [default_label(source) for source in options["spaces"]]
    given = [options["label_a"], options["label_b"]]
    return distinct_labels([g or name for g, name in zip(given, own, strict=False)])


def _path(options: dict[str, Any], labels: list[str]) -> Path:
    from anisotropy.cli.jobs import slug

    if options["out"] is None:
        return Path(f"anisotropy-results/{slug(labels)}/explorer.html")
    path = Path(options["out"])
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {path}: got no page; allowed: a file name ending in .html")
    return path
