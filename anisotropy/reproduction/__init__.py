"""The paper's checkpoints trained or given, analyzed, and each of its claims decided."""

from anisotropy.reproduction.plan import Plan, make_plan
from anisotropy.reproduction.reproducing import Given, reproduce

__all__ = ["Given", "Plan", "make_plan", "reproduce"]
