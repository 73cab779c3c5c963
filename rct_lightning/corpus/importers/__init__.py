"""One module per format. The format of a file is detected by its structure, in the order below."""

from __future__ import annotations

from rct_lightning.corpus.importers import alpaca, chatgpt, claude, gemini, grok, messages, rows, sharegpt, transcript
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.jsonstream import Damaged
from rct_lightning.corpus.sources import EXPORTS, TEXTS
from rct_lightning.errors import UserError

__all__ = ["FORMATS", "Format", "Source", "choose"]

_ORDER = (claude, chatgpt, grok, gemini, messages, sharegpt, alpaca, rows, transcript)
FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _ORDER}
HTML = {".html", ".htm"}
LOOKED_AT = 1 << 20
"""Bytes of an HTML page that are searched for Gemini's name; many of them are style sheets."""


def choose(source: Source, name: str | None = None) -> Format | None:
    """Return the format of a file: the requested one, else the one that its structure shows.

    Args:
        source: The file.
        name: The value of ``--format``.

    Returns:
        The format; None if a file in a folder or an archive has none, which is counted.

    Raises:
        UserError: There is no such format; or the file cannot be read although the user named it or it has the name
            of an export.
    """
    if name is not None and name not in FORMATS:
        raise UserError(f"There is no format {name!r}. Formats are: {', '.join(FORMATS)}.")
    member = source.member
    is_text = member.suffix in TEXTS
    if name is not None:
        if member.asked or is_text == (name == transcript.FORMAT.name):
            return FORMATS[name]
        return _none(source, "files of another kind than --format", "")
    if member.suffix in HTML:
        return _page(source)
    if is_text:
        if source.speakers is None and not member.asked:
            return _none(source, "text files without a speaker map (--speakers)", "")
        return FORMATS[transcript.FORMAT.name]
    try:
        return _by_structure(source)
    except Damaged as error:
        return _none(source, "files that are not readable as JSON", str(error))


def _by_structure(source: Source) -> Format | None:
    heads, of_activity = 0, False
    for head in source.heads():
        heads += 1
        of_activity = of_activity or ("header" in head and source.member.base.lower() == "myactivity.json")
        for one in FORMATS.values():
            if one.claims(head):
                return one
    name = source.member.name
    if not source.member.size:
        return _none(source, "empty files", f"{name}: the file is empty. Fetch the export again.")
    if not heads:
        return _none(
            source, "files without a JSON object", f"{name}: there is no JSON object in it, so no conversation."
        )
    if of_activity and not source.member.asked:  # Takeout calls the file of every product MyActivity.json
        return _none(source, "activity of other products", "")
    known = "; ".join(one.what for one in FORMATS.values())
    message = f"{name}: it has none of the known shapes. They are: {known}. --format NAME reads it as one all the same."
    return _none(source, "files of no known format", message)


def _none(source: Source, what: str, message: str) -> Format | None:
    """Refuse a file that the user named or that has an export's name; only count any other."""
    if message and (source.member.asked or EXPORTS.fullmatch(source.member.base)):
        raise UserError(message)
    source.tally.drop(what, source.member.name)
    return None


def _page(source: Source) -> Format | None:
    """Count an HTML page, which is never read; refuse Gemini's activity page anywhere, since it is an export."""
    name = source.member.name
    is_gemini = b"Gemini" in source.member.read(LOOKED_AT)
    if is_gemini and (source.member.asked or source.member.base.lower() == "myactivity.html"):
        raise UserError(
            f"{name}: in an activity page of Google Takeout prompt and answer stand in one cell, without a mark of who "
            f"speaks. {gemini.AS_JSON}."
        )
    return _none(source, "HTML pages", f"{name}: HTML is not read. Give the export's JSON file.")
