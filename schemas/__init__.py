"""Arrow schemas and the vocabulary that every other room shares. Imports nothing of them."""

from thresher.schemas.columns import Column
from thresher.schemas.errors import FieldError, ThresherError, UsageError
from thresher.schemas.reasons import Reason
from thresher.schemas.records import Media, Record

__all__ = ["Column", "FieldError", "Media", "Reason", "Record", "ThresherError", "UsageError"]
