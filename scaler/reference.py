"""Renders the reference pages and the example settings from the declarations, so that they cannot drift.

`python -m scaler.reference --write` writes them, `--check` says which differ from what is committed.
"""

from __future__ import annotations

import argparse
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from scaler.cli.main import COMMANDS, command_parser, main_parser
from scaler.cli.parser import PAGE_WIDTH
from scaler.event_settings import EVENT_SCHEMA
from scaler.forecaster_page import forecasters_page
from scaler.settings import PREFIX
from scaler.settings import SCHEMA as SETTINGS
from scaler.source_settings import SOURCE_SCHEMA
from scaler.telemetry.metrics import reference_page
from scaler.tenancy.settings import READER_SCHEMA, TENANT_SCHEMA
from scaler.trigger.parse import SCHEMA as TRIGGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scaler.cli.parser import CommandParser
    from scaler.parameters import Parameter, Schema

__all__ = ["main", "pages"]

_GENERATED = "rendered by `python -m scaler.reference --write` from the declarations; do not edit"

_TRIGGER_HEAD = """\
# Trigger metadata

The `metadata` of a trigger of type `external` or `external-push`. This is all that one needs:

```yaml
triggers:
  - type: external
    metadata:
      scalerAddress: foresail.foresail.svc:6000
      serverAddress: http://prometheus.monitoring.svc:9090
      query: sum(rate(http_requests_total{app="checkout"}[2m]))
      threshold: "100"
```

Moving from KEDA's `prometheus` trigger: change `type`, add `scalerAddress`; the other names are the same. One default
differs: `ignoreNullValues`.

- All values are texts, as KEDA wants them. White space around them counts nothing; an empty one counts as not given.
- Durations are written as `90s`, `5m`, `1h30m`, `7d` or `2w`.
- `NAMEFromEnv` gives any parameter by an environment variable of the scale target's container, which KEDA reads. It is
  the only way for those marked *secret*: `bearerTokenFromEnv: PROMETHEUS_TOKEN`. A value given so is in no error text.
- All problems of a trigger are told together, in KEDA's log; of a name that is not known, the nearest known one.
"""

_SETTINGS_HEAD = """\
# Settings

`foresail serve --config FILE` reads one TOML file. Every key has a default that serves, so no file is needed;
[deploy/foresail.example.toml](../../deploy/foresail.example.toml) has them all. The environment overrides the file
(`FORESAIL_GRPC_ADDRESS` for `grpc_address`, lists with commas), and the command line overrides both. A key or variable
that is not known is an error that names the nearest one; all problems are told together.

Durations are written as `90s`, `5m`, `1h30m` or `7d`; a bare number counts seconds.
"""

_SOURCES_HEAD = """\
## Named sources

A table `[sources.NAME]` each. A trigger that says `source: NAME` uses it, without knowing address or credentials.
No secret stands in the file: in the place of a key marked *secret*, give `KEY_file` with the path of a file that holds
it, or `KEY_env` with the name of an environment variable. Both are read at the start; a file is read again within ten
seconds of its replacement, and while the new one is no good, the last secret is used on.
"""

_TENANTS_HEAD = """\
## Tenants

A table `[tenants.NAME]` for each group of namespaces that may use this server; without any, every namespace may use
every source and give every address that the policy allows. With one, namespaces that no table has are refused.
[tenancy.md](../tenancy.md) tells more.
"""

_READERS_HEAD = """\
## Readers

A table `[readers.NAME]` for each who may read the HTTP side; without any, everyone may who reaches its port. `/healthz`
and `/readyz` stay open. `token` is a secret: give `token_file`, which is read again when it changes, or `token_env`.
"""

_EVENTS_HEAD = """\
## Announced events

A table `[[events]]` each, for launches and campaigns that many triggers share; a trigger can also have its own, see
[Trigger metadata](trigger-metadata.md) and [Events](../events.md).
"""

