"""Documents people write: read YAML or JSON, validate with every fault listed, write whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import Fault, InputError


class Document(BaseModel):
    """Base of every document: immutable, unknown words are faults, no NaN and no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @cached_property
    def digest(self) -> str:
        """sha256 of what the document means; see :func:`sha256_of`."""
        return sha256_of(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; what was worked out of the original and kept is worked out anew for a changed one.

        Parameters
        ----------
        update, deep
            As pydantic has them.
        """
        copy = super().model_copy(update=update, deep=deep)
        for name in set(copy.__dict__) - set(type(self).model_fields) if update else ():
            del copy.__dict__[name]
        return copy


DocumentT = TypeVar("DocumentT", bound=BaseModel)


def faults_of(error: ValidationError, prefix: str = "") -> list[Fault]:
    """Return every fault of a pydantic error, with its path in the document.

    Parameters
    ----------
    error
        What pydantic raised.
    prefix
        Path of the validated part inside the whole document.
    """
    faults: list[Fault] = []
    items = error.errors(include_url=False)
    for item in items:
        inside = [other for other in items if other["loc"][: len(item["loc"])] == item["loc"]]
        if item["type"] == "too_short" and len(inside) > 1:
            continue  # what is listed inside it is wrong, not that there is too little
        nested = item.get("ctx", {}).get("error")
        if isinstance(nested, InputError):
            faults.extend(nested.faults)
            continue
        # Parts in angle brackets name the alternative of a union, not a place in the document.
        path = ".".join(str(part) for part in item["loc"] if not str(part).startswith("<"))
        full = f"{prefix}.{path}" if prefix and path else prefix or path
        given = item.get("input")
        shown = "" if isinstance(given, dict | list) or given is None else f" (given: {given!r})"
        faults.append(Fault(full, item["msg"] + shown))
    return faults


def validate(kind: type[DocumentT], data: object, what: str) -> DocumentT:
    """Turn plain data into a document, or raise with every fault.

    Parameters
    ----------
    kind
        Class of the document.
    data
        Plain data, as JSON or YAML gives it.
    what
        Name shown in the error.

    Raises
    ------
    InputError
        With every fault and its path.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise InputError(faults_of(error), what) from None


def read(path: Path) -> Any:
    """Read a YAML or JSON file as plain data.

    Parameters
    ----------
    path
        File with suffix ``.yaml``, ``.yml`` or ``.json``.

    Raises
    ------
    InputError
        If the file is missing, unreadable, truncated, or not of the format its name says.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Fault("", f"cannot read {path}: {error}")], str(path)) from None
    return parse(text, str(path), is_json=path.suffix == ".json")


def parse(text: str, what: str, *, is_json: bool) -> Any:
    """Turn the text of a YAML or JSON document into plain data.

    Parameters
    ----------
    text
        The document.
    what
        Name shown in the error.
    is_json
        Whether it is JSON; YAML otherwise.

    Raises
    ------
    InputError
        If the text is damaged, or names a key twice.
    """
    try:
        if is_json:
            return json.loads(text, object_pairs_hook=_no_duplicates)
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError([Fault("", f"not valid {'JSON' if is_json else 'YAML'}: {error}")], what) from None


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"key given twice: {', '.join(twice)}")
    return seen


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader to which a key given twice is a fault."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    pairs = [
        (loader.construct_object(key, deep=True), loader.construct_object(value, deep=True))
        for key, value in node.value
    ]
    try:
        return _no_duplicates(pairs)
    except (ValueError, TypeError) as error:
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None


# YAML 1.1 reads 4e9 as text; people and YAML 1.2 read it as a number.
_UniqueKeyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def canonical(data: object) -> str:
    """Return the one JSON text of plain data: keys sorted, no spaces, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_of(document: BaseModel) -> str:
    """Return the digest of what a document means: canonical JSON without defaults, prose and origins."""
    data = document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    meaning = {key: _bare(value) for key, value in data.items() if key not in ("description", "source")}
    return hashlib.sha256(canonical(meaning).encode()).hexdigest()


def _bare(value: Any) -> Any:
    """Drop the origins of quantities: where a number comes from does not change what it says."""
    if isinstance(value, dict):
        if "value" in value and set(value) <= {"value", "source", "estimate", "measured"}:
            return value["value"]
        return {key: _bare(part) for key, part in value.items()}
    return [_bare(part) for part in value] if isinstance(value, list) else value


def write_text(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path
        Target; its folder is made if missing.
    text
        Content.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the file exists and may not be replaced, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise InputError([Fault("", f"{path} exists; give another name or allow overwriting")], str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError([Fault("", f"cannot write {path}: {error}")], str(path)) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        raise InputError([Fault("", f"cannot write {path}: {error}")], str(path)) from None


def dump_json(data: Mapping[str, Any] | list[Any]) -> str:
    """Return indented JSON text with a newline at the end; no NaN, no infinity."""
    return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
