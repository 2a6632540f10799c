"""Why a record was dropped or failed: the one documented list.

A recipe may add reasons of its own as `custom.<name>`.
"""

from enum import StrEnum

from thresher.schemas.errors import nearest


class Reason(StrEnum):
    """One reason to drop or, from `EMPTY_FILE` on, to fail a record; `meaning` says it in words."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> "Reason":
        reason = str.__new__(cls, name)
        reason._value_, reason.meaning = name, meaning
        return reason

    TOO_SMALL = "too_small", "short side below the bound"
    TOO_LARGE = "too_large", "larger than the bound"
    ASPECT = "aspect", "aspect ratio out of bounds"
    OVER_EXPOSED = "over_exposed", "too many clipped highlights"
    UNDER_EXPOSED = "under_exposed", "too dark"
    OVER_SATURATED = "over_saturated", "colours beyond the bound"
    BLACK = "black", "near-black"
    BLURRY = "blurry", "too little detail"
    NOISY = "noisy", "too much noise"
    BLOCKY = "blocky", "JPEG artefacts"
    UPSCALED = "upscaled", "enlarged from a smaller image"
    LOW_ENTROPY = "low_entropy", "nearly empty image"
    BORDERED = "bordered", "a uniform frame"
    LETTERBOXED = "letterboxed", "uniform bars"
    COLLAGE = "collage", "several pictures in one"
    MONOCHROME = "monochrome", "no colour"
    OVER_COMPRESSED = "over_compressed", "too few bits for each pixel"
    DUPLICATE_EXACT = "duplicate_exact", "equal bytes or equal pixels; names its keeper"
    DUPLICATE_NEAR = "duplicate_near", "equal to the eye; names its keeper"
    PLACEHOLDER = "placeholder", "one of more than 10,000 equal files; value = the size of the group"
    TEXT_DENSE = "text_dense", "covered by text"
    WATERMARK = "watermark", "a visible watermark"
    LOGO = "logo", "a visible logo"
    AIGC = "aigc", "made by a generator"
    AIGC_SOURCE = "aigc_source", "from a source with many generated images; value = the share that is sure"
    UNCLEAR = "unclear", "low clarity score"
    UNAESTHETIC = "unaesthetic", "low aesthetic score"
    NSFW = "nsfw", "not safe for work"
    LANGUAGE = "language", "text in an unwanted language"
    TEXT_MISMATCH = "text_mismatch", "image and text disagree"
    ABNORMAL = "abnormal", "QR code, barcode or mosaic"
    LOW_QUALITY = "low_quality", "below a quality bound"
    LICENCE = "licence", "licence not allowed"
    REMOVED = "removed", "removed on request"
    SUPERSEDED = "superseded", "older version of a changed file"
    QUOTA = "quota", "beyond the number wanted"
    BALANCE = "balance", "left out by balancing"
    CAPTION_FAILED = "caption_failed", "no caption passed its checks; value = the check"
    EMPTY_FILE = "empty_file", "zero bytes, or a text without words"
    NOT_MEDIA = "not_media", "the content is no known medium"
    CORRUPT = "corrupt", "cannot be decoded"
    TRUNCATED = "truncated", "ends before its data does"
    TRUNCATED_CONTAINER = "truncated_container", "the archive ends early"
    UNREADABLE = "unreadable", "cannot be opened"
    NO_DECODER = "no_decoder", "a decoder is missing; the message names the extra"
    TOO_MANY_PIXELS = "too_many_pixels", "refused from the header"
    TOO_MANY_BYTES = "too_many_bytes", "larger than the limit"
    UNSAFE_MEMBER = "unsafe_member", "path, link or device in an archive"
    KILLED_WORKER = "killed_worker", "killed the decoding process twice"
    TIMEOUT = "timeout", "decoding took too long"
    MISSING_SOURCE = "missing_source", "the file has vanished"
    BAD_COLUMNS = "bad_columns", "the row lacks a field, or holds it in no form that is known"
    BAD_VALUE = "bad_value", "NaN or infinity in a column"
    UNPARSED = "unparsed", "a model's reply holds no answer of the form asked for, twice"
    REPLY_TRUNCATED = "reply_truncated", "a model's reply was cut, with twice the tokens too"
    REFUSED = "refused", "the model refused"
    FILTERED = "filtered", "the endpoint's content filter refused"
    RATE_LIMITED = "rate_limited", "the endpoint's rate limit, again and again"
    NOT_TAKEN = "not_taken", "the endpoint does not take the request, but those of others"
    ENDPOINT_TIMEOUT = "endpoint_timeout", "the endpoint answers others, but not this, again and again"


_DROPS = list(Reason).index(Reason.EMPTY_FILE)
DROPPED: dict[Reason, str] = {reason: reason.meaning for reason in list(Reason)[:_DROPS]}
FAILED: dict[Reason, str] = {reason: reason.meaning for reason in list(Reason)[_DROPS:]}

_MAY_PASS = (Reason.MISSING_SOURCE, Reason.UNREADABLE, Reason.NO_DECODER)
TRANSIENT = frozenset({*_MAY_PASS, Reason.RATE_LIMITED, Reason.ENDPOINT_TIMEOUT})
"""Failures that the next run asks again."""


def check_drop_reason(name: str) -> str | None:
    """None if `name` may stand in a recipe's `drop`, else what is wrong with it."""
    if name.startswith("custom.") and len(name) > 7:
        return None
    if name in set(DROPPED):
        return None
    hint = nearest(name, [str(r) for r in DROPPED]) or f"Use custom.{name} for a reason of your own."
    return f"{name!r} is not a known reason. {hint}"
