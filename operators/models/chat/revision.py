"""The revision of what the chat layer itself says, whichever operator asks."""

import hashlib

from thresher.operators.models.chat.filling import AGAIN, NOTHING
from thresher.operators.models.chat.messages import PROBE


def said_revision() -> str:
    """`chat-` and 8 hex digits of the request for a repair and of the probe that settles how choices are
    asked for. The faults that a repair names are not in it: they follow from the reply and the form."""
    said = "\n".join((AGAIN, NOTHING, PROBE))
    return f"chat-{hashlib.blake2b(said.encode(), digest_size=4).hexdigest()}"
