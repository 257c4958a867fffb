"""Configuration: presets, overrides, and one-line refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from anisotropy.errors import UsageError
from anisotropy.training import TrainingConfig, load_config, stage_configs
from anisotropy.training.config import KEYS


def test_presets_are_the_papers_stages() -> None:
    (warmup,), (ance,) = stage_configs("warmup"), stage_configs("ance")
    norm, dual = stage_configs("dance")
    assert (warmup.form, warmup.head) == ("in_batch", "plain")
    assert (ance.form, ance.head, ance.depth, ance.kept) == ("dot_product", "plain", 200, 20)
    assert (norm.form, norm.head, norm.temperature, norm.dual_weight) == (
        "cosine",
        "dance",
        0.01,
        0,
    )
    assert (dual.form, dual.head, dual.dual_weight) == ("start", "start", 0.1)
    assert stage_configs("norm") == (norm,)
    assert len({part.stream for part in (warmup, ance, norm, dual)}) == 4


def test_values_go_over_the_preset_and_tables_over_both() -> None:
    norm, dual = stage_configs("dance", {"steps": 7, "dual": {"steps": 9, "dual_weight": 0.3}})
    assert (norm.steps, norm.dual_weight) == (7, 0.0)
    assert (dual.steps, dual.dual_weight) == (9, 0.3)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_arrives(key: str) -> None:
    other = {
        "form": "in_batch",
        "head": "symmetric",
        "optimizer": "lamb",
        "schedule": "upstream",
        "dtype": "bfloat16",
        "device": "cuda:3",
        "select": "best",
        "kept": 3,
        "exclude": "recorded",
        "order": "best",
        "document_negatives": "bm25",
        "query_negatives": "random",
        "dropout": 0.3,
        "negatives": 5,
        "hard_negatives": 5,
        "cache_gradients": True,
        "tensorboard": True,
    }
    form = {"negatives": "multi_negative", "hard_negatives": "in_batch"}.get(key)
    value = other.get(key, 417)
    (config,) = stage_configs("ance", {**({"form": form} if form else {}), key: value})
    assert getattr(config, key) == value
    assert config.as_dict()[key] == value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 1.0}, "unknown key: got 'learning_rat'; .*did you mean 'learning_rate'"),
        ({"stage": "ance"}, "unknown key: got 'stage'"),
        ({"steps": 0}, "steps: got 0; allowed: a whole number, 1 or more"),
        ({"steps": 2.5}, "steps: got 2.5; allowed: a whole number"),
        ({"steps": True}, "steps: got True; allowed"),
        ({"learning_rate": -1.0}, r"learning_rate: got -1.0; allowed: a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: got nan; allowed: a number above 0"),
        ({"dropout": 1.0}, "dropout: got 1.0; allowed: a number from 0 to below 1"),
        ({"form": "cosin"}, "form: got 'cosin'; allowed: .*did you mean 'cosine'"),
        ({"form": 3}, "form: got 3; allowed: text"),
        ({"tensorboard": 1}, "tensorboard: got 1; allowed: true or false"),
        ({"negatives": 4}, "negatives: got 4 with form 'dot_product'; allowed: 1, or form 'multi"),
        ({"hard_negatives": 4}, "hard_negatives: got 4 with form .*; allowed: 0, or form 'in_b"),
        ({"form": "in_batch", "hard_negatives": 21}, "hard_negatives: got 21; allowed: at most k"),
        ({"kept": 300}, "kept: got 300; allowed: at most depth, 200"),
    ],
)
def test_a_bad_value_is_one_clear_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        stage_configs("ance", values)
    assert "\n" not in str(error.value)


def test_stages_and_tables_are_checked() -> None:
    with pytest.raises(UsageError, match=r"training stage: got 'dans'; .*did you mean 'dance'"):
        stage_configs("dans")
    with pytest.raises(UsageError, match="dual: got 3; allowed: a table"):
        stage_configs("dance", {"dual": 3})
    with pytest.raises(UsageError, match="runs norm and dual; give it a mapping"):
        stage_configs("dance", TrainingConfig())


def test_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("steps = 12\nlearning_rate = 1\n[dual]\nsteps = 5\n")
    norm, dual = stage_configs("dance", load_config(path))
    assert (norm.steps, norm.learning_rate, dual.steps) == (12, 1.0, 5)
    path.write_text("steps = \n")
    with pytest.raises(UsageError, match=r"run.toml: not readable as TOML"):
        load_config(path)
    with pytest.raises(UsageError, match=r"absent.toml: no such file"):
        load_config(tmp_path / "absent.toml")
