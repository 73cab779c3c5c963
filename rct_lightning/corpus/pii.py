"""Finds personal data that has a fixed form. :mod:`rct_lightning.corpus.scrub` replaces it.

Numbers are the hard part, because most are not personal: a run of digits counts as a phone number only by its shape or
by the words before it, as a card number only by issuer, length and check digit, and as an account number only by
country, length and check digits. Names have no fixed form, so a pattern cannot find them.

Where a word ends is told by :mod:`rct_lightning.corpus.scripts`: Chinese or Korean letters stand right beside a number.
"""

from __future__ import annotations

import functools
import importlib
import ipaddress
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rct_lightning.corpus.scripts import LETTER_OR_DIGIT, UNSPACED, WORD

Span = tuple[int, int]
Find = Callable[[str], Iterator[Span]]
Accepts = Callable[[str, int, int, Span], bool]


@dataclass(frozen=True)
class Kind:
    """One kind of personal data.

    Attributes:
        name: Name, as in ``--off NAME``.
        label: Label, as in the placeholder ``[LABEL_1]``.
        looks_for: Description for the user, in one line.
        find: Yields start and end of every place in a text.
        same: Maps a value to its key; values with the same key get the same placeholder.
        in_fields: Whether other fields of a row are searched too; False for kinds that ids and times resemble.
    """

    name: str
    label: str
    looks_for: str
    find: Find
    same: Callable[[str], str] = str.casefold
    in_fields: bool = True


# --- addresses and paths --------------------------------------------------------------------------------------------

_LOCAL = re.compile(
    rf"{LETTER_OR_DIGIT}(?:{WORD}|[.+%'-]){{0,63}}$"
    r"|_[_.+%'-]{0,63}$"
    rf"|(?:(?=\w)[{UNSPACED}]){{1,64}}$"  # what stands before it cannot be told from it
)
"""The part before the @. Underscores around an address are emphasis; letters that need no space are words before it."""
_TOP = rf"(?:[^\W\d_{UNSPACED}]{{2,24}}|[{UNSPACED}][^\W\d_]{{1,23}})(?!{LETTER_OR_DIGIT})"
_DOMAIN = re.compile(
    rf"(?:(?:{LETTER_OR_DIGIT}(?:(?:{WORD}|-){{0,61}}{LETTER_OR_DIGIT})?|[{UNSPACED}](?:[\w-]{{0,61}}[^\W_])?)\.)+{_TOP}"
    rf"|(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.)+{_TOP}"  # labels of two scripts
)
"""The part behind the @: a sentence may go on right behind it, so a name of one script ends where the script does."""
NOT_A_PERSON = {"git", "hg", "svn"}
"""Local parts (before the @) of addresses that belong to a command, not to a mailbox."""


def emails(text: str) -> Iterator[Span]:
    """Find e-mail addresses, by searching around each @."""
    at, end = text.find("@"), 0
    while at >= 0:
        window = max(end, at - 64)
        local, domain = _LOCAL.search(text[window:at]), _DOMAIN.match(text, at + 1)
        if local and domain and local.group().lower() not in NOT_A_PERSON:
            yield window + local.start(), domain.end()
            end = domain.end()
        at = text.find("@", at + 1)


