"""From a query or document to the text that is tokenized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anisotropy.encoders.recipe import Recipe
from anisotropy.errors import CollectionError

if TYPE_CHECKING:
    from anisotropy.collection import Document, Query


def query_text(query: Query, recipe: Recipe) -> str:
    """Return the prompt and the text of a query, right-stripped as upstream does."""
    _refuse_tokens(query.tokens, "query", query.query_id)
    text = _field(query.text, recipe)
    return recipe.query_prompt + (text.removesuffix("?") if recipe.drop_question_mark else text)


def document_text(document: Document, recipe: Recipe) -> str:
    """Return the prompt and the fields of a document, joined and cut as the recipe says.

    Leading empty fields are left out, so a collection without urls gives
    title + separator + text, and one without titles gives the text alone; an empty title after
    a url stays (upstream's ``url<sep><sep>text``). Where title and text are a pair (DPR), an empty
    title stays too: the text then begins with the separator.
    """
    _refuse_tokens(document.tokens, "document", document.doc_id)
    values = [_field(getattr(document, name), recipe) for name in recipe.fields]
    paired = recipe.tokenization == "pair" and recipe.fields[0] == "title"
    while len(values) > 1 and not values[0] and not paired:
        del values[0]
    joined = recipe.separator.join(values)
    limit = recipe.max_document_characters
    return recipe.document_prompt + (joined[:limit] if limit else joined)


def _refuse_tokens(tokens: tuple[int, ...] | None, what: str, name: str) -> None:
    if tokens is not None:
        raise CollectionError(
            f"{what} {name!r} has token ids and no text, which only an upstream checkpoint takes; "
            "give the folder of texts that it was made from"
        )


def _field(text: str, recipe: Recipe) -> str:
    valid = valid_text(text)
    return valid.rstrip() if recipe.tokenization == "upstream" else valid


def valid_text(text: str) -> str:
    """Replace lone surrogates, which no tokenizer takes, by question marks."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
