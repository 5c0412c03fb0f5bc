"""Secrets of the settings: never in the file itself, but in a file or an environment variable that a key names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scaler.kinds import Unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler.parameters import Schema

__all__ = ["NO_SECRETS_HERE", "SECRET_SUFFIXES", "SecretKeys", "secret_in"]

_FILE, _ENV = SECRET_SUFFIXES = ("_file", "_env")

NO_SECRETS_HERE = (
    "{name} must not stand in the settings: "
    "give {name}_file with a file that holds it, or {name}_env with an environment variable"
)
"""What to say of a secret in plain: for `Schema`."""

_MAX_SECRET = 65_536  # bytes of a file; a chain of certificates fits


class SecretKeys:
    """The keys of one kind of table that point to secrets: `token_file` and `token_env` to `token`."""

    def __init__(self, schema: Schema) -> None:
        self._names = frozenset(p.name for p in schema.parameters if p.secret)

    def of(self, key: str) -> str | None:
        """The secret that the key points to; None for any other key."""
        return self._of(key, _FILE) or self._of(key, _ENV)

    def files(self, table: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
        """The secrets that the table names files for, and those."""
        pointers = ((self._of(key, _FILE), value) for key, value in table.items())
        return tuple(sorted((name, value) for name, value in pointers if name and isinstance(value, str) and value))

    def variables(self, table: Mapping[str, object]) -> set[str]:
        """The environment variables that the table names."""
        return {value for key, value in table.items() if self._of(key, _ENV) and isinstance(value, str)}

    def resolve(self, key: str, value: object, environ: Mapping[str, str]) -> object:
        """The secret that the key points to; the value of any other key as it is.

        Raises:
            Unreadable: There is no such file or variable, or nothing in it.
        """
        if self.of(key) is None or value == "":
            return value
        if not isinstance(value, str):
            raise Unreadable("it must be a text in quotes")
        if self._of(key, _ENV):
            secret = environ.get(value, "").strip()
            if not secret:
                raise Unreadable("there is no such environment variable, or it is empty")
            return secret
        return secret_in(Path(value))

    def _of(self, key: str, suffix: str) -> str | None:
        base = key.removesuffix(suffix)
        return base if base != key and base in self._names else None


def secret_in(path: Path) -> str:
    """What the file holds, without white space around it.

    Raises:
        Unreadable: There is no such file, or nothing in it, or too much.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SECRET + 1)
        secret = data.decode("utf-8").strip()
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Unreadable("the file does not hold a text in UTF-8") from error
    if not secret or len(data) > _MAX_SECRET:
        raise Unreadable(f"the file must hold 1 to {_MAX_SECRET} bytes")
    return secret
