"""Collections: texts and judgments, one reader a source.

`open_collection` recognizes the source; a `Collection` is the same whatever it came from.
"""

from anisotropy.collection.base import Collection, Document, Qrels, Query
from anisotropy.collection.opening import open_collection

__all__ = ["Collection", "Document", "Qrels", "Query", "open_collection"]
