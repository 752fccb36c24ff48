"""One self-contained page: pictures inside, sounds beside it.

Takes a finished report dictionary and figures; measures nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.files import write_text

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
 body { font: 16px/1.5 system-ui, sans-serif; color: #1d2433; background: #fbfaf7; margin: 0 auto; padding: 2rem 1rem;
        max-width: 62rem; }
 h1 { font-size: 1.7rem; margin: 0 0 .3rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem }
 .lead { color: #4a5264; margin-top: 0 }
 .warn { background: #fff1dc; border-left: 4px solid #c2410c; padding: .6rem .9rem }
 .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem } audio { width: 100% }
 .player { background: #fff; border: 1px solid #e3e0d8; border-radius: 8px; padding: .6rem .8rem; margin: .5rem 0 }
 .player b { display: block; font-size: .9rem } img { max-width: 100%; border-radius: 6px }
 .wide, .scroll { overflow-x: auto }
 .wide td { padding: .2rem .15rem; vertical-align: middle } .wide audio { width: 8.6rem }
 table { border-collapse: collapse; font-size: .88rem; width: 100% }
 th, td { text-align: left; padding: .28rem .5rem; border-bottom: 1px solid #e3e0d8; vertical-align: top }
 .many table { font-size: .8rem } .many th, .many td { padding: .28rem .2rem }
 th { font-weight: 600 } td.num { font-variant-numeric: tabular-nums }
 details { margin: 2.2rem 0 } summary { cursor: pointer; font-weight: 600 }
 pre { font-size: .8rem; overflow-x: auto; background: #fff; border: 1px solid #e3e0d8; padding: .6rem .8rem }
 @media (max-width: 44rem) { .pair { grid-template-columns: 1fr } }
</style></head><body>
<h1>{{ title }}</h1><p class="lead">{{ lead }}</p>
{% for text in warnings %}<p class="warn">{{ text }}</p>{% endfor %}
{% for text in notes %}<p class="note">{{ text }}</p>{% endfor %}
{% for group in players %}<h2>{{ group.title }}</h2>{% if group.note %}<p>{{ group.note }}</p>{% endif %}
{% if group.link %}<p><a href="{{ group.link }}">all about it</a></p>{% endif %}
<div class="pair">{% for sound in group.sounds %}<div class="player"><b>{{ sound.label }}</b>
<audio controls preload="none" src="{{ sound.file }}"></audio></div>{% endfor %}</div>{% endfor %}
{% if gallery %}<h2>{{ gallery.title }}</h2><p>{{ gallery.note }}</p>
<div class="wide"><table><tr><th></th>{% for head in gallery.heads %}<th>{{ head }}</th>{% endfor %}</tr>
{% for row in gallery.rows %}<tr><td>{{ row.label }}</td>{% for file in row.files %}<td>{% if file %}
<audio controls preload="none" src="{{ file }}"></audio>{% else %}–{% endif %}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% endif %}
{% for table in tables %}<h2>{{ table.title }}</h2>{% if table.note %}<p>{{ table.note }}</p>{% endif %}
{% if table.rows %}<div class="scroll{% if table.heads|length > 12 %} many{% endif %}"><table>
<tr>{% for head in table.heads %}<th>{{ head }}</th>{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td class="num">{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% endif %}{% endfor %}
{% for figure in figures %}<h2>{{ figure.title }}</h2>{% if figure.note %}<p>{{ figure.note }}</p>{% endif %}
{% if figure.data %}<img alt="{{ figure.title }}" src="data:image/png;base64,{{ figure.data }}">{% endif %}{% endfor %}
{% for part in folded %}<details><summary>{{ part.title }}</summary><pre>{{ part.text }}</pre></details>{% endfor %}
</body></html>
"""


Picture = tuple[str, str, bytes | None]


def write_page(
    path: Path,
    *,
    title: str,
    lead: str,
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
    players: Sequence[Mapping[str, Any]] = (),
    gallery: Mapping[str, Any] | None = None,
    tables: Sequence[Mapping[str, Any]] = (),
    figures: Sequence[Picture] = (),
    folded: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write the page.

    players: {"title", "note", "link", "sounds": [{"label", "file"}]}, files and the link to another page relative to
    this one.
    gallery: {"title", "note", "heads", "rows": [{"label", "files"}]}, a player for each file and a dash for each None.
    tables: {"title", "note", "heads", "rows"}, the note alone where there are no rows. figures: (title, note, PNG bytes
    or None for words alone). folded: {"title", "text"}, shown as it is once it is opened.
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    drawn = [
        {"title": name, "note": note, "data": None if data is None else base64.b64encode(data).decode("ascii")}
        for name, note, data in figures
    ]
    html = environment.from_string(_PAGE).render(
        title=title,
        lead=lead,
        warnings=list(warnings),
        notes=list(notes),
        gallery=gallery,
        players=[{"note": None, "link": None, **group} for group in players],
        tables=[{"note": None, **table} for table in tables],
        figures=drawn,
        folded=list(folded),
    )
    write_text(path, html)


def score_row(name: str, score: Mapping[str, Any] | None) -> list[str]:
    """A table row of one identification score."""
    if not score or score.get("accuracy") is None:
        return [name, "not measured", "", "", "", ""]
    low, high = score["ci95"]
    return [
        name,
        f"{score['accuracy']:.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{score['top1']:.3f}",
        f"{score['p_value']:.4f}",
        f"{score['n']} of {score['gallery_size']}",
    ]


SCORE_HEADS = ["condition", "pairwise", "95 % interval", "top-1", "p", "n of gallery"]