_CLI_HEAD = """\
# Command line

What `foresail --help` and `foresail COMMAND --help` say. An option, a command or a source that is not known is an error
that names the nearest one.

| Exit code | Meaning |
|---|---|
| 0 | It went well; of `doctor`: nothing failed. |
| 1 | It did not; standard error says why. |
| 2 | The arguments are wrong; nothing was done. |
| 130 | Ended by Ctrl-C. |

`serve` ends with 0 after SIGTERM and Ctrl-C alike, when the calls in flight are answered; `demo` after Ctrl-C.
"""

_EXAMPLE_HEAD = """\
# Settings of `foresail serve --config FILE`: every key with its default, which need not be given.
# Durations are written as 90s, 5m, 1h30m or 7d. The environment overrides this file (FORESAIL_GRPC_ADDRESS, ...).
"""

_EXAMPLE_SOURCES = """\
# --- Named sources ---
# A trigger that says `source: main` uses this one. Secrets stay outside: in a file, or in an environment variable.

[sources.main]
"""


def pages() -> dict[str, str]:
    """Path under the root of the checkout -> content, of everything that is rendered."""
    return {
        "docs/reference/trigger-metadata.md": _trigger_page(),
        "docs/reference/settings.md": _settings_page(),
        "docs/reference/metrics.md": reference_page(_GENERATED),
        "docs/reference/forecasters.md": forecasters_page(_GENERATED),
        "docs/reference/cli.md": _cli_page(),
        "deploy/foresail.example.toml": _example(),
    }


# --- the pages ---------------------------------------------------------------------------------


def _trigger_page() -> str:
    parts = [f"<!-- {_GENERATED} -->\n", _TRIGGER_HEAD]
    for group, members in _groups(TRIGGER):
        parts.append(f"## {group}\n\n{_table(members)}")
    ignored = "\n".join(f"| `{name}` | {what} |" for name, what in TRIGGER.ignored.items())
    parts.append(f"## Accepted and not used\n\n| Name | What it is |\n|---|---|\n{ignored}\n")
    refused = "\n".join(f"- `{name}` {why}." for name, why in TRIGGER.refused.items())
    parts.append(f"## Refused\n\nFor those who move here from KEDA's `prometheus` trigger:\n\n{refused}\n")
    return "\n".join(parts)


def _settings_page() -> str:
    parts = [f"<!-- {_GENERATED} -->\n", _SETTINGS_HEAD]
    for group, members in _groups(SETTINGS):
        parts.append(f"## {group}\n\n{_table(members)}")
    parts.append(f"{_SOURCES_HEAD}\n{_table(SOURCE_SCHEMA.parameters)}")
    parts.append(f"{_TENANTS_HEAD}\n{_table(TENANT_SCHEMA.parameters)}")
    parts.append(f"{_READERS_HEAD}\n{_table(READER_SCHEMA.parameters)}")
    parts.append(f"{_EVENTS_HEAD}\n{_table(EVENT_SCHEMA.parameters)}")
    return "\n".join(parts)


def _cli_page() -> str:
    parts = [f"<!-- {_GENERATED} -->\n", _CLI_HEAD, _help(main_parser())]
    parts += [f"## foresail {name}\n\n{_help(command_parser(name))}" for name in COMMANDS]
    return "\n".join(parts)


def _help(parser: CommandParser) -> str:
    parser.set_width(PAGE_WIDTH)
    return f"```text\n{parser.format_help()}```\n"


def _groups(schema: Schema) -> Iterator[tuple[str, list[Parameter]]]:
    for group, members in groupby(schema.parameters, key=lambda p: p.group):
        yield group, list(members)


def _table(members: Iterable[Parameter]) -> str:
    rows = ["| Name | Value | Default | Meaning |", "|---|---|---|---|"]
    for p in members:
        name = f"`{p.name}NAME`" if p.many else f"`{p.name}`"
        if p.aliases:
            name += " or " + " or ".join(f"`{alias}`" for alias in p.aliases)
        value = _cell(p.kind.says) + (", *secret*" if p.secret else "")
        rows.append(f"| {name} | {value} | {_default(p)} | {_cell(p.doc)} |")
    return "\n".join(rows) + "\n"


