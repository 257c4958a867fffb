"""Ids for each codec of npids, the file format in which PyTerrier keeps them."""

from __future__ import annotations

import hashlib
import uuid

DOC_IDS = [
    *(f"D{number}" for number in range(20)),
    *(f"msmarco_passage_01_{number}" for number in range(5, 25)),
]
DIGESTS = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(40)]
# npids takes ids for upper case whose first one ends in two digits
DIGESTS.sort(key=lambda digest: digest[-2:].isdigit() or digest[-1].isdigit())
#: One set of ids for each codec that npids has.
IDS = {
    "mixed": DOC_IDS,  # D0 ... msmarco_passage_01_24: fixed bytes with a prefix
    "sequence": [f"D{number}" for number in range(40)],
    "padded": [f"doc-{number:05d}" for number in range(40)],
    "stored": [str(7 * number + 300) for number in range(40)],
    "hex": DIGESTS,
    "uuid": [str(uuid.UUID(digest)) for digest in DIGESTS],
    "blocks": [*(f"D{number}" for number in range(300)), *(f"é{number}x" for number in range(60))],
}
