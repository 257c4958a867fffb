"""``reproduce``: claims written down, checkpoints trained, spaces analyzed, claims decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anisotropy.comparison.claims import (
    ANCE,
    DANCE,
    DUAL,
    METHODS,
    NORM,
    STEP_ZERO,
    WARM,
    Claims,
    paper_claims,
    read_claims,
    write_claims,
)
from anisotropy.errors import InputError, UsageError, check_seed
from anisotropy.files import read_json, write_json
from anisotropy.measures.mining import MINING_K, depth_for
from anisotropy.opening import EncoderOptions, open_space
from anisotropy.progress import ProgressFactory
from anisotropy.report.methods import write_tables
from anisotropy.reproduction.means import seed_means
from anisotropy.reproduction.plan import CONTROLS, FILES, PAPER, Leg, Plan, finished, make_plan
from anisotropy.spaces.store import is_store
from anisotropy.workflow import AnalysisOptions, analyze_methods, write

if TYPE_CHECKING:
    from anisotropy.collection import Collection
    from anisotropy.measures import MeasuredSpace
    from anisotropy.results import Results
    from anisotropy.spaces import EmbeddingSpace
    from anisotropy.spaces.encoding import EncodeOptions

FORMAT = "anisotropy.reproduction/1"
CLAIMS, RUN, CHECKPOINTS = "claims.json", "run.json", "checkpoints"
SEEDS = (0, 1, 2)
#: Layouts whose head is fixed by their modules.
_MODULES = ("sentence-transformers", "transformers")
#: Parts of a recipe that say how the head is read.
_OF_HEAD = ("normalize", "document_layernorm", "similarity", "temperature")
Say = Callable[[str], None]
Source = str | Path


@dataclass(frozen=True)
class Given:
    """Checkpoints that are there already: of each method none, or one a seed, in order.

    Attributes
    ----------
    ance, norm, dual, dance
        Paths, stores or hub ids.
    start
        The warm start of every seed; None trains an encoder from scratch.
    """

    ance: Sequence[Source] = ()
    norm: Sequence[Source] = ()
    dual: Sequence[Source] = ()
    dance: Sequence[Source] = ()
    start: Source | None = None

    @property
    def methods(self) -> dict[str, list[str]]:
        """Sources by method, of those that have any."""
        named = {ANCE: self.ance, NORM: self.norm, DUAL: self.dual, DANCE: self.dance}
        return {method: [str(one) for one in own] for method, own in named.items() if own}


def reproduce(
    out: str | Path,
    *,
    given: Given | None = None,
    data: str | Path | Collection = "docstrings",
    split: str = "test",
    seeds: Sequence[int] | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    claims: str | Path | Claims | None = None,
    controls: bool | None = None,
    options: AnalysisOptions | None = None,
    encoder: EncoderOptions | None = None,
    encode: EncodeOptions | None = None,
    settings: Mapping[str, Any] | None = None,
    say: Say | None = None,
    progress: ProgressFactory | None = None,
) -> Results:
    """The paper's four checkpoints on one collection, and each of its claims decided.

    Parameters
    ----------
    out
        Folder of everything: ``claims.json`` (written first), ``checkpoints/``, results, report,
        ``tables/``, ``figures/``. A run that was interrupted goes on in it.
    given
        Checkpoints to use; what is missing is trained.
    data, split
        Collection, and the split on which claims are decided. Training uses its ``train``.
    seeds
        One training of everything a seed; default 0, 1, 2, or 0, 1, ... for given checkpoints.
    config
        Training configuration; see :func:`anisotropy.reproduction.make_plan`.
    claims
        Claims file or claims; default those of the paper's abstract.
    controls
        Whether ANCE continued and DANCE symmetric are there; default: if anything is trained.
        Step 0, ANCE's weights under the recipe ``dance``, takes no training and is always there.
    options, encoder, encode
        How to measure, how to read given checkpoints, how to encode.
    settings
        More for the record of the run.
    say, progress
        Called with lines of text; makes a callback for the encoding of a label.

    Returns
    -------
    Results
        With ``claims``, and everything written to `out`.

    Raises
    ------
    UsageError
        If numbers of checkpoints differ, a key or value is not allowed, or `out` holds something
        else, or a run with other claims or another configuration.
    CollectionError
        If the collection has no such split, or none to train on where something is trained.
    """
    given = given or Given()
    seeds = _seeds(given, seeds)
    plan = make_plan(config)
    folder = _folder(out)
    encoder = encoder or EncoderOptions()
    _check_given(given, encoder)
    collection = _collection(data, split, say)
    written = _claims(claims, collection)
    methods = _methods(given, controls)
    legs = plan.needed(methods, [*given.methods, *([WARM] if given.start is not None else [])])
    _check_trainable(legs, collection)
    _begin(folder, written, plan, given)
    sources = {
        seed: _train(folder, seed, place, given, legs, plan, collection, say)
        for place, seed in enumerate(seeds)
    }
    spaces, warnings = _open(folder, sources, seeds, collection, encoder, encode, progress, say)
    options = _with_claims(options or AnalysisOptions(projections=()), written, collection)
    results, measured = analyze_methods(
        spaces, options, baseline=ANCE, collection=collection, say=say,
        config={**(settings or {}), **_about(plan, legs, written, seeds, given)},
    )  # fmt: skip
    results.warnings += [*warnings, *_notes(plan, collection)]
    _finish(results, measured, written, seeds, plan, legs)
    write(results, folder)
    write_tables(results, folder / "tables")
    return results


def _seeds(given: Given, seeds: Sequence[int] | None) -> list[int]:
    """Seeds, as many as there are given checkpoints of each method."""
    counts = {method: len(own) for method, own in given.methods.items()}
    shown = ", ".join(f"{count} of {method}" for method, count in counts.items())
    if len(set(counts.values())) > 1:
        raise UsageError(f"checkpoints: got {shown}; allowed: as many of each, one a seed")
    for method, own in given.methods.items():
        twice = next((one for one in own if own.count(one) > 1), None)
        if twice is not None:
            raise UsageError(f"{method}: got {twice!r} twice; several are seeds: give each once")
    count = next(iter(counts.values()), None)
    found = list(range(count) if count and seeds is None else SEEDS if seeds is None else seeds)
    if count is not None and len(found) != count:
        raise UsageError(f"seeds: got {len(found)}, but {shown}; allowed: as many")
    if not found or len(set(found)) != len(found):
        raise UsageError(f"seeds: got {found}; allowed: one or more different whole numbers")
    for seed in found:
        check_seed(seed)
    return found


def _folder(out: str | Path) -> Path:
    """A folder that is new, empty or of an earlier run of this."""
    folder = Path(out)
    if folder.is_file() or (folder.is_dir() and _foreign(folder)):
        what = "is a file" if folder.is_file() else "holds other files"
        raise UsageError(
            f"out: {folder} {what}; allowed: a new or empty folder, or one of an earlier reproduce"
        )
    return folder


def _check_given(given: Given, encoder: EncoderOptions) -> None:
    """Recognize what is given, before hours of training and not after them."""
    start = [] if given.start is None else [str(given.start)]
    for source in [*start, *(one for own in given.methods.values() for one in own)]:
        if not is_store(Path(source)):
            encoder.open(source)


def _foreign(folder: Path) -> bool:
    return not (folder / RUN).is_file() and not all(map(_first_of_ours, folder.iterdir()))


def _first_of_ours(path: Path) -> bool:
    """What a run that was killed before it wrote its record may have left."""
    return path.is_file() and (
        path.name == CLAIMS or path.name.startswith((f".{CLAIMS}.", f".{RUN}."))
    )


def _collection(data: str | Path | Collection, split: str, say: Say | None) -> Collection:
    from anisotropy.collection import open_collection

    if isinstance(data, str | Path):
        return open_collection(data, split=split, progress=say)
    if data.split != split:
        raise UsageError(f"data: got a collection that evaluates {data.split!r}, not {split!r}")
    return data


def _claims(claims: str | Path | Claims | None, collection: Collection) -> Claims:
    if isinstance(claims, Claims):
        return claims
    own = paper_claims(_depth(collection))
    return own if claims is None else read_claims(claims, own)


def _depth(collection: Collection) -> int:
    """The depth of mining that decides for the pool of this collection."""
    return depth_for(len(collection.queries(collection.training_split)))


def _methods(given: Given, controls: bool | None) -> tuple[str, ...]:
    """The methods that are asked for, in order of the tables; step 0 is made of ANCE."""
    trained = [method for method in PAPER if method not in given.methods]
    if controls is None:
        controls = bool(trained)
    asked = {*PAPER, *(CONTROLS if controls else ())}
    return tuple(method for method in METHODS if method in asked)


def _check_trainable(legs: Sequence[Leg], collection: Collection) -> None:
    if legs:
        from anisotropy.training.encoder import training_split

        training_split(collection)


def _begin(folder: Path, claims: Claims, plan: Plan, given: Given) -> None:
    """Write the claims before anything else, or hold them against those of the earlier run."""
    record = {
        "format": FORMAT,
        "claims_sha256": claims.digest,
        "start": None if given.start is None else str(given.start),
        "sizes": dict(plan.sizes) if given.start is None else None,
    }
    there = folder / CLAIMS
    same = there.is_file() and there.read_bytes() == claims.text().encode()
    if not (folder / RUN).is_file():
        if there.is_file() and not same:
            raise UsageError(
                f"out: {folder} holds other files: {CLAIMS} with other claims; allowed: a new or "
                "empty folder, or one of an earlier reproduce with the same claims"
            )
        write_claims(claims, folder / CLAIMS)
        write_json(folder / RUN, record)
        return
    before = read_json(folder / RUN)
    if not isinstance(before, dict) or before.get("format") != FORMAT:
        raise UsageError(f"{folder / RUN}: not of format {FORMAT}; choose another --out")
    if before.get("claims_sha256") != claims.digest or not same:
        raise UsageError(
            f"{folder / CLAIMS}: the claims were changed after the run started; restore them, or "
            "choose another --out for a new run"
        )
    for name in ("start", "sizes"):
        if before.get(name) != record[name]:
            raise UsageError(
                f"{folder}: holds a run with {name} {before.get(name)}, asked for {record[name]}; "
                "choose another --out, or the same configuration"
            )


def _train(
    folder: Path,
    seed: int,
    place: int,
    given: Given,
    legs: Sequence[Leg],
    plan: Plan,
    collection: Collection,
    say: Say | None,
) -> dict[str, str]:
    """Train what is missing for one seed; checkpoints by method, given ones included."""
    paths = {FILES[method]: own[place] for method, own in given.methods.items()}
    if given.start is not None:
        paths["warm-start"] = str(given.start)
    for number, leg in enumerate(legs, 1):
        target = folder.resolve() / CHECKPOINTS / str(seed) / f"{leg.name}.ckpt"
        start = None if leg.start is None else Path(paths[leg.start])
        if not finished(target, leg, seed, start, collection.fingerprint):
            if say is not None:
                say(f"seed {seed}: training {leg.name} ({number} of {len(legs)})")
            _leg(leg, target, seed, paths, plan, collection, say)
        paths[leg.name] = str(target)
    return {method: paths[name] for method, name in FILES.items() if name in paths}


def _leg(
    leg: Leg,
    target: Path,
    seed: int,
    paths: Mapping[str, str],
    plan: Plan,
    collection: Collection,
    say: Say | None,
) -> None:
    from anisotropy.training.checkpoints import TrainingFolder
    from anisotropy.training.encoder import EncoderSizes, new_encoder
    from anisotropy.training.stages import train

    start: Any = paths[leg.start] if leg.start is not None else None
    if start is None:
        start = new_encoder(collection, EncoderSizes(**plan.sizes), seed=seed)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Without a state it begins anew, also over a checkpoint whose history is not whole.
    resume = TrainingFolder(target, {}).has_state()
    tell = None if say is None else lambda line: say(f"seed {seed} · {leg.name}: {line}")
    train(leg.stage, start=start, data=collection, out=target, config=leg.values, seed=seed,
          resume=resume, progress=tell)  # fmt: skip


def _open(
    folder: Path,
    sources: Mapping[int, Mapping[str, str]],
    seeds: Sequence[int],
    collection: Collection,
    encoder: EncoderOptions,
    encode: EncodeOptions | None,
    progress: ProgressFactory | None,
    say: Say | None,
) -> tuple[dict[str, list[EmbeddingSpace]], list[str]]:
    """The spaces of every method, one a seed, and what could not be opened."""
    first = sources[seeds[0]]
    found: dict[str, list[EmbeddingSpace]] = {}
    for method in (name for name in METHODS if name in first):
        paths = [sources[seed][method] for seed in seeds]
        shared = len(seeds) > 1 and len(set(paths)) == 1
        opened = [
            open_space(path, collection, encoder=encoder, encode=encode, progress=progress,
                       tell=say, label=_label(method, seed, seeds, shared))
            for path, seed in zip(paths[:1] if shared else paths, seeds, strict=False)
        ]  # fmt: skip
        found[method] = opened * (len(seeds) if shared else 1)
    try:
        zeros = [_step_zero(sources[seed][ANCE], folder, seed, encoder) for seed in seeds]
        found[STEP_ZERO] = [
            open_space(path, collection, encoder=reading, encode=encode, progress=progress,
                       tell=say, label=_label(STEP_ZERO, seed, seeds, False))
            for seed, (path, reading) in zip(seeds, zeros, strict=True)
        ]  # fmt: skip
    except (UsageError, InputError) as error:
        return found, [f"no step 0: {error}"]
    return found, []


def _label(method: str, seed: int, seeds: Sequence[int], shared: bool) -> str:
    return method if shared or len(seeds) == 1 else f"{method} seed {seed}"


def _step_zero(
    source: str, folder: Path, seed: int, encoder: EncoderOptions
) -> tuple[str, EncoderOptions]:
    """ANCE's weights under the recipe ``dance``: where to find them, and how to read them.

    A model of sentence-transformers has its head in its modules, so it is written with others.

    Raises
    ------
    UsageError
        If it has no LayerNorm of its own: another one would not be ANCE's weights.
    """
    from anisotropy.training import open_trainable
    from anisotropy.training.stages import headed

    if is_store(Path(source)) or (opened := encoder.open(source)).files.layout not in _MODULES:
        return source, _under_dance(encoder)
    if opened.recipe.head != "linear_layernorm":
        raise UsageError(f"{source}: has no linear layer and LayerNorm of its own")
    trainable = open_trainable(source)
    target = folder / CHECKPOINTS / str(seed) / f"{FILES[STEP_ZERO]}.ckpt"
    target.parent.mkdir(parents=True, exist_ok=True)
    trainable.with_recipe(headed(trainable.recipe, "dance")).save(
        target, training={"start": source, "stages": []}
    )
    kept = {k: v for k, v in encoder.overrides.items() if k not in _OF_HEAD}
    return str(target), replace(encoder, recipe=None, overrides=kept)


def _under_dance(encoder: EncoderOptions) -> EncoderOptions:
    """Read the head as the recipe ``dance`` does, everything else as the checkpoint says."""
    from anisotropy.encoders import named_recipe

    parts = {name: getattr(named_recipe("dance"), name) for name in _OF_HEAD}
    return replace(encoder, overrides={**encoder.overrides, **parts})


def _with_claims(
    options: AnalysisOptions, claims: Claims, collection: Collection
) -> AnalysisOptions:
    """What is measured: at least everything that the claims need."""
    from anisotropy.measures import default_measures

    asked = options.measures
    there = set(asked or ())
    if asked is None or "default" in asked:
        depth = f"k={_depth(collection)}"
        texts = [measure.text for measure in default_measures()]
        there |= {*texts, *(text.replace(f"k={MINING_K}", depth) for text in texts)}
    more = [measure for measure in claims.measures if measure not in there]
    return replace(options, measures=(*(asked or ("default",)), *more)) if more else options


def _about(
    plan: Plan, legs: Sequence[Leg], claims: Claims, seeds: Sequence[int], given: Given
) -> dict[str, Any]:
    trained = sorted({leg.stage for leg in legs}, key=list(plan.stages).index)
    return {
        "claims_sha256": claims.digest,
        "seeds": list(seeds),
        "given": given.methods,
        "start": None if given.start is None else str(given.start),
        "steps_after_ance": plan.budget if legs else None,
        "training": {stage: plan.config(stage) for stage in trained},
    }


def _notes(plan: Plan, collection: Collection) -> list[str]:
    lines = [
        f"ance, norm and dual differ in {name} ({', '.join(map(str, values))}): so do their "
        "methods, besides loss and head"
        for name, values in plan.unequal().items()
    ]
    if collection.split != "test":
        lines.append(f"claims are decided on split {collection.split}, not on test")
    return lines


def _finish(
    results: Results,
    measured: Mapping[str, Sequence[MeasuredSpace]],
    claims: Claims,
    seeds: Sequence[int],
    plan: Plan,
    legs: Sequence[Leg],
) -> None:
    """Add the steps of each checkpoint, means over seeds, and the decided claims."""
    from anisotropy.comparison.deciding import decide_claims

    trained = {leg.name for leg in legs}
    steps = {m: _steps(m, plan, trained) for m in METHODS}
    seed_of = _seeds_of(measured, seeds)
    for about in results.spaces:
        about["seed"] = seed_of[about["label"]]
        about["steps_after_ance"] = steps[about["method"]]
    results.rows += seed_means(measured)
    results.claims = [
        {**record, "steps": _pair(record["contrast"], steps)}
        for record in decide_claims(claims, measured, seeds)
    ]


def _steps(method: str, plan: Plan, trained: set[str]) -> int | None:
    """Optimizer steps after ANCE; None where that is not known, or there is no such number."""
    if method in (ANCE, STEP_ZERO):
        return 0
    return plan.budget if method != WARM and FILES.get(method) in trained else None


def _seeds_of(
    measured: Mapping[str, Sequence[MeasuredSpace]], seeds: Sequence[int]
) -> dict[str, int | None]:
    """Seed of each label; None for a space that stands for every seed."""
    found: dict[str, int | None] = {}
    for own in measured.values():
        shared = len(own) > 1 and len({id(one) for one in own}) == 1
        for one, seed in zip(own, seeds, strict=True):
            found[one.space.label] = None if shared else seed
    return found


def _pair(contrast: str, steps: Mapping[str, int | None]) -> list[int | None]:
    return [steps[name] for name in contrast.split(" - ")]
