"""What the verdicts of `caption.check` hang on besides its prompts."""

import json
from functools import cache

from thresher.operators.captions.verify import claims, decoys, gate
from thresher.operators.captions.verify.planted import DRAWN


@cache
def judged_by() -> str:
    """Hints, bounds, decoys and the statements of the gate, as text: another one gives other verdicts."""
    stated = [kinds for _, *kinds in DRAWN]
    bounds = (gate.LEAST_YES, decoys.MOST_YES)
    return json.dumps([claims.ASKED_BY, decoys.MADE_OF, bounds, stated], sort_keys=True)
