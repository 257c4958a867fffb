"""``GeometryCallback``: the measures of this package in somebody else's training log."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from transformers import TrainerCallback

from anisotropy.errors import UsageError, check_seed, one_of
from anisotropy.spaces import EmbeddingSpace
from anisotropy.spaces.space import SIMILARITIES
from anisotropy.training.geometry import (
    Judgments,
    Sample,
    first_line,
    measured,
    sample_of,
    sample_of_texts,
    wanted_rows,
)

if TYPE_CHECKING:
    from anisotropy.collection import Collection

Encode = Callable[[list[str], Literal["queries", "documents"]], Any]
POOLINGS = ("mean", "cls")


class GeometryCallback(TrainerCallback):  # type: ignore[misc]
    """Log geometry and ranking quality while a transformers or sentence-transformers Trainer runs.

    A fixed sample of queries and documents is encoded with the model as it is then, and measured.
    The values go through the Trainer's own log, hence to TensorBoard, W&B and
    ``trainer.state.log_history``, under names such as ``geometry/queries.unit.mean_cosine``.

    >>> import anisotropy as an                                                # doctest: +SKIP
    >>> trainer.add_callback(an.training.GeometryCallback("my-collection"))    # doctest: +SKIP

    Parameters
    ----------
    data
        Collection, or what `open_collection` opens (a folder, ``docstrings``, ``irds:<id>``):
        `n_queries` queries of its evaluated split with their positives, and `n_documents` other
        documents, are sampled.
    queries, documents
        Instead of `data`: two texts or more a side, all of which are used.
    qrels
        For these, ``{query number: {document number: grade}}``; without it the rows that need
        positives are left out.
    measures
        Text identities such as ``uniformity(t=2)`` (every place) or
        ``queries.unit.uniformity(t=2)`` (one place). None: mean cosine, uniformity and
        participation ratio of both sides, the relative positive distance, and nDCG@10.
    every
        Log every so many steps; None: whenever the Trainer evaluates. Before the first and after
        the last step it logs in any case.
    encode
        Function of texts and side (``queries`` or ``documents``) that gives an array (n, dim),
        instead of the model's own ``encode_query`` and ``encode_document``.
    pooling
        ``mean`` or ``cls``: how the last hidden states of a plain transformers model become a
        vector, with the Trainer's tokenizer. Needed there unless `encode` is given.
    max_length
        Tokens a text with `pooling`, 3 or more; cut to what tokenizer and model allow.
    similarity
        ``cosine``, ``dot`` or ``euclidean``; None: the model's own, else cosine.
    n_queries, n_documents
        Sizes of the sample; 2 or more, 0 or more.
    batch_size
        Texts a forward pass.
    name
        In front of the names in the log.
    seed
        Of the sample, of anchors and of simulated nulls.

    Raises
    ------
    UsageError
        If an argument is not allowed; at the start of training, if the model cannot be encoded
        without `encode` or `pooling`.
    CollectionError
        If the data cannot be used.

    Notes
    -----
    Training goes on as without it: the mode of every module, gradients and the random states of
    Python, NumPy and torch are as before. Only the main process works. What fails while training
    runs (a measure, the encoding) is told in a warning, once, and left out.

    Where documents were left out, the ranking rows end in ``.subcollection``: they are higher
    than in the whole collection, and comparable with each other only. With
    ``load_best_model_at_end``, the row after the last step is that of the best model, and named
    ``geometry/best/...``. Models sharded by FSDP or DeepSpeed are not measured (a warning says
    so): encoding takes all processes there.
    """

    def __init__(
        self,
        data: str | Path | Collection | None = None,
        *,
        queries: Sequence[str] | None = None,
        documents: Sequence[str] | None = None,
        qrels: Judgments | None = None,
        measures: Sequence[str] | None = None,
        every: int | None = None,
        encode: Encode | None = None,
        pooling: str | None = None,
        max_length: int = 256,
        similarity: str | None = None,
        n_queries: int = 200,
        n_documents: int = 1000,
        batch_size: int = 32,
        name: str = "geometry",
        seed: int = 0,
    ) -> None:
        check_seed(seed)
        for what, value, least in (
            ("every", every, 1),
            ("n_queries", n_queries, 2),
            ("n_documents", n_documents, 0),
            ("batch_size", batch_size, 1),
            ("max_length", max_length, 3),
        ):
            if value is not None and (type(value) is not int or value < least):
                raise UsageError(
                    f"{what}: got {value!r}; allowed: a whole number, {least} or more"
                )
        if encode is not None and (not callable(encode) or pooling is not None):
            raise UsageError("encode: allowed: a function of texts and side, and then no pooling")
        if pooling not in (None, *POOLINGS):
            raise UsageError(f"pooling: {one_of(pooling, POOLINGS)}")
        if similarity not in (None, *SIMILARITIES):
            raise UsageError(f"similarity: {one_of(similarity, SIMILARITIES)}")
        self.every, self.encode, self.pooling, self.similarity = every, encode, pooling, similarity
        self.max_length, self.batch_size, self.name, self.seed = max_length, batch_size, name, seed
        self.sample = _sample(data, (queries, documents, qrels), (n_queries, n_documents), seed)
        self.wanted = wanted_rows(measures, judged=bool(self.sample.qrels))
        self._logged: int | None = None
        self._told: set[str] = set()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log the model as it starts."""
        self._logged = None
        if state.is_world_process_zero:
            self._check(kwargs["model"], kwargs.get("processing_class"))
        self._log(state, control, kwargs)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log every `every` steps."""
        if self.every is not None and state.global_step % self.every == 0:
            self._log(state, control, kwargs)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log with the evaluation where no `every` is given."""
        if self.every is None:
            self._log(state, control, kwargs)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log the model as it ends: the last, or the best where that was loaded."""
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self._logged = None
            self._log(state, control, kwargs, name=f"{self.name}/best")
        else:
            self._log(state, control, kwargs)

    def _log(self, state: Any, control: Any, given: dict[str, Any], name: str = "") -> None:
        """Measure once a step, in the main process, and hand the values to the Trainer's log."""
        if not state.is_world_process_zero or self._logged == state.global_step:
            return
        self._logged = state.global_step
        trainer = _trainer_of(self)
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            self._tell("model", "its weights are sharded (FSDP, DeepSpeed)")
            return
        values = self._values(given["model"], given.get("processing_class"))
        if values:
            # Logging clears this flag, and with it a training loss that is due at this step.
            due = control.should_log
            trainer.log({f"{name or self.name}/{row}": value for row, value in values.items()})
            control.should_log = due

    def _values(self, model: Any, tokenizer: Any) -> dict[str, float]:
        with undisturbed(model):
            try:
                space = self._space(model, tokenizer)
            except Exception as error:
                self._tell("encoding", first_line(error))
                return {}
            values, problems = measured(
                space, self.wanted, seed=self.seed, partial=self.sample.partial
            )
        for row, reason in problems.items():
            self._tell(row, reason)
        return values

    def _space(self, model: Any, tokenizer: Any) -> EmbeddingSpace:
        sample = self.sample
        encode = self._encoder(model, tokenizer)
        return EmbeddingSpace(
            encode(sample.queries, "queries"),
            encode(sample.documents, "documents"),
            query_ids=sample.query_ids,
            doc_ids=sample.doc_ids,
            qrels=sample.qrels,
            similarity=self._similarity(model),
            label="model",
        )

    def _encoder(self, model: Any, tokenizer: Any) -> Encode:
        if self.encode is not None:
            return self.encode
        if self.pooling is not None:
            return lambda texts, _: pooled(
                model, tokenizer, texts, self.pooling or "", self.max_length, self.batch_size
            )
        options = {"batch_size": self.batch_size, "show_progress_bar": False}
        functions = {"queries": model.encode_query, "documents": model.encode_document}
        return lambda texts, side: functions[side](texts, **options)

    def _similarity(self, model: Any) -> str:
        own = None if self.encode is not None else getattr(model, "similarity_fn_name", None)
        return str(self.similarity or own or "cosine")

    def _check(self, model: Any, tokenizer: Any) -> None:
        """Refuse, before the first step, what could never be encoded."""
        speaks = hasattr(model, "encode_query") and hasattr(model, "encode_document")
        if self._similarity(model) not in SIMILARITIES:
            given = one_of(self._similarity(model), SIMILARITIES)
            raise UsageError(
                f"GeometryCallback: similarity of the model: {given}; give similarity"
            )
        if self.encode is not None:
            return
        if self.pooling is None and not speaks:
            raise UsageError(
                f"GeometryCallback: {type(model).__name__} has no encode_query; give encode, or "
                "pooling 'mean' or 'cls'"
            )
        if self.pooling is not None and speaks:
            raise UsageError(
                f"GeometryCallback: pooling: {type(model).__name__} has its own; leave it out"
            )
        if self.pooling is not None and tokenizer is None:
            raise UsageError(
                "GeometryCallback: pooling needs the Trainer's processing_class, its tokenizer; "
                "give it to the Trainer, or give encode"
            )

    def _tell(self, what: str, reason: str) -> None:
        if what not in self._told:
            self._told.add(what)
            warnings.warn(f"GeometryCallback: {what}: not logged: {reason}", stacklevel=2)


