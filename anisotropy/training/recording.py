"""What a run leaves behind while it goes: history file, event files, states, checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from anisotropy.training.checkpoints import State, TrainingFolder
from anisotropy.training.config import TrainingConfig
from anisotropy.training.encoder import Trainable
from anisotropy.training.following import FollowedFolder
from anisotropy.training.history import Board, Row


class Recording:
    """Traces of a run, written by the main process.

    Parameters
    ----------
    folder
        History and states.
    board
        Folder of event files; None = none.
    state
        From which the run goes on.
    offset
        Steps of the stages behind that state.
    followed
        Checkpoints for a second process; None = none.
    """

    def __init__(
        self,
        folder: TrainingFolder,
        board: Path | None,
        state: State | None,
        offset: int = 0,
        followed: FollowedFolder | None = None,
    ) -> None:
        self.folder, self._followed = folder, followed
        self._trained: tuple[Trainable, TrainingConfig] | None = None
        self.rows: list[Row] = list(state.rows) if state else []
        self.stage = state.stage if state else 0
        self.done: tuple[dict[str, Any], ...] = state.done if state else ()
        self.offset = offset
        begin = offset + (state.step if state else 0)
        self._board = Board(board, begin) if board is not None else None

    def begin(self, trainable: Trainable, config: TrainingConfig, step: int) -> None:
        """Take the model of a stage, which begins or goes on at this step."""
        self._trained = trainable, config
        self._leave(step)

    def row(self, row: Row) -> None:
        """Take a row of the history."""
        self.rows.append(row)
        self.folder.append(row)
        if self._board is not None:
            self._board.append(row, self.offset)

    def save(self, state: State) -> None:
        """Keep a state of the current stage."""
        self.folder.save(
            dataclasses.replace(state, stage=self.stage, done=self.done, rows=self.rows)
        )
        if self._trained is not None:
            self._leave(state.step)

    def _leave(self, step: int) -> None:
        """Write a checkpoint of the model as it is, its steps counted through all stages."""
        if self._followed is None or self._trained is None:
            return
        trainable, config = self._trained
        record = {"config": config.as_dict(), "selected_step": step}
        stages = {"stages": [*self.done, record]}
        self._followed.save(trainable, self.offset + step, stages)

    def next_stage(self, state: State, steps: int) -> None:
        """Keep the end of a stage: `state`, of the one that follows."""
        self._trained = None
        self.stage, self.done, self.offset = state.stage, state.done, self.offset + steps
        self.save(state)

    def close(self) -> None:
        """Close the files; an unfinished run keeps them, and the lock until its end."""
        self.folder.close_history()
        if self._board is not None:
            self._board.close()