def _default(p: Parameter) -> str:
    if p.required:
        return "**required**"
    return f"`{p.kind.show(p.default)}`" if p.default not in ("", (), None) else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# --- the example -------------------------------------------------------------------------------

_SOURCE_EXAMPLES = {
    "address": '"http://prometheus.monitoring.svc:9090"',
    "namespace": '"shop"',
    "headers": '{ X-Scope-OrgID = "shop" }',
    "query_parameters": '{ dedup = "true" }',
    "auth_modes": '["bearer"]',
    "bearer_token": '"/var/run/secrets/foresail/token"',
    "username": '"PROMETHEUS_USERNAME"',
    "password": '"PROMETHEUS_PASSWORD"',
    "custom_auth_header": '"X-Api-Key"',
    "custom_auth_value": '"PROMETHEUS_API_KEY"',
    "ca": '"/etc/foresail/ca.pem"',
    "cert": '"/etc/foresail/client.pem"',
    "key": '"/etc/foresail/client-key.pem"',
}


_EXAMPLE_TENANTS = """\
# --- Tenants and readers ---
# Which namespaces may use which sources, and read what of them; docs/tenancy.md tells more.

# [tenants.shop]
# namespaces = ["shop", "shop-*"]
# sources = ["main"]
# labels = { namespace = "{namespace}" }
# namespace_triggers = 100

# [readers.shop]
# namespaces = ["shop", "shop-*"]
# token_file = "/var/run/secrets/foresail/shop-token"
"""

_EXAMPLE_EVENTS = """\
# --- Announced events ---
# A launch that all ScaledObjects of a namespace shall be ready for. docs/events.md tells more.

# [[events]]
# name = "black-friday"
# at = 2026-11-27T08:00:00
# for = "16h"
# factor = 2
# time_zone = "Europe/Berlin"
# namespaces = ["shop"]
"""


def _example() -> str:
    lines = [f"# {_GENERATED}\n", _EXAMPLE_HEAD]
    for group, members in _groups(SETTINGS):
        lines.append(f"# --- {group} ---\n")
        for p in members:
            lines += [*_comment(f"{p.doc} ({p.kind.says}; {PREFIX}{p.name.upper()})"), f"{p.name} = {_toml(p)}\n"]
    lines.append(_EXAMPLE_SOURCES)
    for p in SOURCE_SCHEMA.parameters:
        lines += _comment(f"{p.doc} ({p.kind.says})")
        example = _SOURCE_EXAMPLES.get(p.name) or _toml(p)
        suffix = "" if not p.secret else "_file" if "/" in example else "_env"
        lines.append(f"{'' if p.required else '# '}{p.name}{suffix} = {example}\n")
    lines += [_EXAMPLE_TENANTS, _EXAMPLE_EVENTS]
    return "\n".join(lines)


def _toml(p: Parameter) -> str:
    if isinstance(p.default, tuple):
        return "[" + ", ".join(f'"{item}"' for item in p.default) + "]"
    shown = p.kind.show(p.default)
    return shown if isinstance(p.default, bool | int) else f'"{shown}"'


def _comment(text: str) -> list[str]:
    """The text as comment lines, without Markdown's marks."""
    lines, line = [], "#"
    for word in text.replace("`", "").replace("**", "").split():
        if len(line) + len(word) + 1 > 110:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


# --- the command -------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks everything that is rendered; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scaler.reference", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write the pages")
    what.add_argument("--check", action="store_true", help="fail if a committed page differs")
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the checkout")
    options = parser.parse_args(arguments)
    stale = []
    for name, content in pages().items():
        path = options.root / name
        if options.write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != content:
            stale.append(name)
    for name in stale:
        sys.stderr.write(f"{name} is not what the declarations say; run: python -m scaler.reference --write\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
