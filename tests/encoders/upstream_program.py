"""What ANCE's and DANCE's programs make of a folder, under the transformers 2.3.0 they pin.

A program of its own, since that version and the one we need cannot be imported together::

    PYTHONPATH=<site of transformers 2.3.0> python upstream_program.py FOLDER DIM IN.json OUT.json

Loads the folder as they do (a RobertaForSequenceClassification with a head and a LayerNorm, by
``from_pretrained``; the tokenizer with ``do_lower_case=True``), and gives token ids and vectors.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

assert transformers.__version__ == "2.3.0", transformers.__version__


class Model(transformers.RobertaForSequenceClassification):
    """Names and shapes as in their state dicts."""

    outputs = 768

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.embeddingHead = nn.Linear(config.hidden_size, self.outputs)
        self.norm = nn.LayerNorm(self.outputs)

    def head(self, ids: list[list[int]]) -> torch.Tensor:
        width = max(map(len, ids))
        padded = torch.tensor([row + [0] * (width - len(row)) for row in ids])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
        states = self.roberta(padded, attention_mask=mask)[0]
        found: torch.Tensor = self.embeddingHead(states[:, 0])
        return found


def main(folder: str, dim: str, source: str, target: str) -> None:
    Model.outputs = int(dim)
    asked = json.loads(Path(source).read_text())
    config = transformers.RobertaConfig.from_pretrained(folder, num_labels=2)
    model, report = Model.from_pretrained(folder, config=config, output_loading_info=True)
    tokenizer = transformers.RobertaTokenizer.from_pretrained(folder, do_lower_case=True)
    found: dict[str, Any] = {"report": {key: sorted(names) for key, names in report.items()}}
    model.eval()
    for side in ("queries", "documents"):
        ids = asked[side]
        if isinstance(ids[0], str):
            length = asked["lengths"][side]
            ids = [tokenizer.encode(text, max_length=length) for text in ids]
        with torch.no_grad():
            head = torch.cat([model.head([row]) for row in ids])
            plain = model.norm(head)
            unit = plain if side == "queries" else head
        found[side] = {
            "ids": ids,
            "plain": plain.tolist(),
            "l2": nn.functional.normalize(unit, dim=-1).tolist(),
        }
    Path(target).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
