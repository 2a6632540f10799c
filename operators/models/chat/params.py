"""The parameters that every Measure of the chat role has; where the model is asked, and with which key."""

import os
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from thresher.operators.base import Params
from thresher.operators.models import weights
from thresher.operators.models.chat.chat import ChatModel
from thresher.operators.models.chat.endpoint import Endpoint
from thresher.operators.models.chat.local.folder import check_folder
from thresher.operators.models.chat.server import FREE, Prices
from thresher.schemas.errors import FieldError, ThresherError

_VARIABLE = "^([A-Za-z_][A-Za-z0-9_]*)?$"
_NAMED = "`key_env` is the name of an environment variable, not the key itself: put the key into that"


class Price(BaseModel):
    """What a million tokens cost, in any one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    input: float = Field(ge=0, description="of what is said to the model, pictures too")
    output: float = Field(ge=0, description="of what it answers")


class ChatParams(Params):
    """Which model, and where. Back end, model and the bytes of weights count for the fingerprint; the others
    change no value."""

    backend: Literal["endpoint", "transformers", "vllm"] = Field(
        "endpoint", description="a server, or `weights` in this process: with transformers, or vllm on CUDA"
    )
    model: str = Field("", description="the model's name at the endpoint; for weights, what to call them")
    weights: str | None = Field(
        None, description="a folder as `save_pretrained` writes it, or `hf:ORG/NAME@COMMIT`; not of endpoint"
    )
    endpoint: str = Field("", description="such as http://localhost:8000/v1: where `/chat/completions` lies")
    key_env: str = Field(
        "",
        pattern=_VARIABLE,
        description="the environment variable that holds the key; none is sent if left out",
    )
    timeout_s: float = Field(120, gt=0, description="how long one answer may take, s")
    price: Price | None = Field(
        None, description="of a million tokens, `{input: X, output: Y}`, for costs and `budget.money`"
    )

    @model_validator(mode="before")
    @classmethod
    def _no_key(cls, given: Any) -> Any:
        for name in ("api_key", "key") if isinstance(given, dict) else ():
            if name in given and name not in cls.model_fields:
                raise FieldError("a recipe holds no key", (name,), f"Write `key_env: NAME`. {_NAMED}")
        return given

    @field_validator("key_env", mode="before")
    @classmethod
    def _names_a_variable(cls, given: Any) -> Any:
        """Told here, without the value: pydantic would print what may be a key."""
        if not isinstance(given, str) or not re.fullmatch(_VARIABLE, given):
            raise FieldError("this is no name of a variable", ("key_env",), _NAMED)
        return given

    @property
    def local(self) -> bool:
        """Whether the model runs in this process."""
        return self.backend != "endpoint"

    @property
    def title(self) -> str:
        """What columns name as their back end."""
        return self.model or self.backend

    def revision(self) -> str:
        """Of the weights; empty for an endpoint, which does not tell."""
        return "" if self.weights is None else weights.revision(self.weights)

    def check(self, without: str) -> None:
        """Raise FieldError at plan time if nothing can be asked. `without`: what to do with no endpoint."""
        if self.local:
            self._check_local()
        else:
            self._check_endpoint(without)

    def connect(self, device: str = "cpu", batch: int = 0) -> ChatModel:
        """The model: on `device`, given `batch` requests at once (0: its default); or the endpoint, with the
        key from the environment. Raises ThresherError if that cannot be had."""
        if not self.local:
            return self._endpoint()
        from thresher.operators.models.chat.local.model import LocalModel
        from thresher.operators.models.chat.local.transformers_engine import TransformersEngine
        from thresher.operators.models.chat.local.vllm_engine import VllmEngine

        engine = TransformersEngine if self.backend == "transformers" else VllmEngine
        revision = f"{self.backend} {self.revision()}"
        return LocalModel(engine(self.weights or "", device, batch), self.title, revision)

    def key(self) -> str:
        """The key for the endpoint, from this process's environment; empty where none is to be sent. Raises
        ThresherError where the variable holds none."""
        key = os.environ.get(self.key_env, "").strip() if self.endpoint else ""
        if self.endpoint and self.key_env and not (key.isascii() and key.isprintable() and key):
            what = f"the environment variable {self.key_env} holds no key"
            raise ThresherError(what, self.endpoint, "Set it where the workers start, and run again")
        return key

    def _check_local(self) -> None:
        if self.endpoint:
            what = f"the back end {self.backend} has no endpoint"
            raise FieldError(what, ("endpoint",), "Remove it, or take `backend: endpoint`")
        if self.weights is None:
            raise FieldError(
                f"the back end {self.backend} needs `weights`", ("backend",), "Add `weights: PATH`"
            )
        needed = [("vllm", "vllm")]
        if self.backend == "transformers":
            needed = [(name, "models") for name in ("torch", "torchvision", "transformers", "xgrammar")]
        for package, extra in needed:
            weights.check_package(package, extra)
        check_folder(self.weights)

    def _check_endpoint(self, without: str) -> None:
        if self.weights is not None:
            mend = "Add `backend: transformers` (or vllm), or remove it"
            raise FieldError("an endpoint has no weights here", ("weights",), mend)
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
        base = self.endpoint.rstrip("/").removesuffix("/chat/completions")
        if base != self.endpoint.rstrip("/"):
            what = "the address of the chat itself is given, not the base, which ends in /v1"
            raise FieldError(what, ("endpoint",), f"Write `endpoint: {base}`")
        if not self.model:
            raise FieldError("no model is named", mend="Add `model: NAME`, as the server calls it")

    def _endpoint(self) -> Endpoint:
        prices = Prices(self.price.input, self.price.output) if self.price else FREE
        return Endpoint(self.endpoint, self.model, self.timeout_s, self.key(), self.key_env, prices)