_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-(?:[a-z]+\d*-)*[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic and others that adopted the form
    r"|[spr]k_(?:live|test)_[A-Za-z0-9]{16,}"  # Stripe
    r"|gh[opsur]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|A(?:KI|SI)A[A-Z0-9]{16}(?![A-Z0-9])"  # AWS
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    r"|xox[abeoprs]-[A-Za-z0-9-]{20,}"  # Slack
    r"|(?:hf|gsk|npm|pat|shpat|dop_v1|r8)_[A-Za-z0-9]{30,}|(?:xai|pplx)-[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{40,}"
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{30,}"  # SendGrid
    r"|eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"  # JSON web tokens
    r"|\d{8,10}:AA[A-Za-z0-9_-]{33}"  # Telegram bots
    r")|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


_KEY_HINTS = (
    "sk-", "k_live_", "k_test_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA",
    "AIza", "ya29.", "xox", "hf_", "gsk_", "npm_", "pat_", "dop_v1_", "r8_", "xai-", "pplx-", "pypi-", "SG.", "eyJ",
    ":AA", "PRIVATE KEY",
)  # fmt: skip
"""Every match of :data:`_KEY` holds one of these: most texts hold none, and a substring search is fast."""


def keys(text: str) -> Iterator[Span]:
    """Find API keys, tokens and private keys, by the prefixes of their issuers."""
    if not any(hint in text for hint in _KEY_HINTS):
        return
    for match in _KEY.finditer(text):
        if not match.group().startswith("sk-") or any(map(str.isdigit, match.group())):  # else hyphenated words
            yield match.span()


_USER = rf"{WORD}(?:(?:{WORD}|[.-])*{WORD})?|\w(?:[\w.-]*\w)?"
_HOME = re.compile(
    rf"(?:(?<!{WORD})(?<![.~}})\]/\\-])|(?<=file:/)|(?<=file://))"
    r"(?:/var|/export|/mnt(?:/[a-z])?|/[a-z]|/Volumes/[^/\n]{1,40})?"
    rf"/(?:home|Users)/({_USER})"
    r"|(?:(?<![A-Za-z0-9])[A-Za-z]:|\\\\wsl\S{0,40}?)[\\/]+(?:[Uu]sers|[Dd]ocuments and [Ss]ettings|home)[\\/]+"
    rf"((?!\s)[^\\/:*?\"<>|\r\n\t]{{1,40}}(?=[\\/])|{_USER})"
    r"|(?<![\w/~.])~([a-z_][\w.-]*)(?=/)"
)
NOBODYS_HOME = frozenset(
    "user users username you yourname your_name your-name name me home public shared default guest page index "
    "ubuntu debian pi node runner vscode admin root app ec2-user all".split()
)
"""User names that identify nobody."""


_HOME_HINTS = ("/home", "\\home", "sers/", "sers\\", "ettings/", "ettings\\", "~")


def homes(text: str) -> Iterator[Span]:
    """Find home folders of Linux, macOS and Windows, up to and including the user's name."""
    if not any(hint in text for hint in _HOME_HINTS):
        return
    for match in _HOME.finditer(text):
        if next(name for name in match.groups() if name).lower() not in NOBODYS_HOME:
            yield match.span()


# --- network addresses ----------------------------------------------------------------------------------------------

_IP4 = re.compile(rf"(?<!{WORD})(?<![.\]-])(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?!{WORD}|\[|\.\d|-{WORD})")
_IP6 = re.compile(rf"(?<!{WORD})(?<![:.\]])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{0,4}}(?!{WORD}|[:\[])")
_STOP = re.compile(r"[.?!] |[\u3002\uff01\uff1f\n]")
_DOTTED = re.compile(r"\d\.\d{1,3}\.\d")
_VERSION = re.compile(
    rf"(?<!{WORD})(?:v|versions?|releases?|firmware|build|sections?|chapters?|clause|paragraph)(?!{WORD})|§"
    "|版本|固件|バージョン|ファームウェア|버전|펌웨어",
    re.I,
)
_NUMBERED = frozenset("vV第")
"""A dotted number right behind one of these is a version or a chapter."""


def network_addresses(text: str) -> Iterator[Span]:
    """Find IP addresses, except loopback, masks, and dotted numbers in a sentence that mentions versions."""
    found = list(_IP4.finditer(text)) if _DOTTED.search(text) else []
    if text.count(":") > 2:
        found += _IP6.finditer(text)
    if not found:
        return
    starts = [0, *(stop.end() for stop in _STOP.finditer(text)), len(text)]
    versions = [bool(_VERSION.search(text, start, end)) for start, end in pairwise(starts)]
    for match in found:
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        if address.is_loopback or address.is_unspecified or match.group().startswith("255."):
            continue
        if isinstance(address, ipaddress.IPv6Address):
            groups = [group for group in match.group().split(":") if group]
            if len(groups) < 3 or not any(map(str.isdigit, match.group())):
                continue  # `a::b` is a name in a program
        elif versions[bisect_right(starts, match.start()) - 1] or text[match.start() - 1 : match.start()] in _NUMBERED:
            continue
        yield match.span()


# --- numbers --------------------------------------------------------------------------------------------------------

_LABELS = (
    "phone number mobile mobil handy cell tel telefon nummer fax sms whatsapp card karte kartennummer "
    "手机 手機 电话 電話 携帯 号 号码 號 號碼 番号 卡 カード 전화 번호 휴대폰 카드"
).split()
"""Words whose value may follow the sign at once. Behind others, ``:`` and ``=`` are of times, ratios and programs."""
_LABELLED = "|".join(f"(?<={label}{quote}[:=])" for label in _LABELS for quote in ("", "[\"']"))
_NUMBER = re.compile(
    rf"(?<!{WORD})(?<![.,;@#$€£\]-])(?:(?<![:=])|(?<=[:=])(?i:{_LABELLED}))(?<![\d)][/])\+?\(?\d+\)?"
    rf"(?:(?:[ \u00a0./-]| / )\(?\d+\)?|(?<=\))\d+)*(?!{WORD}|\[|[.,:]\d|[-/]{WORD})"
)
_DIGITS = re.compile(r"\d[\d \u00a0()./-]{4}")
_GROUP = re.compile(r"\d+")
_BLANKS = " \u00a0"
_BEFORE = _BLANKS + "("
_DATE = re.compile(r"(?:\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2})(?!\d|[./-]\d)")
_BEGIN, _END = rf"(?<!{LETTER_OR_DIGIT})", rf"(?!{LETTER_OR_DIGIT})"
"""Of a word; of `phone_number` too."""
_PHONE_WORDS = re.compile(
    rf"(?:(?<!{WORD})(?:tele?(?:phone|fon)?|phone|mobile|mobil|handy|cell|call|text|whatsapp|signal|ring|fax|dial|sms|"
    r"reach (?:me|us|him|her|them)|my (?:new |old |private )?number|"
    rf"ruft?|meine (?:neue |alte |private )?nummer){_END}|☎|📞"
    "|手机|手機|电话|電話|座机|微信|联系方式|聯絡方式|携帯|ケータイ|전화|휴대폰|핸드폰|연락처)"
    rf"(?:[\W_]{{0,3}}(?:{_BEGIN}(?:me|us|him|her|them|is|at|on|under|number|no|nr|or|mich|uns|an|ist|unter|nummer){_END}"
    r"|号码?|號碼?|番号|번호|是|为|為|は|는|은)){0,3}[\W_]{0,3}$",
    re.I,
)
_OTHER_WORDS = re.compile(
    rf"(?:(?<!{WORD})(?:order|invoice|ticket|tracking|isbn|issn|ean|serial|part|item|account|customer|reference|ref|"
    r"case|id|iban|bestellung|rechnung|version|room|code|parcel|booking|policy|member(?:ship)?|bill|receipt|batch|lot|model)"
    rf"{_END}|[#№$€£]|订单|訂單|注文|주문|发票|發票|請求書|송장|快递|追跡|"
    r"[单單编編账帐帳型](?:号|號|番)|[账帐帳][户戶]|会員|会员|會員|회원|予約|예약|口座|계좌)"
    rf"(?:[\W_]{{0,3}}(?:{_BEGIN}(?:number|numbers|no|nr|id|code|is|was|are){_END}|号码?|號碼?|番号?|번호|是|为|為|は|는|은))"
    r"{0,3}[\W_]{0,3}$",
    re.I,
)
_CODE_BEFORE = re.compile(r"\b(?:[A-Z]+\d|\d+[A-Z])\w* $")
"""A number after such a word continues it: `1Z 999 AA1 01 2345`."""
_LOOK_BACK = 48
MOST_GROUPS = 12
"""A run with more groups of digits is a table."""
_FREE = re.compile(r"1?8(?:00|33|44|55|66|77|88)\d{7}|0?80[08]\d{3,8}")
"""Toll-free numbers: they belong to services and helplines, not to persons."""
_AMERICAN = re.compile(r"(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([ .-]))[2-9]\d\d(?(1)\1|[ .-])\d{4}")
_TRUNK = re.compile(r"\(?0[1-9]\d{0,4}\)?(?: / |[ \u00a0./-])?\d{1,8}(?:[ \u00a0.-]\d{2,8}){0,4}")
_ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14}"
    r"|(?:50(?:18|20|38)|5893|6304|6759|676[1-3])\d{8,15}|35(?:2[89]|[3-8]\d)\d{12}"
)


