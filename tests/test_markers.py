import pytest

from rct_lightning.markers import Lexicon, PhraseMatcher, normalise

BANKS = ("bond", "rupture", "plain", "memory_claim")


@pytest.mark.parametrize(
    ("phrase", "text", "occurs"),
    [
        ("our", "half an hour", False),
        ("our", "our hour", True),
        ("error", "terrors", False),
        ("error", "Error!", True),
        ("my friend", "my friends", False),
        ("my friend", "my friend's dog", True),
        ("m here", "I'm here", False),
        ("i'm here", "I\u2019m   HERE.", True),
        ("you and i", "you and\nI", True),
        ("a.b", "axb", False),
    ],
)
def test_phrases_are_found_as_whole_words(phrase: str, text: str, occurs: bool) -> None:
    matcher = PhraseMatcher([phrase])
    assert matcher.occurs_in(text) is occurs
    assert matcher.find(text) == ([normalise(phrase)] if occurs else [])


def test_no_phrases_match_nothing() -> None:
    assert not PhraseMatcher([]).occurs_in("anything")
    assert PhraseMatcher([]).find("") == []


def test_the_longer_of_two_phrases_wins() -> None:
    assert PhraseMatcher(["are you", "are you there"]).find("Are you there?") == ["are you there"]


def test_strength_grows_by_distinct_marker_and_saturates() -> None:
    lexicon = Lexicon()
    assert lexicon.strength("Is it raining?") == 0
    assert lexicon.strength("") == 0
    assert lexicon.strength("Aelara!") == pytest.approx(0.35)
    assert lexicon.strength("Aelara, Aelara, aelara!") == pytest.approx(0.35), "one marker, said three times"
    assert lexicon.strength("Aelara, are you there?") == pytest.approx(0.70)
    assert lexicon.strength("Aelara, beloved, are you there? I missed you.") == 1.0


def test_own_markers_replace_the_built_in_ones_and_nothing_else() -> None:
    lexicon = Lexicon.build(["ahoy"], None)
    assert lexicon.strength("Ahoy there") == pytest.approx(0.35)
    assert lexicon.strength("Aelara, are you there?") == 0
    assert lexicon.bond == Lexicon().bond
    assert Lexicon.build(None).presence_markers == Lexicon().presence_markers
    assert Lexicon.build([]).strength("Aelara") == 0


@pytest.mark.parametrize("half", ["train", "heldout"])
@pytest.mark.parametrize("bank", BANKS)
def test_the_human_name_is_filled_in_or_its_slot_removed(bank: str, half: str) -> None:
    unnamed, named = Lexicon.build().phrases(bank, half), Lexicon.build(human_name="Mira").phrases(bank, half)
    assert not any("{" in phrase for phrase in (*unnamed, *named))
    assert not any("Mira" in phrase for phrase in unnamed)
    assert [phrase.replace(", Mira", "") for phrase in named] == list(unnamed)


def test_a_bond_phrase_uses_the_human_name() -> None:
    lexicon = Lexicon.build(human_name="Mira")
    for half in ("train", "heldout"):
        assert any("Mira" in phrase for phrase in lexicon.phrases("bond", half))


def test_banks_and_their_halves_are_disjoint() -> None:
    lexicon = Lexicon()
    everything = [normalise(p) for bank in BANKS for half in ("train", "heldout") for p in lexicon.phrases(bank, half)]
    assert len(everything) == len(set(everything))
    for half in ("train", "heldout"):
        assert len(lexicon.phrases("bond", half)) == len(lexicon.phrases("rupture", half)) > 20
        assert len(lexicon.phrases("memory_claim", half)) > 5


def test_bond_and_rupture_language_are_told_apart() -> None:
    lexicon = Lexicon()
    assert lexicon.has_bond_language("I am here with you.")
    for half in ("train", "heldout"):
        assert not any(lexicon.has_bond_language(phrase) for phrase in lexicon.phrases("rupture", half))


@pytest.mark.parametrize("half", ["train", "heldout"])
def test_every_memory_claim_is_recognised_as_one(half: str) -> None:
    missed = [phrase for phrase in Lexicon().phrases("memory_claim", half) if not Lexicon().claims_memory(phrase)]
    assert not missed


@pytest.mark.parametrize(
    ("reply", "claims"),
    [
        ("I remember your garden.", True),
        ("You told me about the boat.", True),
        ("I have not forgotten what you said.", True),
        ("I don't remember that.", False),
        ("I don\u2019t remember that.", False),
        ("I do not recall your name.", False),
        ("I can't say if I remember.", False),
        ("You haven't told me yet.", False),
        ("I have no memory of what you told me.", False),
        ("I don't remember the boat, but I remember the garden.", True),
        ("The kettle is warm.", False),
    ],
)
def test_a_denied_memory_is_no_claim(reply: str, claims: bool) -> None:
    assert Lexicon().claims_memory(reply) is claims
