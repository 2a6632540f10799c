"""A YAML 1.2 mapping as plain data that knows where each value was written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from thresher.schemas.errors import UsageError, nearest

Keys = tuple[str | int, ...]
"""A way through mappings and lists, such as `("tables", "images", "steps", 2)`."""

CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass
class Document:
    """One mapping with text keys. `data` may be changed by `set`; `where` then tells who did it."""

    name: str
    data: dict[str, Any]
    node: Node
    overrides: dict[Keys, str] = field(default_factory=dict)

    def where(self, keys: Keys) -> str:
        """`FILE:LINE` of the value at `keys`, or of what encloses it; or the override that set it."""
        for end in range(len(keys), 0, -1):
            if keys[:end] in self.overrides:
                return self.overrides[keys[:end]]
        node, line = self.node, self.node.start_mark.line
        for i, key in enumerate(keys):
            child = _child(node, key)
            if child is None:
                within = (origin for k, origin in self.overrides.items() if k[: i + 1] == keys[: i + 1])
                return next(within, f"{self.name}:{line + 1}")
            node, line = child
        return f"{self.name}:{line + 1}"

    def set(self, keys: Keys, value: Any, origin: str) -> None:
        """Put `value` at `keys`, making the mappings on the way; `origin` is what `where` answers."""
        target: Any = self.data
        try:
            for i, key in enumerate(keys[:-1]):
                if isinstance(target, dict) and target.get(key) is None:
                    target[key] = {}
                target = target[key]
                if not isinstance(target, dict | list):
                    whole = ".".join(map(str, keys[: i + 1]))
                    raise UsageError(f"{whole} is {target!r} and holds nothing inside", origin)
            target[keys[-1]] = value
        except (KeyError, IndexError, TypeError) as error:
            raise UsageError("leads nowhere in the config", origin) from error
        self.overrides[keys] = origin


def read(path: Path) -> Document:
    """The mapping in a YAML file. Raises UsageError with the line of what is wrong."""
    name = str(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", name) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError("is not UTF-8 text", f"{name}:{line}") from error
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    """The mapping in YAML `text`; `name` stands for it in messages. Raises UsageError."""
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
        if node is None:
            raise UsageError("is empty", f"{name}:1", "The bundled ones in configs/ are examples")
        if not isinstance(node, MappingNode):
            what = "is not a mapping of keys to values"
            raise UsageError(what, _at(name, node), "Write lines like `key: value`")
        return Document(name, _plain(node, yaml.constructor.construct_object, name), node)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UsageError(f"is not valid YAML: {error.problem}", where) from error
    except YAMLError as error:
        raise UsageError(f"is not valid YAML: {' '.join(str(error).split())}", name) from error
    except RecursionError as error:
        raise UsageError("is nested too deeply, or an alias contains itself", name) from error


def value(text: str) -> Any:
    """A value from a command line: a YAML scalar, or a list or mapping in brackets.

    Text that YAML would split or cut (`a: b`, `a # b`) stays as it is, since predicates hold such.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        parsed = yaml.load(text)
    except YAMLError:
        return text
    whole = not isinstance(parsed, str | dict | list) or text.lstrip()[:1] in ("'", '"', "[", "{")
    return parsed if whole else text


def assignment(override: str) -> tuple[str, str]:
    """Way and text of a `--set WAY=TEXT`. Raises UsageError."""
    way, equals, text = override.partition("=")
    if not equals or not way.strip():
        raise UsageError(f"{override!r} sets nothing", "--set", "Write --set PATH=VALUE")
    return way.strip(), text


def find(name: str | Path, folder: Path, what: str) -> Path:
    """The file at the path `name`, or the bundled one of that name in `folder`. Raises UsageError."""
    path = Path(name)
    if path.is_file():
        return path
    bundled = folder / f"{name}.yaml"
    if path.name == str(name) and bundled.is_file():
        return bundled
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    beside = sorted(str(p) for p in path.parent.glob("*.yaml"))
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a {what}", mend=nearest(str(path), beside))
    mend = nearest(str(name), beside + known) or f"Give a path, or one of: {', '.join(known)}"
    raise UsageError(f"there is no {what} {str(name)!r}", mend=mend)


def _plain(node: Node, scalar: Callable[[Node], Any], name: str) -> Any:
    """Nodes as plain data; keys are always text, as in JSON."""
    if isinstance(node, ScalarNode):
        if any("\ud800" <= letter <= "\udfff" for letter in node.value):
            raise UsageError(f"{node.value!a} holds half of a character", _at(name, node), "Remove it")
        return scalar(node)
    if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
        raise UsageError(f"the tag {node.tag!r} has no place here", _at(name, node), "Remove it")
    if not isinstance(node, MappingNode):
        return [_plain(item, scalar, name) for item in node.value]
    data: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key, child in node.value:
        if not isinstance(key, ScalarNode):
            raise UsageError("a key must be plain text", _at(name, key))
        if key.value in data:
            what = f"the key {key.value!r} occurs twice, first in line {lines[key.value]}"
            raise UsageError(what, _at(name, key), "Remove or rename one of them")
        lines[key.value] = key.start_mark.line + 1
        data[key.value] = _plain(child, scalar, name)
    return data


def _child(node: Node, key: str | int) -> tuple[Node, int] | None:
    """The node at `key` and the line, from 0, where it starts (of its key in a mapping)."""
    if isinstance(node, MappingNode):
        for k, child in node.value:
            if k.value == key:
                return child, k.start_mark.line
    if isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key].start_mark.line
    return None


def _at(name: str, node: Node) -> str:
    return f"{name}:{node.start_mark.line + 1}"
