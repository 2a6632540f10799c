"""The parameters that every Measure of the chat role has; where the model is asked, and with which key."""

import os
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from thresher.operators.base import Params
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.server import FREE, Prices
from thresher.schemas.errors import FieldError, ThresherError


class Price(BaseModel):
    """What a million tokens cost, in any one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float = Field(ge=0, description="of what is said to the model, pictures too")
    output: float = Field(ge=0, description="of what it answers")


class ChatParams(Params):
    """Which model, and where. The model counts for the fingerprint; the others change no value."""

    model: str = Field("", description="the model's name at the endpoint")
    endpoint: str = Field("", description="such as http://localhost:8000/v1: where `/chat/completions` lies")
    key_env: str = Field(
        "",
        pattern="^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="the environment variable that holds the key; none is sent if left out",
    )
    timeout_s: float = Field(120, gt=0, description="how long one answer may take, s")
    price: Price | None = Field(
        None, description="of a million tokens, `{input: X, output: Y}`, for costs and `budget.money`"
    )

    def check(self, without: str) -> None:
        """Raise FieldError at plan time if nothing can be asked. `without`: what to do with no endpoint."""
        if not self.endpoint:
            mend = f"Add `endpoint: http://HOST:PORT/v1` and `model: NAME`. {without}"
            raise FieldError("it asks a model, and no endpoint is given", mend=mend)
        address = urlsplit(self.endpoint)
        if address.scheme not in ("http", "https") or not address.hostname:
            mend = "Write http://HOST:PORT/v1 or https://HOST/v1"
            raise FieldError(f"{self.endpoint!r} is no address of a server", ("endpoint",), mend)
        if "@" in address.netloc or address.query or address.fragment:
            what = "an address with a password or with parameters would be written to the run's files"
            mend = "Put the key into an environment variable, and name that in `key_env`"
            raise FieldError(what, ("endpoint",), mend)
        if not self.model:
            raise FieldError("no model is named", mend="Add `model: NAME`, as the server calls it")

    def connect(self) -> Endpoint:
        """The endpoint, with the key from the environment. Raises ThresherError if that has none."""
        key = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        if self.key_env and not (key.isascii() and key.isprintable() and key):
            what = f"the environment variable {self.key_env} holds no key"
            raise ThresherError(what, self.endpoint, "Set it where the workers start, and run again")
        prices = Prices(self.price.input, self.price.output) if self.price else FREE
        return Endpoint(self.endpoint, self.model, self.timeout_s, key, self.key_env, prices)
