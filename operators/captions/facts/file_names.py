"""Names of files and addresses: what they say of a picture, and texts that are nothing else."""

import re

_NO_WORD = frozenset(
    [
        *("img", "image", "images", "photo", "photos", "picture", "pictures", "pic", "pics", "dsc", "dcim"),
        *("dscn", "pxl", "copy", "final", "edit", "edited", "untitled", "new", "scan", "screenshot", "data"),
        *("train", "test", "val", "part", "file", "files", "upload", "uploads", "download", "downloads"),
        *("jpg", "jpeg", "png", "webp", "tmp", "temp", "http", "https", "www", "com"),
    ]
)
"""In names of files and folders they say nothing of what is seen."""
_WORD = re.compile(r"[^\W\d_]{3,}|[\u3400-\u9fff]+")
_FILE_NAME = re.compile(
    r"(?:\S+|[\w-]+ ?\(\d+\))\.(?:jpe?g|png|webp|gif|bmp|tiff?|hei[cf]|avif|jxl|dng|cr2|nef|arw)"
    r"|(?:img|_?mg|dsc[nf]?|dcim|pxl|mvimg|gopr|dji|screenshot|image|photo|i?stock-?photo"
    r"|shutterstock|微信图片|屏幕截图|截图)[-_ ]?\d[\w~()-]*|p\d{7}"
    r"|screen ?shot \d{4}-\d\d-\d\d at [\d.]+(?: ?[ap]m)?"
    r"|[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    re.IGNORECASE,
)
"""With a picture's extension; as cameras count; a hash."""
_URL = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Whether a text is an address and nothing else."""
    return bool(_URL.fullmatch(text.strip()))


def is_name(text: str) -> bool:
    """Whether a text is the name of a file and nothing else, such as `IMG_0042.JPG`: nobody wrote it."""
    return bool(_FILE_NAME.fullmatch(text.strip())) and not is_url(text)


def by_people(text: str) -> bool:
    """Whether somebody may have written a text that came with a picture: no blanks, file name or address."""
    return bool(text.strip()) and not is_name(text) and not is_url(text)


def name_words(key: str) -> str:
    """Words of the file's name and its folder: three letters or more (Han: any), none of `_NO_WORD`."""
    path = key.replace("\\", "/").partition("#")[0]
    parts = path.rpartition(".")[0].split("/") if "." in path.rpartition("/")[2] else path.split("/")
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", " ".join(parts[-2:]))
    found = [word.casefold() for token in re.split(r"[^\w]|_", spaced) for word in _words_of(token)]
    return " ".join(dict.fromkeys(word for word in found if word not in _NO_WORD))


def _words_of(token: str) -> list[str]:
    """None of a code such as `a3f9c`, where letters and digits take turns."""
    return _WORD.findall(token) if len(re.findall(r"\d+", token)) < 2 else []
