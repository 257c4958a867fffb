"""What `convert` writes beside vectors, for whoever reads them: how they are compared."""

from __future__ import annotations

from typing import Any

from anisotropy.errors import InputError
from anisotropy.spaces.space import SIMILARITIES
from anisotropy.untrusted.texts import parse_json

#: Key of a schema's metadata.
KEY = b"anisotropy"
#: Name of an array.
ARRAY = "about"
_LARGEST = 2**20


def stated_similarity(text: object) -> str | None:
    """The similarity in a JSON text of ours; None where it is another's, or says nothing known."""
    if not isinstance(text, str | bytes) or len(text) > _LARGEST:
        return None
    try:
        values: Any = parse_json(text, "about")
    except InputError:
        return None
    recipe = values.get("recipe") if isinstance(values, dict) else None
    found = recipe.get("similarity") if isinstance(recipe, dict) else None
    return found if isinstance(found, str) and found in SIMILARITIES else None
