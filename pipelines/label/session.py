"""One labelling session: the queue, the answers, the pictures, and a head that is fitted in between."""

import base64
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thresher.operators.base import View
from thresher.pipelines.execute.pictures import Pictures
from thresher.pipelines.label.answers import Answers
from thresher.pipelines.label.captions import Shown
from thresher.pipelines.label.queue import Queue
from thresher.schemas.errors import ThresherError

RGB = View("rgb", 512)
QUALITY = 85


class Session:
    """What the page asks for. Every method may be called from any thread."""

    def __init__(
        self,
        queue: Queue,
        answers: Answers,
        classes: list[str],
        pictures: Pictures,
        fits: bool,
        captions: Mapping[bytes, Shown] | None = None,
    ) -> None:
        """`captions`: the text of each record, where texts are rated and not pictures."""
        self._captions = captions
        self._queue, self._answers, self._classes, self._fits = queue, answers, classes, fits
        self._pictures, self._lock = pictures, threading.Lock()
        self._current: tuple[int, str, str] | None = None
        """Place, how it was chosen, picture."""
        self._done: list[int | None] = []
        """What `undo` takes back: the place of a skipped picture, or None for an answer."""
        self._hidden = 0
        self._fitting = False
        self._fit()

    def state(self) -> dict[str, Any]:
        """The picture to be shown, and how far one is."""
        with self._lock:
            self._advance()
            counts = Counter(self._answers.of.values())
            told: dict[str, Any] = {
                "classes": self._classes,
                "counts": [counts[c] for c in self._classes],
                "left": self._queue.left(self._answers.of),
                "undo": bool(self._done or self._answers.of),
                "hidden": self._hidden,
                "id": None,
            }
            if self._current is not None:
                place, chosen, picture = self._current
                row = self._queue.records.rows[place]
                told |= {"id": row["id"].hex(), "name": f"{row['source']}/{row['key']}"}
                told |= {"picture": picture, "chosen": chosen}
                if self._captions is not None:
                    told["caption"] = self._captions[row["id"]]._asdict()
            return told

    def answer(self, record: str, label: str, wrong: Collection[str] = ()) -> bool:
        """Take an answer, and claims that are wrong; False if it is not about the picture that is shown."""
        with self._lock:
            if self._shown(record) is None or label not in self._classes:
                return False
            known = self._captions[bytes.fromhex(record)].claims if self._captions else []
            self._answers.add(bytes.fromhex(record), label, [c["id"] for c in known if c["id"] in wrong])
            self._done.append(None)
            self._current = None
        self._fit()
        return True

    def skip(self, record: str) -> bool:
        """Pass the picture by until the next session."""
        with self._lock:
            place = self._shown(record)
            if place is None:
                return False
            self._queue.passed.add(place)
            self._done.append(place)
            self._current = None
            return True

    def undo(self) -> None:
        """Take back the last answer, or skip; its picture is shown again."""
        with self._lock:
            place = self._done.pop() if self._done else None
            if place is not None:
                self._queue.passed.discard(place)
            elif (record := self._answers.undo()) is not None:
                place = self._queue.place(record)
            if place is not None:
                picture = self._picture(place)
                self._current = None if picture is None else (place, "once more", picture)

    def count(self) -> int:
        """How many answers there are."""
        return len(self._answers.of)

    def close(self) -> None:
        """End the child and let the file go."""
        with self._lock:
            self._pictures.close()
            self._answers.close()

    def _shown(self, record: str) -> int | None:
        if self._current is None:
            return None
        place = self._current[0]
        return place if self._queue.records.ids[place].hex() == record else None

    def _advance(self) -> None:
        """Choose a picture, if none is shown; one that cannot be opened is passed."""
        while self._current is None:
            place, chosen = self._queue.next(self._answers.of)
            if place is None:
                return
            picture = self._picture(place)
            if picture is None:
                self._queue.passed.add(place)
                self._hidden += 1
            else:
                self._current = place, chosen, picture

    def _picture(self, place: int) -> str | None:
        try:
            found: str | None = self._pictures.ask(self._queue.records.rows[place], RGB, data_url)
        except ThresherError:
            return None
        return found

    def _fit(self) -> None:
        """Fit a head on the answers, in a thread of its own, unless one is at work."""
        with self._lock:
            if not self._fits or self._fitting:
                return
            self._fitting, answers = True, dict(self._answers.of)

        def work() -> None:
            try:
                doubt = self._queue.doubts(answers)
            finally:
                self._fitting = False
            self._queue.doubt = doubt
            if len(self._answers.of) != len(answers):
                self._fit()

        threading.Thread(target=work, daemon=True).start()


def data_url(pixels: NDArray[np.uint8]) -> str:
    """Runs in the child: the picture as JPEG in a data URL."""
    import cv2

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