def phones(text: str) -> Iterator[Span]:
    """Find phone numbers: international, American and trunk-zero shapes, and others after words such as "call me"."""
    return _numbers(text, _is_phone, least=7, most=17)


def cards(text: str) -> Iterator[Span]:
    """Find card numbers: an issuer's prefix, its length, and a valid check digit (ISO/IEC 7812, Luhn)."""
    return _numbers(text, _is_card, least=13, most=19)


_CHECK_DIGITS = re.compile(rf"[0-9]{{2}}(?<=[A-Za-z]{{2}}[0-9]{{2}})(?<!{LETTER_OR_DIGIT}[A-Za-z]{{2}}[0-9]{{2}})")
"""What follows the country of an account number; digits are rare, so a search that begins with them is fast."""
_COUNTRIES_BY_LENGTH = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
IBAN_LENGTHS = {name: length for length, names in _COUNTRIES_BY_LENGTH.items() for name in names.split()}
"""Characters of an account number by country, from the register of the IBAN (ISO 13616)."""


def ibans(text: str) -> Iterator[Span]:
    """Find account numbers: a country's length, in one piece or in groups of four, right check digits (ISO 7064)."""
    for digits in _CHECK_DIGITS.finditer(text):
        begin = digits.start() - 2
        length = IBAN_LENGTHS.get(text[begin : digits.start()].upper())
        found = _iban(length).match(text, begin) if length else None
        if found:
            compact = "".join(filter(str.isalnum, found.group()))
            if int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1:
                yield found.span()


