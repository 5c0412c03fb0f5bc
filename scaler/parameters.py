"""The one mechanism by which texts become a frozen dataclass: trigger metadata, settings, sources.

A field is declared once, where it lives::

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Example:
        threshold: float = parameter("threshold", number(minimum=0.001), doc="Load per replica.")
        lead_time: float = parameter("leadTime", duration(), default=180.0, doc="...")

and `Schema(Example).read(texts)` gives the values and **all** problems, in words that stand alone. The
reference pages are rendered from the same declarations, by `scaler.reference`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from scaler.kinds import Kind, Unreadable, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["REQUIRED", "Parameter", "Reading", "Schema", "bounded", "nearest", "parameter"]

T = TypeVar("T")
_Given: TypeAlias = tuple[str, object, bool]  # name, value, the value is given in plain

MAX_NAMES = 128  # names in one reading; a trigger has about forty to give
MAX_PROBLEMS = 16
MAX_TOLD = 6000  # bytes of one error's text: gRPC sends it in a trailer, of which clients take 8 KiB in all
_FAMILY_MEMBER = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_COMPARED = 64  # characters of an unknown name that are compared with the known ones


class _Required:
    """Says that a parameter has no default."""


REQUIRED = _Required()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What is declared of one field.

    Attributes:
        name: Its name outside; of a family (`many`), the prefix of the names.
        field: The attribute that holds it.
        kind: How its text is read.
        default: Its value where nothing is given, or REQUIRED.
        aliases: Other names with the same meaning.
        secret: Never given in plain, never shown.
        private: May be given in plain but is never shown.
        many: A family: every name that starts with `name` belongs to it; the value is (rest, value) pairs.
        group: The heading that it stands under in the reference.
        doc: What it means.
    """

    name: str
    field: str
    kind: Kind[object]
    default: object
    aliases: tuple[str, ...]
    secret: bool
    private: bool
    many: bool
    group: str
    doc: str

    @property
    def required(self) -> bool:
        """It has no default."""
        return self.default is REQUIRED


def parameter(
    name: str,
    kind: Kind[T],
    *,
    default: T | _Required = REQUIRED,
    doc: str,
    group: str = "",
    aliases: tuple[str, ...] = (),
    secret: bool = False,
    private: bool = False,
) -> T:
    """Declares a dataclass field that is read from a text. Arguments as in Parameter."""
    declared = {
        "name": name,
        "kind": kind,
        "default": default,
        "aliases": aliases,
        "secret": secret,
        "private": private,
        "many": False,
        "group": group,
        "doc": doc,
    }
    return cast("T", _field(declared, default, hidden=secret or private))


def family(prefix: str, kind: Kind[T], *, doc: str, group: str = "") -> tuple[tuple[str, T], ...]:
    """Declares a dataclass field that collects every name with the prefix, as (rest of it, value) pairs."""
    declared = {
        "name": prefix,
        "kind": kind,
        "default": (),
        "aliases": (),
        "secret": False,
        "private": False,
        "many": True,
        "group": group,
        "doc": doc,
    }
    return cast("tuple[tuple[str, T], ...]", _field(declared, (), hidden=False))


def _field(declared: dict[str, Any], default: object, *, hidden: bool) -> Any:  # noqa: ANN401 - as dataclasses.field: its result stands for a value of any type
    if default is REQUIRED:
        return field(repr=not hidden, metadata=declared)
    return field(default=default, repr=not hidden, metadata=declared)


