"""The pages' style sheet: light and dark from one set of variables."""

__all__ = ["DARK", "LIGHT", "style"]

LIGHT = {
    "bg": "#ffffff",
    "card": "#f6f8fa",
    "fg": "#1b1f24",
    "muted": "#57606a",
    "grid": "#d8dee4",
    "load": "#0550ae",
    "load-area": "#c8d9ee",
    "capacity": "#b9dfc0",
    "short": "#c62330",
    "actual": "#1b1f24",
    "ref": "#57606a",
    "p1": "#0550ae",
    "p2": "#a04100",
    "p3": "#7d3cb5",
    "p4": "#1f6f3a",
}
"""Colours on a light ground."""

DARK = {
    "bg": "#0d1117",
    "card": "#161b22",
    "fg": "#e6edf3",
    "muted": "#9aa4af",
    "grid": "#30363d",
    "load": "#6cb6ff",
    "load-area": "#20344d",
    "capacity": "#1f4a2b",
    "short": "#ff7b72",
    "actual": "#e6edf3",
    "ref": "#9aa4af",
    "p1": "#6cb6ff",
    "p2": "#f0a45d",
    "p3": "#d2a8ff",
    "p4": "#5fce7d",
}
"""The same on a dark ground."""

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:1080px;padding:24px 20px 48px;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 8px}h3{font-size:15px;margin:20px 0 2px}
p{margin:6px 0;max-width:78ch}.lead{font-size:17px}.muted,figcaption{color:var(--muted)}
.card{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:14px 18px;margin:14px 0}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}
th{color:var(--muted);font-weight:600;white-space:normal;vertical-align:bottom}
th:first-child,td:first-child{text-align:left}tr.own td{font-weight:700}
svg{display:block;width:100%;min-width:660px;height:auto}
.pair svg{min-width:330px}svg text{fill:var(--muted);font-size:11px}
svg path{fill:none;stroke-width:1.6;stroke-linejoin:round}
svg .grid{stroke:var(--grid);stroke-width:1}svg .load{stroke:var(--load);stroke-width:1.1}
svg .load-area{fill:var(--load-area)}svg .capacity{fill:var(--capacity)}svg .short{stroke:var(--short)}
svg .fan{fill:var(--p1)}svg .actual{stroke:var(--actual);stroke-width:1}
svg .median{stroke:var(--p1);stroke-width:1.3}svg .ref{stroke:var(--muted);stroke-dasharray:5 3;stroke-width:1.3}
svg .diagonal{stroke:var(--muted);stroke-dasharray:4 4}
svg .chosen{fill:none;stroke:var(--fg);stroke-width:2}
.p1{stroke:var(--p1)}.p2{stroke:var(--p2)}.p3{stroke:var(--p3)}.p4{stroke:var(--p4)}
.dot.p1{fill:var(--p1)}.dot.p2{fill:var(--p2)}.dot.p3{fill:var(--p3)}.dot.p4{fill:var(--p4)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;color:var(--muted);font-size:13px;padding:0;margin:6px 0;list-style:none}
.key i{display:inline-block;width:16px;height:10px;margin-right:6px;border-radius:2px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:12px 24px}
figure{margin:0;overflow-x:auto}.pair figure{max-width:520px}figcaption{font-size:13px}
pre{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:14px;overflow-x:auto;
font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace}
"""


def style() -> str:
    """The whole sheet."""
    dark = f"@media(prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
    return f":root{{color-scheme:light dark;{_variables(LIGHT)}}}{dark}{_RULES}"


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())