@functools.cache
def _iban(length: int) -> re.Pattern[str]:
    """Return the pattern of an account number with so many characters; what separates its groups is always the same."""
    groups, rest = divmod(length, 4)
    pieces = [r"[A-Za-z0-9]{4}([ \u00a0-]?)[A-Za-z0-9]{4}", *["[A-Za-z0-9]{4}"] * (groups - 2)]
    return re.compile(r"\1".join(pieces + [f"[A-Za-z0-9]{{{rest}}}"] * (rest > 0)) + f"(?!{LETTER_OR_DIGIT})")


def _numbers(text: str, accepts: Accepts, least: int, most: int) -> Iterator[Span]:
    """Yield the longest accepted sequences of digit groups with ``least`` to ``most`` digits, left to right, no dates.

    Groups may be joined by any separator; an accepted sequence is delimited by spaces or by the ends of the run.
    """
    for match in _NUMBER.finditer(text) if _DIGITS.search(text) else ():
        if match.end() - match.start() < least:
            continue
        groups = [group.span() for group in _GROUP.finditer(text, *match.span())]
        if len(groups) > MOST_GROUPS:
            continue
        first = 0
        while first < len(groups):
            begin = groups[first][0]
            if date := _DATE.match(text, begin):
                first += sum(start < date.end() for start, _ in groups[first:])
                continue
            bracketed = ")" in text[begin : groups[min(first + 1, len(groups) - 1)][1]]
            while begin > match.start() and text[begin - 1] in ("(+" if bracketed else "+"):
                begin -= 1
            digits, taken, last = 0, 0, first
            if begin == match.start() or text[begin - 1] in _BEFORE:
                while last < len(groups) and (digits := digits + groups[last][1] - groups[last][0]) <= most:
                    last += 1
                    whole = last == len(groups) or text[groups[last - 1][1]] in _BLANKS
                    if whole and digits >= least and accepts(text, begin, groups[last - 1][1], match.span()):
                        taken = last
            if taken:
                yield begin, groups[taken - 1][1]
            first = max(taken, first + 1)


