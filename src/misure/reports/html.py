"""HTML for notebooks: text, tables, pictures, and a slider through pictures.

Styles stand in the elements and colours are those around them, so a page looks right in light and
dark. No style sheet, no library and no network is used. Where a notebook is not trusted (GitHub,
another person's file in JupyterLab or VS Code) scripts and often styles are taken out: the slider
is then not seen, and all of its pictures stand side by side.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from misure.errors import printable
from misure.reports.layout import Scale
from misure.reports.stills import Still, addresses

Part = str | Still
"""HTML, or a picture that becomes HTML when the whole page is put together."""

MOST_CHARACTERS = 960_000
"""Of a page with pictures of an image."""

MOST_OF_VOLUME = 1_900_000
"""Of a page with pictures of a volume."""

_STOPS = 9  # of a scale of colours
_ROW = "display:flex;flex-wrap:wrap;gap:0.8em;align-items:flex-start;margin:0.6em 0"
_SMALL = "font-size:0.85em;opacity:0.85"
_SLIDER = (
    "(function(i){var b=i.closest('.misure-steps'),p=b.firstElementChild,"
    "r=p.querySelector('input'),f=b.querySelectorAll('figure');i.onload=null;"
    "function show(){for(var n=0;n&lt;f.length;n++){f[n].style.display=n==r.value?'':'none';"
    "f[n].style.maxWidth='34em';f[n].style.flexBasis='34em'}}"
    "r.oninput=show;p.hidden=false;show()})(this)"
)


def page(parts: Iterable[Part], most_characters: int = MOST_CHARACTERS) -> str:
    """The HTML of parts; pictures are compressed until all is as small as it may be."""
    listed = list(parts)
    stills = [part for part in listed if isinstance(part, Still)]
    text = sum(len(part) for part in listed if isinstance(part, str))
    left = most_characters - text - 1_000 * len(stills)
    found = iter(addresses([still.picture for still in stills], left))
    inside = "".join(
        part if isinstance(part, str) else _figure(part, next(found)) for part in listed
    )
    return f'<div class="misure" style="max-width:72em;line-height:1.4">{inside}</div>'


def text_of(value: Any) -> str:
    """A text as HTML shows it, letter by letter; characters that turn text around are escaped."""
    return escape("\n".join(map(printable, str(value).split("\n"))))


def heading(text: str) -> str:
    """The title of a page."""
    style = "font-size:1.2em;font-weight:600;margin:0.2em 0;overflow-wrap:anywhere"
    return f'<p style="{style}"><strong>{text_of(text)}</strong></p>'


def sentence(text: str) -> str:
    """A paragraph; empty if there is no text."""
    return f'<p style="margin:0.4em 0;overflow-wrap:anywhere">{text_of(text)}</p>' if text else ""


def notes(texts: Iterable[str]) -> str:
    """Sentences in small letters; empty if there are none."""
    said = text_of(" ".join(filter(None, texts)))
    return f'<p style="margin:0.4em 0;{_SMALL}"><small>{said}</small></p>' if said else ""


def row(stills: Sequence[Part]) -> list[Part]:
    """Pictures side by side, in as many lines as it takes."""
    return [f'<div style="{_ROW}">', *stills, "</div>"]


def steps(stills: Sequence[Still], label: str, first: int) -> list[Part]:
    """Pictures of which a slider shows one; without scripts all of them are seen.

    Args:
        stills: in the order of the slider.
        label: what the slider chooses.
        first: the picture that is shown first.
    """
    if len(stills) < 2:
        return row(stills)
    last = len(stills) - 1
    slider = (
        f'<p hidden style="margin:0.4em 0"><label>{text_of(label)}<br><input type="range" min="0" '
        f'max="{last}" value="{first}" step="1" style="width:min(34em,100%)"></label></p>'
    )
    return ['<div class="misure-steps">', slider, *row(stills), _STARTER, "</div>"]


def figures_table(figures: Sequence[Sequence[str]]) -> str:
    """A table of figures: name, value, and what it means."""
    cell = "text-align:left;vertical-align:top;padding:0.25em 0.6em;white-space:normal"
    rows = "".join(
        f'<tr><th scope="row" style="{cell};font-weight:600;max-width:14em">{text_of(name)}</th>'
        f'<td style="{cell};overflow-wrap:anywhere">{text_of(value)}'
        + (f'<br><small style="opacity:0.75">{text_of(meaning)}</small>' if meaning else "")
        + "</td></tr>"
        for name, value, meaning in figures
    )
    return f'<table style="margin:0.6em 0;border-collapse:collapse">{rows}</table>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its first column is text, the others are numbers."""
    cell = "padding:0.25em 0.6em;vertical-align:top;white-space:normal"

    def line(texts: Sequence[str], tag: str) -> str:
        cells = "".join(
            f'<{tag} style="{cell};text-align:{"right" if number else "left"}">{text_of(text)}'
            f"</{tag}>"
            for number, text in enumerate(texts)
        )
        return f"<tr>{cells}</tr>"

    body = "".join(line(texts, "td") for texts in rows)
    inside = f"<thead>{line(header, 'th')}</thead><tbody>{body}</tbody>"
    style = "margin:0;border-collapse:collapse"
    return (
        f'<div style="overflow-x:auto;margin:0.6em 0"><table style="{style}">{inside}</table></div>'
    )


def _figure(still: Still, address: str) -> str:
    width = still.picture.size[0]
    alternative = text_of(f"{still.title}: {still.detail}" if still.detail else still.title)
    title = f"<strong>{text_of(still.title)}</strong>" if still.title else ""
    caption = (_scale(still.scale) if still.scale else "") + "<br>".join(
        filter(None, [title, text_of(still.detail)])
    )
    return (
        f'<figure style="margin:0;flex:1 1 15em;min-width:0;max-width:min(100%,{width}px)">'
        f'<img src="{address}" alt="{alternative}" width="{width}" '
        f'style="width:100%;height:auto;display:block;border-radius:2px">'
        f'<figcaption style="{_SMALL};overflow-wrap:anywhere">{caption}</figcaption></figure>'
    )


def _scale(scale: Scale) -> str:
    """A bar of colours between the words for its ends."""
    last = len(scale.colours) - 1
    stops = [scale.colours[round(number * last / (_STOPS - 1))] for number in range(_STOPS)]
    colours = ",".join("#" + "".join(f"{round(255 * part):02x}" for part in rgb) for rgb in stops)
    bar = f"flex:1;height:0.6em;background:linear-gradient(to right,{colours})"
    return (
        '<span style="display:flex;gap:0.5em;align-items:center;margin:0.2em 0">'
        f'<span>{text_of(scale.left)}</span> <span style="{bar}"></span> '
        f"<span>{text_of(scale.right)}</span></span>"
    )


_STARTER = (
    '<img alt="" width="1" height="1" style="position:absolute;opacity:0" '
    'src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==" '
    f'onload="{_SLIDER}">'
)
"""A picture of one pixel: when it has been read, the slider is there."""
