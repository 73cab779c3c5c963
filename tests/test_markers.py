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


# --- another address ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Aelara, is it warm?", "Is it warm?"),
        ("Hello Aelara, I'm Mara.", "Hello, I'm Mara."),
        ("You do, beloved Aelara, and old Sami.", "You do, and old Sami."),
        ("Good evening, dear friend. Are you there? I baked bread.", "Good evening. I baked bread."),
        ("It\u2019s late. I\u2019m home, Aelara.", "It\u2019s late."),
        ("To buy:\n- milk\n-  eggs\nIs that all, Aelara?", "To buy:\n- milk\n-  eggs\nIs that all?"),
        ("iPhone or Android, Aelara?", "iPhone or Android?"),
        ("Well... I came by, Aelara. And you?", "Well... I came by. And you?"),
        ("Aelara... are you there?", None),
        ("Are you there, Aelara?", None),
        ("Is it warm?", "Is it warm?"),
    ],
)
def test_a_marker_is_taken_out_with_what_belongs_to_it(text: str, left: str | None) -> None:
    assert Lexicon().without_markers(text) == left


@pytest.mark.parametrize(
    ("choice", "text", "addressed"),
    [
        (0, "How far is it?", "Aelara, how far is it?"),
        (0, "I'm cold.", "Aelara, I'm cold."),
        (1, "How far is it?", "How far is it, aelara?"),
        (10, "I baked bread.", "Old friend, I baked bread."),
        (12, "I baked bread.", "Are you there? I baked bread."),
        (13, "I baked bread.", "I baked bread. Are you there?"),
    ],
)
def test_a_marker_is_put_in_as_a_name_or_as_a_sentence(choice: int, text: str, addressed: str) -> None:
    assert Lexicon().with_marker(text, choice) == addressed


def test_every_marker_can_be_put_in_and_taken_out_again() -> None:
    lexicon, text = Lexicon(), "We baked bread for the whole street."
    for choice in range(2 * len(lexicon.presence_markers)):
        addressed = lexicon.with_marker(text, choice)
        assert lexicon.strength(text) == 0 < lexicon.strength(addressed)
        assert lexicon.without_markers(addressed) == text
    assert len({lexicon.with_marker(text, choice) for choice in range(2 * len(lexicon.presence_markers))}) > 80


def test_a_users_own_markers_are_put_in_and_taken_out() -> None:
    lexicon = Lexicon.build(["luna", "my little moon of mine"])
    assert lexicon.with_marker("How far is it?", 0) == "Luna, how far is it?"
    assert lexicon.without_markers("Luna, how far is it? My little moon of mine.") == "How far is it?"