def _is_card(text: str, start: int, end: int, run: Span) -> bool:
    shown = text[start:end]
    digits = re.sub(r"[ -]", "", shown)
    if not digits.isascii() or not digits.isdigit() or not _ISSUERS.fullmatch(digits):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _is_phone(text: str, start: int, end: int, run: Span) -> bool:
    shown = text[start:end]
    digits = re.sub(r"\D", "", shown)
    if not digits.isascii() or _DATE.match(shown) or _FREE.fullmatch(digits) or len(set(digits)) < 3:
        return False
    before = text[max(0, start - _LOOK_BACK) : start]
    if _CODE_BEFORE.search(before):
        return False
    if shown.startswith("+") or (shown.startswith("00") and len(digits) >= 11 and digits[2] != "0" and end == run[1]):
        return 8 <= len(digits) <= 17
    if _PHONE_WORDS.search(before):
        return 7 <= len(digits) <= 15
    if _OTHER_WORDS.search(before):
        return False
    if _AMERICAN.fullmatch(shown):
        return True
    if _TRUNK.fullmatch(shown) and 9 <= len(digits) <= 12 and len(shown) > len(digits):
        return True
    around = text[max(0, start - _ALONE_BY) : start] + text[end : end + _ALONE_BY]
    alone = (start, end) == run and not any(map(str.isdigit, around))
    return alone and len(digits) >= LEAST_OF_LIBRARY and _known_to_library(shown)


# --- the optional library -------------------------------------------------------------------------------------------

REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "SE", "DK", "NO", "PT", "IN", "BR", "MX", "AU", "JP")
"""Countries whose national number formats are recognised if ``phonenumbers`` is installed."""


LEAST_OF_LIBRARY = 9
"""Least number of digits of a number that is accepted by its grouping alone: eight could be two years."""
_ALONE_BY = 12
"""Characters before and after such a number that must hold no digit: in a row of a table they would."""


@functools.cache
def phone_library() -> Any:
    """Return the package ``phonenumbers`` (the extra ``pii``), or None if it is not installed."""
    try:
        return importlib.import_module("phonenumbers")
    except ImportError:
        return None


def _known_to_library(shown: str) -> bool:
    """Return whether a number is valid and grouped as usual in one of the regions."""
    library = phone_library()
    if library is None or len(_GROUP.findall(shown)) < 2 or "." in shown:
        return False
    strict = library.Leniency.STRICT_GROUPING
    return any(
        found.end - found.start == len(shown)
        for region in REGIONS
        for found in library.PhoneNumberMatcher(shown, region, leniency=strict)
    )


def _digits(value: str) -> str:
    return re.sub(r"\D", "", value)


def _letters_and_digits(value: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", value.upper())


KINDS = (
    Kind("key", "KEY", "API keys and tokens by their issuers' prefixes, private keys", keys, same=str),
    Kind("email", "EMAIL", "e-mail addresses", emails),
    Kind("iban", "IBAN", "account numbers (IBAN) with right check digits", ibans, same=_letters_and_digits),
    Kind("card", "CARD", "card numbers with a right check digit", cards, same=_digits, in_fields=False),
    Kind("ip", "IP", "IP addresses (not loopback, not version numbers)", network_addresses, in_fields=False),
    Kind("home", "HOME", "home folders, up to the user's name", homes),
    Kind("phone", "PHONE", "phone numbers by shape or by the words before them", phones, same=_digits, in_fields=False),
)
"""Kinds in order of precedence, for places that several kinds claim."""
