# SPDX-License-Identifier: Apache-2.0
"""The style sheet of the page, with its colours as values so that a test can measure their contrast."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#faf9f6",
    "card": "#ffffff",
    "ink": "#1d1f22",
    "soft": "#5a5f68",
    "line": "#e4e1da",
    "edge": "#85817a",
    "link": "#1d4f91",
    "good": "#1f6b48",
    "good-back": "#e0efe6",
    "wait": "#3b5680",
    "wait-back": "#e4eaf4",
    "act": "#9c2f1c",
    "act-back": "#f9e4df",
    "track": "#e9e6df",
}
DARK: Mapping[str, str] = {
    "paper": "#131518",
    "card": "#1a1d21",
    "ink": "#e9e7e2",
    "soft": "#a5abb5",
    "line": "#2d3137",
    "edge": "#747b86",
    "link": "#9cc1f5",
    "good": "#86cfa8",
    "good-back": "#1c3227",
    "wait": "#a9c0e6",
    "wait-back": "#222d40",
    "act": "#f3a592",
    "act-back": "#43241d",
    "track": "#2b2f35",
}
# Foreground and background pairs: text needs a contrast of 4.5 to 1, shapes 3 to 1 (WCAG 2.2, 1.4.3 and 1.4.11).
TEXT_PAIRS = (
    *((colour, back) for colour in ("ink", "soft", "link", "good", "act", "wait") for back in ("paper", "card")),
    *((colour, f"{colour}-back") for colour in ("good", "wait", "act")),
)
SHAPE_PAIRS = (("good", "track"), ("wait", "track"), ("act", "track"), ("edge", "card"))


def _colours(palette: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


_RULES = """
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:3px}
a:hover{text-decoration-thickness:2px}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}
.skip{position:absolute;left:-999em}
.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.4rem .8rem;z-index:1}
.wrap{max-width:74rem;margin:0 auto;padding:0 1.5rem}
header{border-bottom:1px solid var(--line);background:var(--card)}
header .wrap{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;align-items:baseline;padding-top:.8rem;padding-bottom:.8rem}
header b{font-weight:650;letter-spacing:-.01em}
nav ul{display:flex;gap:1.25rem;list-style:none;margin:0;padding:0}
nav [aria-current]{color:var(--ink);text-decoration:none;font-weight:600}
main.wrap{padding-top:2.25rem;padding-bottom:3rem}
footer{border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}
footer p{margin:1rem 0}
h1{font-size:2rem;line-height:1.2;letter-spacing:-.022em;font-weight:650;margin:0 0 .35rem}
h2{font-size:1.2rem;line-height:1.3;letter-spacing:-.01em;font-weight:650;margin:3rem 0 .9rem}
h3{font-size:1rem;line-height:1.4;font-weight:650;margin:0}
p{margin:.35rem 0}
.lede{font-size:1.0625rem;color:var(--soft);max-width:46rem}
.soft{color:var(--soft)}
.small{font-size:.875rem}
.figure{font-variant-numeric:tabular-nums}
code{font:.9em/1.4 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.pill{display:inline-block;padding:.05rem .6rem;border-radius:1rem;font-size:.8125rem;line-height:1.5rem;
font-weight:600;white-space:nowrap}
.good{color:var(--good)}.wait{color:var(--wait)}.act{color:var(--act)}
.pill.good{background:var(--good-back)}.pill.wait{background:var(--wait-back)}.pill.act{background:var(--act-back)}
.fill-good{fill:var(--good)}.fill-wait{fill:var(--wait)}.fill-act{fill:var(--act)}.fill-track{fill:var(--track)}
.ring{width:2.5rem;height:2.5rem;fill:none;stroke-width:6}
.stroke-good{stroke:var(--good)}.stroke-wait{stroke:var(--wait)}.stroke-act{stroke:var(--act)}
.fill-soft{fill:var(--soft)}.stroke-line{stroke:var(--edge)}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
.card{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.25rem 1.4rem}
.state{margin-top:1.75rem}
.state svg{display:block;width:100%;height:.75rem;border-radius:.4rem;margin:.9rem 0 .7rem}
.big{font-size:1.35rem;line-height:1.3;letter-spacing:-.015em;font-weight:600;margin:0}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.6rem;list-style:none;margin:0;padding:0;font-size:.9375rem}
.legend b{font-weight:650;font-variant-numeric:tabular-nums}
.dot{display:inline-block;width:.65rem;height:.65rem;border-radius:50%;background:currentColor;margin-right:.5rem}
.stack>*+*{margin-top:1rem}
.stages{display:flex;flex-wrap:wrap;gap:.75rem;list-style:none;margin:.75rem 0;padding:0}
.stage{color:var(--ink);border:1px solid var(--edge);border-left:4px solid var(--good);border-radius:.4rem;
padding:.5rem .9rem}.stage.wait{border-left-color:var(--wait)}.stage.act{border-left-color:var(--act)}
.trouble{border-left:4px solid var(--act)}
.trouble.waits{border-left-color:var(--wait)}
.trouble h3{display:flex;flex-wrap:wrap;gap:.3rem .75rem;align-items:baseline}
.advice{max-width:52rem;margin:.3rem 0}
.advice+table{margin-top:.9rem}
table{width:100%;border-collapse:collapse;font-size:.9375rem}
caption{text-align:left;color:var(--soft);font-size:.875rem;padding:0 0 .5rem}
th,td{text-align:left;vertical-align:top;padding:.5rem 1.25rem .5rem 0;border-top:1px solid var(--line);font-weight:400}
tr>:last-child{padding-right:0}
thead th{border-top:0;color:var(--soft);font-size:.8125rem;padding-top:0;white-space:nowrap}
tbody th{font-weight:600;min-width:10rem;max-width:20rem}
tbody th .small{font-weight:400}
.name{min-width:9rem;max-width:20rem}
.done{min-width:9rem}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.time{white-space:nowrap;font-variant-numeric:tabular-nums}
.bar{display:block;width:8rem;max-width:100%;height:.5rem;border-radius:.25rem;margin-top:.45rem}
.scores{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}
figure{margin:0}
figure svg{display:block;width:100%;height:auto;margin:.75rem 0 .5rem}
figcaption b{font-weight:650}
details{font-size:.875rem;margin-top:.4rem}
summary{cursor:pointer;color:var(--link)}
details table{margin-top:.5rem}
dl.pairs{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1.5rem;margin:0}
dt{color:var(--soft)}
dd{margin:0}
form{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:end;margin:1.5rem 0}
form>div{max-width:18rem}
label{display:block;font-size:.8125rem;color:var(--soft)}
input,select,button{font:inherit;color:var(--ink);background:var(--card);border:1px solid var(--edge);
border-radius:.4rem;padding:.35rem .6rem;max-width:100%;min-height:2.4rem}
button{font-weight:600;padding:.35rem 1.1rem}
.pages{display:flex;flex-wrap:wrap;gap:.5rem 1.25rem;margin:1.25rem 0 0;align-items:baseline}
@media (max-width:63.9rem){
table,tbody,tr,th,td,caption{display:block}
thead{position:absolute;left:-999em}
tbody tr{border-top:1px solid var(--line);padding:.6rem 0}
tbody th,.name{max-width:none}
th,td,.number{border:0;padding:.1rem 0;text-align:left;white-space:normal}
td:empty{display:none}
td[data-name]::before{content:attr(data-name) ": ";color:var(--soft)}
.bar{margin:.3rem 0}
}
@media (max-width:44rem){
.wrap{padding-left:1rem;padding-right:1rem}
main.wrap{padding-top:1.5rem}
h1{font-size:1.625rem}
h2{margin-top:2.25rem}
.card{padding:1rem}
.scores{grid-template-columns:1fr}
form>div{width:100%;max-width:none}
label,input,select{width:100%}
dl.pairs{grid-template-columns:1fr;gap:0}
dd{margin-bottom:.5rem}
}
@media print{header,form,.pages,.skip{display:none}body{background:none}.card{border:0;padding:0}}
"""

STYLE = (
    f":root{{{_colours(LIGHT)}}}\n@media (prefers-color-scheme:dark){{:root{{{_colours(DARK)}}}}}\n{_RULES.strip()}\n"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

# A file can set the policy only with <meta>, which does not support frame-ancestors.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; form-action 'self'; base-uri 'none'"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
