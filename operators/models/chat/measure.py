"""A Measure that asks a model about each record: `prepare` says what, `work` holds the conversation."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from thresher.operators.base import Failure
from thresher.operators.models.chat.chat import Chat, ChatModel
from thresher.operators.models.chat.params import ChatParams
from thresher.operators.models.model import Input, ModelMeasure


class ChatMeasure(ModelMeasure):
    """Base of captioners, judges and rewriters; `params_model` is a ChatParams."""

    params_model: ClassVar[type[ChatParams]] = ChatParams
    device = "cpu"
    batch = 256
    """Records whose conversations are under way or wait; so many prepared pictures are held."""
    filled = False

    @abstractmethod
    async def work(self, chat: Chat, item: Input) -> Mapping[str, Any] | Failure:
        """Column -> value of one record, of what `prepare` made."""

    def load(self, device: str) -> ChatModel:
        model: ChatModel = self.params.connect()
        return model

    def spent(self, model: ChatModel) -> Mapping[str, float]:
        return model.spent

    def forward(self, model: ChatModel, inputs: Sequence[Input]) -> Mapping[str, Sequence[Any]]:
        rows = model.each(inputs, self.work)
        names = [column.name for column in self.writes()]
        return {name: [row[name] if isinstance(row, Mapping) else row for row in rows] for name in names}
