"""A batch of requests to a model in this process: who does not fit, or cannot be read, fails alone."""

from collections.abc import Sequence

from thresher.operators.base import Failure
from thresher.operators.models.chat.local.engine import Chances, Choose, Engine, Fill
from thresher.operators.models.chat.messages import probe
from thresher.operators.models.chat.replies import Reply
from thresher.operators.models.chat.wire import clean
from thresher.operators.models.resident import TooLarge, out_of_memory
from thresher.schemas import Reason
from thresher.schemas.errors import ThresherError

Request = Fill | Choose
Answer = Reply | Chances | Failure


class Answers:
    """What an engine answers. `name`: of the model, for errors."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self._name = engine, name

    def to(self, asked: Sequence[Request]) -> list[Answer]:
        """The answers in order. Raises ThresherError where it is the model's fault, not that of a request:
        where none of the batch is answered, nor is a grey picture."""
        found = self._halved(asked)
        errors = [one for one in found if isinstance(one, Exception)]
        if len(errors) == len(found):
            trial = self._halved([_probe(asked[0])])[0]
            if isinstance(trial, Exception):
                raise self._fault(trial) from trial
        return [self._failure(one) if isinstance(one, Exception) else one for one in found]

    def _halved(self, asked: Sequence[Request]) -> list[Reply | Chances | Exception]:
        """What each is answered or met with, in batches that are halved until they pass."""
        try:
            return self._answered(asked)
        except ThresherError:
            raise
        except Exception as error:
            full = out_of_memory(error)
            if full:
                self.engine.clear()
            if len(asked) == 1:
                return [error]
            half = (len(asked) + 1) // 2
            if full:
                self.engine.batch = min(self.engine.batch, half)
        return self._halved(asked[:half]) + self._halved(asked[half:])

    def _answered(self, asked: Sequence[Request]) -> list[Reply | Chances | Exception]:
        fills = [one for one in asked if isinstance(one, Fill)]
        choices = [one for one in asked if isinstance(one, Choose)]
        replies = iter(self.engine.fill(fills) if fills else [])
        chances = iter(self.engine.choose(choices) if choices else [])
        return [next(replies) if isinstance(one, Fill) else next(chances) for one in asked]

    def _failure(self, error: Exception) -> Failure:
        if out_of_memory(error):
            return Failure(Reason.TOO_MANY_PIXELS, f"it does not fit into memory beside {self._name}")
        return Failure(Reason.BAD_VALUE, f"{type(error).__name__}: {clean(str(error))}")

    def _fault(self, error: Exception) -> ThresherError:
        if out_of_memory(error):
            mend = "Choose a smaller model, or a device with more memory"
            return TooLarge("there is no memory left to answer even one request", self._name, mend)
        what = f"it answers nobody: {type(error).__name__}: {clean(str(error))}"
        return ThresherError(what, self._name, "Check that the folder holds a whole vision-language model")


def _probe(asked: Request) -> Request:
    """The same question about a grey picture."""
    if isinstance(asked, Fill):
        return asked._replace(messages=(probe(True),), max_tokens=1)
    return asked._replace(messages=(probe(True),))