@dataclass(slots=True)
class Reading:
    """What a map of texts gave.

    Attributes:
        values: Field -> value, of what was given and could be read.
        given: Field -> the name it was given under, also of what could not be read.
        problems: One text each.
        refused: The map was not looked into at all.
    """

    values: dict[str, Any] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    refused: bool = False


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; letter case, `_`, `-` and `.` count nothing."""
    plain = {_plain(candidate): candidate for candidate in known}
    found = difflib.get_close_matches(_plain(name[:_COMPARED]), plain, n=1)
    return plain[found[0]] if found else None


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c not in "_-.")


def bounded(problems: list[str]) -> list[str]:
    """The problems, or as many of them as an error can carry, and how many there are besides."""
    told, room = 0, MAX_TOLD
    for problem in problems[:MAX_PROBLEMS]:
        # a character outside ASCII is up to four bytes, each percent-encoded
        room -= len(problem) + 11 * sum(not c.isascii() for c in problem)
        if room < 0 and told:
            break
        told += 1
    more = len(problems) - told
    return [*problems[:told], f"and {more} more"] if more else problems


class Schema:
    """Reads maps of texts by the declarations of one dataclass.

    Args:
        declared: The dataclass.
        suffixes: Endings under which a secret arrives, such as `FromEnv`; the value then is the secret.
        everywhere: The endings are accepted on every name, and a value that came so is not shown.
        ignored: Names that are someone else's, with what they are for.
        refused: Names that someone may expect to work, with why they don't.
        instead_of_plain: What to say of a secret in plain; `{name}` is its name.
        see: Where the known names are listed.
    """

    def __init__(
        self,
        declared: type,
        *,
        suffixes: tuple[str, ...] = (),
        everywhere: bool = False,
        ignored: Mapping[str, str] = MappingProxyType({}),
        refused: Mapping[str, str] = MappingProxyType({}),
        instead_of_plain: str = "",
        see: str,
    ) -> None:
        self.suffixes = suffixes
        self.everywhere = everywhere
        self.ignored = ignored
        self.refused = refused
        self._instead_of_plain = instead_of_plain
        self._see = see
        self.parameters = tuple(
            Parameter(field=f.name, **f.metadata) for f in dataclasses.fields(declared) if "kind" in f.metadata
        )
        self.names = {p.field: self._outside(p) for p in self.parameters}
        self.defaults: dict[str, Any] = {p.field: p.default for p in self.parameters if not p.required}
        self._families = tuple(p for p in self.parameters if p.many)
        # name -> (parameter, its value is given in plain)
        self._names: dict[str, tuple[Parameter, bool]] = {}
        self._secrets: dict[str, Parameter] = {}
        for p in self.parameters:
            if not p.many:
                self._enter(p)
        self._ignored = set(ignored).union(f"{name}{suffix}" for name in ignored for suffix in suffixes if everywhere)
        self._ignored -= set(self._names)

    def _outside(self, p: Parameter) -> str:
        """The name to give the field under, in words."""
        return " or ".join(p.name + suffix for suffix in self.suffixes) if p.secret else p.name

    def _enter(self, p: Parameter) -> None:
        for name in (p.name, *p.aliases):
            if p.secret:
                self._secrets[name] = p
            else:
                self._names[name] = (p, True)
            if p.secret or self.everywhere:
                for suffix in self.suffixes:
                    self._names[name + suffix] = (p, False)

    def read(self, texts: Mapping[str, object], *, label: Callable[[str], str] = str) -> Reading:
        """Reads all of it; never raises.

        Args:
            texts: Name -> value: texts, or what a settings file holds. An empty text counts as not given.
            label: Makes of a name what the problems call it.
        """
        reading = Reading()
        if len(texts) > MAX_NAMES:
            reading.refused = True
            reading.problems.append(f"{len(texts)} names are given; at most {MAX_NAMES} are accepted, see {self._see}")
            return reading
        found = self._assigned(texts, reading, label)
        reading.problems.sort()
        for p in self.parameters:
            entries = found.get(p.field)
            if entries is None:
                if p.required:
                    reading.problems.append(f"{label(p.name)} is missing; it must be {p.kind.says}")
            elif p.many:
                self._read_family(p, entries, reading, label)
            else:
                self._read_one(p, entries, reading, label)
        return reading

    def _assigned(
        self, texts: Mapping[str, object], reading: Reading, label: Callable[[str], str]
    ) -> dict[str, list[_Given]]:
        """Field -> what is given for it; what belongs to no field becomes a problem."""
        found: dict[str, list[_Given]] = {}
        for name, raw in texts.items():
            known = self._names.get(name)
            if known is not None:
                value = raw.strip() if isinstance(raw, str) else raw
                if value != "":
                    found.setdefault(known[0].field, []).append((name, value, known[1]))
            elif name in self._ignored or (raw == "" and (name in self._secrets or name in self.refused)):
                continue
            elif not self._in_family(name, raw, found):
                reading.problems.append(self._unknown(name, label))
                if name in self._secrets:
                    reading.given[self._secrets[name].field] = name
        return found

    def _in_family(self, name: str, raw: object, found: dict[str, list[_Given]]) -> bool:
        for p in self._families:
            if name.startswith(p.name):
                found.setdefault(p.field, []).append((name, raw, True))
                return True
        return False

    def _unknown(self, name: str, label: Callable[[str], str]) -> str:
        if name in self._secrets:
            return self._instead_of_plain.format(name=label(name))
        if name in self.refused:
            return f"{label(name)} {self.refused[name]}"
        near = nearest(name, self._names)
        if near is None:
            return f"{quoted(label(name))} is not a known name; see {self._see}"
        return f"{quoted(label(name))} is not a known name; did you mean {label(near)}?"

    def _read_one(self, p: Parameter, found: list[_Given], reading: Reading, label: Callable[[str], str]) -> None:
        if len(found) > 1:
            names = sorted(name for name, _, _ in found)
            reading.given[p.field] = names[0]
            reading.problems.append(f"{' and '.join(map(label, names))} mean the same; give only one of them")
            return
        ((name, value, plain),) = found
        reading.given[p.field] = name
        try:
            reading.values[p.field] = _value(p.kind, value)
        except Unreadable as error:
            reading.problems.append(_refusal(p, label(name), value, error, plain=plain))

    def _read_family(self, p: Parameter, found: list[_Given], reading: Reading, label: Callable[[str], str]) -> None:
        values = []
        for name, value, plain in sorted(found, key=lambda item: item[0]):
            reading.given[p.field] = name
            rest = name[len(p.name) :]
            if not _FAMILY_MEMBER.fullmatch(rest):
                reading.problems.append(
                    f"{quoted(label(name))} is not a known name; after {p.name} stands a name of at most "
                    f"64 lower-case letters, digits and _"
                )
                continue
            try:
                values.append((rest, _value(p.kind, value)))
            except Unreadable as error:
                reading.problems.append(_refusal(p, label(name), value, error, plain=plain))
        if values:
            reading.values[p.field] = tuple(values)


def _value(kind: Kind[object], value: object) -> object:
    """What the value stands for; a settings file holds more than texts."""
    if isinstance(value, str):
        return kind.parse(value.strip())
    if isinstance(value, bool):
        return kind.parse("true" if value else "false")
    if isinstance(value, int | float):
        return kind.parse(str(value))
    if kind.of is not None:
        return kind.of(value)
    raise Unreadable(f"it must be {kind.says}")


def _refusal(p: Parameter, name: str, value: object, error: Unreadable, *, plain: bool) -> str:
    if plain and error.show and not p.private:
        shown = quoted(value) if isinstance(value, str) else quoted(str(value))[1:-1]
        return f"{name} is {shown}: {error.reason}"
    reason = f"it must be {p.kind.says}" if error.echoes and not plain else error.reason
    return f"{name}: {reason} (its value is not shown)"
