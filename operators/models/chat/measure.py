"""A Measure that asks a model about each record: `prepare` says what, `work` holds the conversation."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

from thresher.operators.base import Failure, Params
from thresher.operators.models.chat import settings
from thresher.operators.models.chat.chat import Chat, ChatModel
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.models.chat.revision import said_revision
from thresher.operators.models.model import Input, ModelMeasure
from thresher.operators.models.resident import profile_batch


class ChatMeasure(ModelMeasure):
    """Base of captioners, judges and rewriters; `params_model` is a ChatParams."""

    params_model: ClassVar[type[ChatParams]] = ChatParams
    device: Literal["any", "cpu"] = "cpu"
    batch = 256
    """Records whose conversations are under way or wait; so many prepared pictures are held. At least four
    for each request in flight: at the end of a batch there are fewer than that to ask about."""
    filled = False

    def __init__(self, params: Params | None = None) -> None:
        super().__init__(params)
        self.batch = max(self.batch, 4 * settings.current().in_flight)
        if self.params.local:
            self.device = "any"
        if self.params.backend == "transformers":
            self.batch = 64  # these take minutes, and a killed process loses them

    @abstractmethod
    async def work(self, chat: Chat, item: Input) -> Mapping[str, Any] | Failure:
        """Column -> value of one record, of what `prepare` made."""

    def asks(self) -> str:
        """Revision of what is said to the model: of prompts and forms, see `messages.prompt_revision`."""
        return ""

    @property
    def _by_model(self) -> bool:
        """Whether a model is asked with these parameters."""
        return True

    def revision(self) -> str:
        return self._revision

    @cached_property
    def _revision(self) -> str:
        said = said_revision() if self._by_model else ""
        return " ".join(filter(None, (self.asks(), said, self.params.revision())))

    def load(self, device: str) -> ChatModel:
        model: ChatModel = self.params.connect(device, profile_batch())
        return model

    def spent(self, model: ChatModel) -> Mapping[str, float]:
        return model.spent

    def each_spent(self, model: ChatModel) -> Sequence[Mapping[str, float]]:
        return model.each_spent

    def forward(self, model: ChatModel, inputs: Sequence[Input]) -> Mapping[str, Sequence[Any]]:
        rows = model.each(inputs, self.work)
        names = [column.name for column in self.writes()]
        return {name: [row[name] if isinstance(row, Mapping) else row for row in rows] for name in names}
