"""Requirements on every HTML page of the project, checked on the page itself."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
EMPTY = {"meta", "img", "source"}
KNOWN = {
    "html": {"lang"},
    "meta": {"charset", "name", "content", "http-equiv"},
    "body": set(),
    "section": {"id", "aria-labelledby"},
    "nav": {"aria-label"},
    "main": {"id"},
    "a": {"href", "class"},
    "div": {"class", "role", "aria-labelledby", "tabindex"},
    "p": {"class", "id"},
    "table": {"aria-labelledby"},
    "th": {"scope", "class"},
    "td": {"class"},
    "span": {"class"},
    "pre": {"dir"},
    "img": {"src", "alt", "width", "height"},
    "source": {"media", "srcset"},
    "h2": {"id"},
    **{name: set() for name in "head title style header h1 h3 h4 h5 ul li dl dt dd thead tbody tr".split()},
    **{name: set() for name in "figure picture figcaption footer".split()},
}
"""Every tag that a page may contain, with its attributes."""
INSIDE = re.compile(r"#[\w-]+|data:image/png;base64,[A-Za-z0-9+/=]+")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Reading(HTMLParser):
    """Parses a page: its words, tables and figures, and what is wrong with it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text = ""
        self.rows: list[list[str]] = []
        self.quoted: list[str] = []
        self._open: list[str] = []
        self._headings: list[int] = []
        self._ids: list[str] = []
        self._labels: list[str] = []
        self._policies: list[str] = []
        self.problems += [f"control character {found!r}" for found in CONTROLS.findall(page)]
        self.feed(page)
        self.close()
        self._whole()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.tags[tag] += 1
        self.problems += [f"<{tag} {name}>" for name in given if name not in KNOWN.get(tag, set())]
        self.problems += [f"<{tag}>"] if tag not in KNOWN else []
        for name in ("src", "href", "srcset"):
            if name in given and not INSIDE.fullmatch(given[name]):
                self.problems.append(f"{name}={given[name][:60]}")
        if tag == "img" and not given.get("alt"):
            self.problems.append("an image without words")
        if tag == "th" and given.get("scope") not in ("row", "col"):
            self.problems.append("a heading of a table without scope")
        if re.fullmatch(r"h\d", tag):
            self._headings.append(int(tag[1]))
        self._ids += [given["id"]] if "id" in given else []
        self._labels += [given["aria-labelledby"]] if "aria-labelledby" in given else []
        self._policies += [given["content"]] if given.get("http-equiv") == "Content-Security-Policy" else []
        if tag not in EMPTY:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "pre":
            self.quoted.append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            if re.search(r"url\(|@import|expression|http", data):
                self.problems.append("the style asks for something")
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data
        if "pre" in self._open:
            self.quoted[-1] += data

    def handle_comment(self, data: str) -> None:
        self.problems.append("a comment")

    def unknown_decl(self, data: str) -> None:
        self.problems.append("a declaration")

    def handle_pi(self, data: str) -> None:
        self.problems.append("an instruction")

    def _whole(self) -> None:
        steps = zip([0, *self._headings], self._headings, strict=False)
        self.problems += [f"h{now} under h{before}" for before, now in steps if now > before + 1]
        self.problems += [f"{name} twice" for name, count in Counter(self._ids).items() if count > 1]
        self.problems += [f"{name} names nothing" for name in self._labels if name not in self._ids]
        self.problems += [f"<{tag}> is left open" for tag in self._open]
        for tag in ("html", "h1", "main", "title"):
            if self.tags[tag] != 1:
                self.problems.append(f"{self.tags[tag]} times <{tag}>")
        if len(self._policies) != 1 or not self._policies[0].startswith(POLICY):
            self.problems.append("no content security policy")
