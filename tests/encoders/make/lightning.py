"""Write tests/encoders/files/lightning.ckpt with Lightning's own Trainer (2.6.6), and its vectors.

    python -m tests.encoders.make.lightning

Needs `pytorch_lightning`, which no test needs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from anisotropy.encoders import new_roberta

FOLDER = Path(__file__).parents[1] / "files"
TOKENS = [[0, 9, 30, 41, 2], [0, 17, 2]]


class Retriever(pl.LightningModule):
    """An encoder two names deep, as a training loop might hold it."""

    def __init__(self, lr: float, arguments: argparse.Namespace) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.retriever = torch.nn.Module()
        self.retriever.encoder = new_roberta(
            400, hidden_size=8, layers=1, heads=2, intermediate_size=8, positions=18, seed=5
        )

    def training_step(self, batch: Any, _: int) -> torch.Tensor:
        ids, lengths = batch
        net = self.retriever.encoder
        return (net.norm(net(ids, lengths)) ** 3).mean()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)]


def main() -> None:
    """Train two steps, save the file and what the model gives."""
    torch.manual_seed(0)
    arguments = argparse.Namespace(lr=0.1, path=Path("somewhere"), flag=True)
    model = Retriever(0.1, arguments)
    data = [(torch.randint(3, 400, (6,)), torch.tensor(6)) for _ in range(4)]
    scratch = tempfile.mkdtemp()
    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", logger=False, default_root_dir=scratch)
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=2))
    trainer.save_checkpoint(FOLDER / "lightning.ckpt")
    net = model.retriever.encoder.eval()
    with torch.no_grad():
        heads = [net(torch.tensor([ids]), torch.tensor([len(ids)])) for ids in TOKENS]
        np.save(FOLDER / "lightning.npy", torch.cat([net.norm(head) for head in heads]).numpy())


if __name__ == "__main__":
    main()
