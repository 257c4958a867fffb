"""Upstream's tokenization as a ``tokenizer.json``, which any library reads as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anisotropy.encoders.tokenization import UpstreamTokenizer
from anisotropy.errors import CheckpointError

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
ROLES = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>", "pad": "<pad>"}
ROLES |= {"cls": "<s>", "mask": "<mask>"}


def fast_tokenizer(ours: UpstreamTokenizer, *, lowercase: bool, max_length: int) -> Any:
    """Tokenizer of transformers with the ids of `ours`.

    Parameters
    ----------
    ours
        Must hold all five special strings.
    lowercase
        Whether it lower-cases, as upstream's ``do_lower_case``.
    max_length
        Stated as its maximum, special tokens included.

    Raises
    ------
    CheckpointError
        If the vocabulary lacks one of the five special strings.
    """
    from transformers import PreTrainedTokenizerFast

    if missing := [name for name in SPECIALS if name not in ours.vocabulary]:
        raise CheckpointError(
            f"{ours.origin}: the vocabulary has no {missing[0]!r}; needed: {', '.join(SPECIALS)}"
        )
    tokens = {token: _special(token) for token in SPECIALS}
    return PreTrainedTokenizerFast(
        tokenizer_object=library_tokenizer(ours.vocabulary, ours.merges, lowercase=lowercase),
        model_max_length=max_length,
        **{f"{role}_token": tokens[name] for role, name in ROLES.items()},
    )


def library_tokenizer(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], *, lowercase: bool = True
) -> Any:
    """Tokenizer of the ``tokenizers`` library with the ids of `UpstreamTokenizer`.

    Lower-cases character by character, strips what Python calls whitespace at both ends and around
    special strings, and puts ``<s>`` and ``</s>`` around.

    Parameters
    ----------
    vocabulary, merges
        As `UpstreamTokenizer` has them.
    lowercase
        Whether it lower-cases.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    inner = Tokenizer(models.BPE(dict(vocabulary), list(merges), unk_token="<unk>"))
    spaces = "".join(f"\\x{{{i:x}}}" for i in range(0x110000) if chr(i).isspace())
    specials = "|".join(SPECIALS)
    steps = [
        normalizers.Replace(Regex(f"[{spaces}]+(?=\\z|{specials})"), ""),
        normalizers.Replace(Regex(f"(?<=\\A|{specials})[{spaces}]+"), ""),
    ]
    inner.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), *steps] if lowercase else steps
    )
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.add_special_tokens([_special(name) for name in SPECIALS])
    ends = [(name, vocabulary[name]) for name in ("<s>", "</s>")]
    inner.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    return inner


def _special(name: str) -> Any:
    from tokenizers import AddedToken

    # Upstream looks for special strings in the lower-cased text, hence `normalized`.
    return AddedToken(name, special=True, normalized=True)
