"""What each rule of cleaning detects, what it leaves alone, and what replaces personal data."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from time import process_time

import pytest

from rct_lightning.corpus import pii
from rct_lightning.corpus.exchange import Exchange, excerpt
from rct_lightning.corpus.rules import EXCHANGE_RULES
from rct_lightning.corpus.scrub import Names, Scrubber, read_names
from rct_lightning.errors import UserError

ASKED = "Can you tell me what the tide does tonight?"
REPLY = "It turns at nine, and you will hear it from the porch."
HOME, USERS, AT = "/" + "home", "/" + "Users", "@"
CARD = "4539 5787 6362 1486"  # a valid check digit, nobody's card
IBAN = "DE89 3704 0044 0532 0130 00"  # the register's own example
KEY = "sk-" + "a1B2" * 10


def ruled(reply: str, asked: str = ASKED) -> str | None:
    """Return the first rule that applies."""
    return next((rule.name for rule in EXCHANGE_RULES if rule.find and rule.find(Exchange(asked, reply))), None)


def scrubbed(text: str, names: Names | None = None, off: tuple[str, ...] = ()) -> str:
    scrubber = Scrubber(off, names)
    scrubber.survey(text, (0.0, 0, ""))
    scrubber.number()
    return scrubber.scrub(text)[0]


# --- rules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "reply"),
    [
        ("too-short", ""),
        ("too-short", " \n"),
        ("too-short", "ok"),
        ("placeholder", "This block is not supported on your current device yet."),
        ("placeholder", f"{REPLY}\n```\nThis block is not supported on your current device yet.\n```"),
        ("placeholder", "Viewing artifacts created via the Analysis Tool web preview isn’t yet supported on mobile."),
        ("placeholder", "\u200e[image omitted]"),
        ("placeholder", f"{REPLY}\n\nNetwork error"),
        ("placeholder", "null"),
        ("reasoning", f"The user is asking about tides. I should answer briefly.{REPLY}"),
        ("reasoning", f"Okay, the user wants company, not facts.\n\n{REPLY}"),
        ("reasoning", f"<thinking>She is tired.</thinking>{REPLY}"),
        ("reasoning", f"{REPLY} <think>Was that too long?</think>"),
        ("reasoning", f"Let me think about how to respond. {REPLY}"),
        ("reasoning", f"I should acknowledge the loss before anything else. {REPLY}"),
        ("reasoning", f"Thought for 12 seconds\n\n{REPLY}"),
        ("wrong-speaker", f"{REPLY}\nHuman: And tomorrow, will it be the same?\nAssistant: The same."),
        ("wrong-speaker", f"{REPLY}\n\nUser: And tomorrow, will it be the same?"),
        ("wrong-speaker", f"You said:\n{ASKED}\n\nChatGPT said:\n{REPLY}"),
        ("wrong-speaker", ASKED),
        ("wrong-speaker", f"{REPLY}<|im_end|>\n<|im_start|>user"),
        ("noise", "Q2hhcnQ" * 60),
        ("noise", "12.5 17.2 19.1 22.8 31.0 12.5 17.2 19.1 22.8 31.0 44.4 12.9 11.1 10.2 9.5 8.1"),
        ("noise", "no " * 80),
        ("noise", "a" * 60),
        ("noise", f"{REPLY} \ufffd\ufffd n\ufffd"),
        ("noise", "\x1b[31mIt turns\x00 at\x07 nine."),
    ],
)  # fmt: skip
def test_a_fault_is_named(rule: str, reply: str) -> None:
    assert ruled(reply) == rule


@pytest.mark.parametrize(
    ("asked", "reply"),
    [
        (ASKED, REPLY),
        (ASKED, "Yes."),
        (ASKED, "My reasoning was wrong, and I am glad you asked twice."),
        (ASKED, "Let me think about it until the kettle boils, and you sit down."),
        (ASKED, "I should think so, yes."),
        ("What does a form need?", "The user is asked for too much. Two fields will do."),
        ("Who is in front of the screen?", "The human eye sees it first."),
        (ASKED, "Something went wrong with the dough, that is all."),
        ("My camera says: format not supported.", "Large cards are not supported by older ones."),
        (ASKED, "ANNA: You came.\nLENA: Late."),
        (ASKED, "Host: db\nUser: postgres\nPort: 5432, as it always was."),
        ("Say good night.", "Good night."),
        (ASKED, "No, no, no and no. I heard you four times."),
        (ASKED, "See https://example.org/" + "tide-" * 30 + " for the table."),
        ("潮は？", "九時に変わります。玄関から聞こえますよ。"),
        ("Прилив?", "В девять, и его слышно с крыльца."),
    ],
)  # fmt: skip
def test_what_looks_like_one_is_left_alone(asked: str, reply: str) -> None:
    assert ruled(reply, asked) is None


def test_an_input_may_be_a_word_but_not_a_mark() -> None:
    assert ruled(REPLY, "Why") is None
    assert ruled(REPLY, "?") == "too-short"


def test_an_excerpt_is_one_safe_line() -> None:
    shown = excerpt("a\x1b[2Jb\nc" + "x" * 300)
    assert shown.startswith('"ab cxx') and shown.endswith('x…"') and len(shown) < 120


# --- personal data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"Write to ana.b+x{AT}mail.example.org.", "Write to [EMAIL_1]."),
        (f"<bücher{AT}lesen-berlin.de>", "<[EMAIL_1]>"),
        ("Call +44 (0)20 7946 0958 or (415) 555-2671.", "Call [PHONE_1] or [PHONE_2]."),
        ("Tel. 5550123, after six", "Tel. [PHONE_1], after six"),
        ("0171/3920014 and 06.12.34.56.78 and 00 49 30 901820", "[PHONE_1] and [PHONE_2] and [PHONE_3]"),
        ("on 12.03.2024 0171/3920014", "on 12.03.2024 [PHONE_1]"),
        ("Ruf mich an: 01713920014", "Ruf mich an: [PHONE_1]"),
        ("Meine neue Nummer ist 01713920014.", "Meine neue Nummer ist [PHONE_1]."),
        (f"pay with {CARD} 12/27", "pay with [CARD_1] 12/27"),
        (f"{CARD.replace(' ', '-')} is {CARD}", "[CARD_1] is [CARD_1]"),
        (f"to {IBAN}, BIC COBADEFF", "to [IBAN_1], BIC COBADEFF"),
        (f"{IBAN.replace(' ', '')} or {IBAN.replace(' ', '-').lower()}", "[IBAN_1] or [IBAN_1]"),
        ("ES91 2100 0418 4502 0005 1332 BIC, NO93 8601 1117 947.", "[IBAN_1] BIC, [IBAN_2]."),
        ("MT84 MALT 0110 0001 2345 MTLC AST0 01S and GB82WEST12345698765432", "[IBAN_1] and [IBAN_2]"),
        (f"the key is {KEY}!", "the key is [KEY_1]!"),
        ("from 83.140.25.17:8080 to 2001:db8::25:1a", "from [IP_1]:8080 to [IP_2]"),
        (f"it is in {HOME}/mberg/notes and {USERS}/m.berg", "it is in [HOME_1]/notes and [HOME_2]"),
        ("C:\\Users\\Maria Berg\\x and c:/users/mb", "[HOME_1]\\x and [HOME_2]"),
    ],
)
def test_personal_data_is_replaced(text: str, clean: str) -> None:
    assert scrubbed(text) == clean
    assert scrubbed(clean) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            "\u6211\u7684\u624b\u673a\u53f7\u662f13812345678\uff0c\u8c22\u8c22",
            "\u6211\u7684\u624b\u673a\u53f7\u662f[PHONE_1]\uff0c\u8c22\u8c22",
        ),
        (
            "\u6211\u7684\u624b\u673a\u53f7\u662f+86 138 1234 5678\u3002",
            "\u6211\u7684\u624b\u673a\u53f7\u662f[PHONE_1]\u3002",
        ),
        ("\u96fb\u8a71\u306f090-1234-5678\u3067\u3059", "\u96fb\u8a71\u306f[PHONE_1]\u3067\u3059"),
        (
            "\uc81c \ubc88\ud638\ub294 010-1234-5678\uc774\uc5d0\uc694",
            "\uc81c \ubc88\ud638\ub294 [PHONE_1]\uc774\uc5d0\uc694",
        ),
        (
            "\u0e42\u0e17\u0e23081-234-5678\u0e04\u0e23\u0e31\u0e1a",
            "\u0e42\u0e17\u0e23[PHONE_1]\u0e04\u0e23\u0e31\u0e1a",
        ),
        (
            "\u30ab\u30fc\u30c9\u756a\u53f7\u306f4111 1111 1111 1111\u3067\u3059",
            "\u30ab\u30fc\u30c9\u756a\u53f7\u306f[CARD_1]\u3067\u3059",
        ),
        ("\u8d26\u53f7DE89 3704 0044 0532 0130 00\u662f", "\u8d26\u53f7[IBAN_1]\u662f"),
        ("\u670d\u52a1\u5668\u5728192.168.7.23\u4e0a\u8fd0\u884c", "\u670d\u52a1\u5668\u5728[IP_1]\u4e0a\u8fd0\u884c"),
        ("\u5730\u57402001:db8::25:1a\u3002", "\u5730\u5740[IP_1]\u3002"),
        (f"\u8def\u5f84{USERS}/zhangwei/\u6587\u6863", "\u8def\u5f84[HOME_1]/\u6587\u6863"),
        (f"\u8def\u5f84{USERS}/zhangwei\u4e0b\u7684\u6587\u6863", "\u8def\u5f84[HOME_1]\u4e0b\u7684\u6587\u6863"),
    ],
)  # fmt: skip
def test_a_word_that_needs_no_space_may_stand_right_beside_personal_data(text: str, clean: str) -> None:
    """Chinese, Japanese, Korean and Thai letters are no part of the number or path that they stand beside."""
    assert scrubbed(text) == clean
    assert scrubbed(clean) == clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            f"\u8054\u7cfb\u6211foo{AT}bar.com\u8c22\u8c22\u4f60\uff0c\u518d\u89c1",
            "\u8054\u7cfb\u6211[EMAIL_1]\u8c22\u8c22\u4f60\uff0c\u518d\u89c1",
        ),
        (
            f"foo{AT}bar.com\u8c22\u8c22.\u518d\u89c1\uff0cfoo{AT}bar.com",
            "[EMAIL_1]\u8c22\u8c22.\u518d\u89c1\uff0c[EMAIL_1]",
        ),
        (f"\u30e1\u30fc\u30eb\u306ftanaka{AT}example.co.jp\u306b", "\u30e1\u30fc\u30eb\u306f[EMAIL_1]\u306b"),
        (
            f"\u30e1\u30fc\u30eb\u306ftanaka{AT}example.com\u306b\u9001\u3063\u3066\u304f\u3060\u3055\u3044"
            "\u307e\u3059\u3088\u3046\u3088\u308d\u3057\u304f\u304a\u9858\u3044\u7533\u3057\u4e0a\u3052\u307e"
            "\u3059",
            "\u30e1\u30fc\u30eb\u306f[EMAIL_1]\u306b\u9001\u3063\u3066\u304f\u3060\u3055\u3044\u307e\u3059"
            "\u3088\u3046\u3088\u308d\u3057\u304f\u304a\u9858\u3044\u7533\u3057\u4e0a\u3052\u307e\u3059",
        ),
        (f"_foo{AT}bar.com_, __foo{AT}bar.com__", "_[EMAIL_1]_, __[EMAIL_1]__"),
    ],
)  # fmt: skip
def test_an_address_is_replaced_and_the_sentence_around_it_stays(text: str, clean: str) -> None:
    """An address begins and ends where its script does, and emphasis is no part of it: it has one placeholder."""
    assert scrubbed(text) == clean
    assert scrubbed(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        f"\u7528\u6237{AT}\u4f8b\u5b50.\u5e7f\u544a",
        f"foo{AT}\u4f8b\u5b50.\u5e7f\u544a",
        f"foo{AT}abc\u5546\u5e97.com",
        f"b\u00fccher{AT}lesen.verm\u00f6gensberatung",
        f"\u0438\u0432\u0430\u043d{AT}\u043f\u043e\u0447\u0442\u0430.\u0440\u0444",
    ],
)
def test_an_address_in_any_script_is_found(text: str) -> None:
    """Where an address is of such a script itself, or mixes two, the whole of it is replaced."""
    assert scrubbed(text) == "[EMAIL_1]"


@pytest.mark.parametrize(
    "text",
    [
        "\u7248\u672c10.0.0.1\u548c\u7b2c1.2.3.4\u7ae0",
        "\u8ba2\u5355\u53f70171-392-0014",
        "\u7f16\u53f7:415-555-2671",
        "\u7535\u8bdd\u67092345678\u4e2a",
    ],
)
def test_versions_orders_and_amounts_are_left_alone_in_other_scripts_too(text: str) -> None:
    """A chapter, a version, an order, a reference and an amount, in Chinese."""
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Phone:415-555-2671", "Phone:[PHONE_1]"),
        ("my number=415-555-2671", "my number=[PHONE_1]"),
        ("phone_number=5550123", "phone_number=[PHONE_1]"),
        ("tel:+14155552671", "tel:[PHONE_1]"),
        ("card:4111111111111111", "card:[CARD_1]"),
        ('{"card":4111111111111111}', '{"card":[CARD_1]}'),
        ("\u624b\u673a\u53f7:13812345678", "\u624b\u673a\u53f7:[PHONE_1]"),
        ("x=4111111111111111", "x=4111111111111111"),
        ("ratio 1:4155552671", "ratio 1:4155552671"),
        ("order_number=415-555-2671", "order_number=415-555-2671"),
        ("at 10:15:30 0171/3920014", "at 10:15:30 [PHONE_1]"),
    ],
)
def test_a_number_follows_its_label_at_once(text: str, clean: str) -> None:
    """A colon or an equals sign before a number is of a program, a time or a ratio, but not behind "phone"."""
    assert scrubbed(text) == clean


@pytest.mark.parametrize(
    "piece", ["_", "a@", "a@b.", "\u4e00", "\u4e00@", "a@\u4e00.", f"{USERS}/a-", "phone:1", "DE12 "]
)
def test_the_time_of_a_search_grows_as_the_text_does(piece: str) -> None:
    """Ten times as long a text takes about ten times as long; a search that begins anew everywhere takes a hundred."""
    short, long = (min(_seconds(piece * times) for _ in range(3)) for times in (2_000, 20_000))
    assert long < 40 * short + 0.05


def _seconds(text: str) -> float:
    begin = process_time()
    for kind in pii.KINDS:
        list(kind.find(text))
    return process_time() - begin


@pytest.mark.parametrize(
    "text",
    [
        "Order 4512 8837 2201, invoice 2024-000123-77, ISBN 978-3-16-148410-0",
        f"the card {CARD[:-1]}5 has a wrong check digit",
        "take version 10.0.0.1, not 10.0.0.2",
        "127.0.0.1 and 255.255.255.0 are everybody's",
        "std::vector, a::b, at 10:15:30",
        "left-pad@1.3.0, @property, git@github.com:a/b, foo@bar",
        "on 2024-03-12 from 19:40 to 20:15, 1914-1918, 51.5072, -0.1276",
        f"under {HOME}/user and /usr/share, or https://x.example{HOME}/page",
        "1-800-273-8255 is a helpline, 988 too",
        "1234-5678, 1 250 000 points, 250 g and 125 g",
        "Die Methode ruft Zeile 5550123 auf, Bestellnummer 01713920014",
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sk-is-a-prefix-of-many-hyphenated-words-here",
    ],
)
def test_other_numbers_and_paths_are_not(text: str) -> None:
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    "text",
    [
        f"{IBAN[:-1]}1",  # wrong check digits
        f"{IBAN}0",
        IBAN[:-1],
        f"{IBAN}a",
        f"x{IBAN}",
        IBAN.replace("DE", "QX"),
        IBAN.replace(" 37", "-37"),  # separators of two kinds
        IBAN[:9],
    ],
)
def test_what_is_no_account_number(text: str) -> None:
    assert list(pii.ibans(IBAN)) == [(0, len(IBAN))] and not list(pii.ibans(text))


def test_a_kind_that_is_off_is_left() -> None:
    text = f"ana{AT}mail.example, +44 20 7946 0958"
    assert scrubbed(text, off=("email",)) == f"ana{AT}mail.example, [PHONE_1]"


def test_the_same_value_has_the_same_placeholder_and_numbers_follow_the_rows_not_the_file() -> None:
    texts = {1.0: f"from B{AT}x.example", 2.0: f"to a{AT}x.example and b{AT}X.example"}

    def outcome(order: list[float]) -> list[str]:
        scrubber = Scrubber()
        for time in order:
            scrubber.survey(texts[time], (time, 0, ""))
        scrubber.number()
        return [scrubber.scrub(texts[time])[0] for time in sorted(texts)]

    expected = ["from [EMAIL_1]", "to [EMAIL_2] and [EMAIL_1]"]
    assert outcome([1.0, 2.0]) == outcome([2.0, 1.0]) == expected


def test_numbers_go_on_after_those_that_are_there() -> None:
    assert scrubbed(f"[EMAIL_7] and ana{AT}mail.example") == "[EMAIL_7] and [EMAIL_8]"


def test_phone_numbers_of_other_countries_need_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    spanish = "Escríbeme: 612 345 678"
    monkeypatch.setattr(pii, "phone_library", lambda: None)
    assert scrubbed(spanish) == spanish
    monkeypatch.undo()
    pytest.importorskip("phonenumbers")
    assert scrubbed(spanish) == "Escríbeme: [PHONE_1]"
    assert scrubbed("612 345 678 901 234") == "612 345 678 901 234"  # a row of a table


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_are_found_as_written_and_in_capitals_on_whole_words() -> None:
    names = Names({"Ann": None, "Ann Lee": "Mary", "José": None, "王伟": None})
    decomposed = unicodedata.normalize("NFD", "José")
    text = f"ANN LEE, Ann's cat, Annie, an ann; {decomposed} and 我是王伟。"
    assert scrubbed(text, names) == "Mary, [NAME_1]'s cat, Annie, an ann; [NAME_2] and 我是[NAME_3]。"


def test_a_name_may_stand_right_beside_a_word_that_needs_no_space() -> None:
    """A Latin name in a Chinese sentence, and a Korean name with its particle."""
    names = Names({"Ann": None, "\uae40\ubbfc\uc218": None})
    text = "\u6211\u53ebAnn\uff0cAnna; \uae40\ubbfc\uc218\ub294"
    assert scrubbed(text, names) == "\u6211\u53eb[NAME_1]\uff0cAnna; [NAME_2]\ub294"
    assert names.in_id("\u804a\u5929ann-1") and not names.in_id("\u804a\u5929anna-1")


def test_it_makes_no_difference_how_accents_are_stored() -> None:
    names = Names({"José Müller": None, "Ana": None, "김민수": None})
    partly = "Jose\u0301 Müller"
    text = f"{partly}, {partly.upper()}, {unicodedata.normalize('NFD', '김민수')}; man\u0303ana, Ana\u0301, Ana."
    assert scrubbed(text, names) == "[NAME_1], [NAME_1], [NAME_2]; man\u0303ana, Ana\u0301, [NAME_3]."


def test_a_name_in_an_id_is_seen_as_a_word_in_either_case() -> None:
    names = Names({"Ann Lee": None, "José": "Max", "王伟": None})
    for found in ("chat-with-ann_lee-3", "JOSE\u0301.txt#1", "聊天王伟-ab12", "Ann Lee"):
        assert names.in_id(found), found
    for other in ("chat-with-ann-4", "joanne-lee", "josé2", "planning-1"):
        assert not names.in_id(other), other


def test_a_list_of_names_is_read(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeffAnn # my sister\n\n# nobody\nTom Lee = Max\n".encode())
    assert read_names(file).replacements == {"Ann": None, "Tom Lee": "Max"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Ann\nJos\xe9\n", "not UTF-8"),
        (b"# nobody\n\n", "holds no names"),
        (b"Ann\nTom =\n", "line 2: nothing stands after"),
        (b"= Tom\n", "line 1: '' is no name"),
        (b"A\n", "line 1: the name 'A' is a single letter"),
        (b"Ann = Max\nAnn = Tom\n", "line 2: 'Ann' has another replacement in line 1"),
        (b"Ann = Tom Lee\nTom\n", "line 1: the replacement 'Tom Lee' holds the name 'Tom'"),
    ],
)
def test_a_list_that_cannot_be_meant_so_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "names.txt"
    file.write_bytes(content)
    with pytest.raises(UserError, match=says.replace("(", r"\(")):
        read_names(file)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_names(tmp_path / "none.txt")