def _sample(
    data: str | Path | Collection | None,
    texts: tuple[Sequence[str] | None, Sequence[str] | None, Judgments | None],
    sizes: tuple[int, int],
    seed: int,
) -> Sample:
    queries, documents, qrels = texts
    if data is None and queries is not None and documents is not None:
        return sample_of_texts(queries, documents, qrels)
    if data is None or any(part is not None for part in texts):
        raise UsageError(
            "GeometryCallback: allowed: data, or queries and documents (and their qrels)"
        )
    from anisotropy.collection import open_collection

    collection = open_collection(data) if isinstance(data, str | Path) else data
    return sample_of(collection, *sizes, seed)


def _trainer_of(callback: TrainerCallback) -> Any:
    """Find the Trainer whose event this is among the callers.

    It hands its callbacks the model, the tokenizer, the state - everything but itself, and only
    it can log.
    """
    from transformers import Trainer

    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Trainer) and callback in owner.callback_handler.callbacks:
            return owner
        frame = frame.f_back
    raise UsageError("GeometryCallback: called by no transformers Trainer; allowed: add_callback")


@contextmanager
def undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode inside; module modes and random states as before afterwards.

    Parameters
    ----------
    model
        Whose modules may be in different modes, as where a part is frozen.
    """
    modes = [(module, module.training) for module in model.modules()]
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's own state
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if cuda else ()
    try:
        with torch.random.fork_rng(devices=list(devices)):
            model.eval()
            yield
    finally:
        for module, training in modes:
            module.training = training
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def pooled(
    model: Any, tokenizer: Any, texts: Sequence[str], pooling: str, max_length: int, batch: int
) -> np.ndarray:
    """Encode texts with a plain transformers model.

    Parameters
    ----------
    model, tokenizer
        A model with or without a task's head, and its tokenizer.
    texts
        Any number above 0.
    pooling
        ``mean`` of the hidden states of real tokens in the last layer, or ``cls``, the first of
        them.
    max_length, batch
        Tokens a text at most, texts a forward pass.

    Returns
    -------
    numpy.ndarray of shape (n, dim)
        float32.
    """
    body = getattr(model, "base_model", model)
    positions = getattr(model.config, "max_position_embeddings", None) or max_length
    # RoBERTa's first position is 2, so that two rows are not for tokens.
    limit = min(max_length, tokenizer.model_max_length, max(positions - 2, 3))
    order = np.argsort([len(text) for text in texts], kind="stable")
    rows: list[np.ndarray] = []
    for start in range(0, len(order), batch):
        part = [texts[row] for row in order[start : start + batch]]
        with torch.no_grad():
            rows.append(_pooled(body, tokenizer, part, pooling, limit))
    return np.concatenate(rows)[np.argsort(order, kind="stable")]


def _pooled(body: Any, tokenizer: Any, texts: list[str], pooling: str, limit: int) -> np.ndarray:
    features = tokenizer(
        texts, padding=True, truncation=True, max_length=limit, return_tensors="pt"
    ).to(body.device)
    hidden = body(**features).last_hidden_state.float()
    mask = features["attention_mask"]
    if pooling == "cls":
        found = hidden[torch.arange(len(texts)), mask.argmax(dim=1)]
    else:
        weight = mask.unsqueeze(-1).float()
        found = (hidden * weight).sum(1) / weight.sum(1).clamp_min(1)
    vectors: np.ndarray = found.cpu().numpy()
    return vectors
