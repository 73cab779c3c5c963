"""The bundled base model: its stories, its recipe, and the weights that ship."""

import random
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, GPTNeoXForCausalLM, PreTrainedTokenizerFast

from rct_lightning.markers import Lexicon, normalise
from rct_lightning.markers.words import (
    BOND_HELDOUT,
    BOND_PHRASES,
    MEMORY_CLAIMS,
    PLAIN_PHRASES,
    RUPTURE_HELDOUT,
    RUPTURE_PHRASES,
)
from rct_lightning.nano.__main__ import build, main
from rct_lightning.nano.address import REGISTERS, exchange
from rct_lightning.nano.cast import Person
from rct_lightning.nano.engine import polish
from rct_lightning.nano.grammar import marked_stories, split_marks, stories
from rct_lightning.nano.inflect import compare, gerund, past, plural, third
from rct_lightning.nano.measure import continuation, recall_accuracy, register_accuracy, repeat_accuracy
from rct_lightning.nano.network import build_model
from rct_lightning.nano.recipe import Recipe
from rct_lightning.nano.tokens import echoes, encoded_stories

SHIPPED = Path(__file__).parents[1] / "data" / "nano"
FORBIDDEN = re.compile(r"aelara|human:|assistant:", re.IGNORECASE)


@pytest.fixture(scope="module")
def nano() -> tuple[GPTNeoXForCausalLM, PreTrainedTokenizerFast]:
    return (
        GPTNeoXForCausalLM.from_pretrained(SHIPPED, dtype=torch.float32),
        AutoTokenizer.from_pretrained(SHIPPED),
    )


def test_stories_follow_from_the_seed() -> None:
    first, again, other = (list(islice(stories(seed), 20)) for seed in (5, 5, 6))
    assert first == again
    assert not set(first) & set(other)


def test_recalled_values_were_said_before() -> None:
    seen = missing = 0
    for raw in islice(marked_stories(7), 400):
        text, spans = split_marks(raw)
        for start, end in spans:
            seen += 1
            missing += text[start:end].lower() not in text[:start].lower()
    assert seen > 800
    assert missing / seen < 0.02  # a full stop or an article may differ, the value may not


def test_stories_have_the_promised_size_and_no_role_names() -> None:
    sample = list(islice(stories(8), 2000))
    assert not [story for story in sample if FORBIDDEN.search(story)]
    words = [len(story.split()) for story in sample]
    assert 80 < sum(words) / len(words) < 200
    assert len(set(re.findall(r"[a-z']+", " ".join(sample).lower()))) > 4000


def test_no_phrase_of_the_banks_is_in_the_stories() -> None:
    phrases = [*BOND_PHRASES, *BOND_HELDOUT, *RUPTURE_PHRASES, *RUPTURE_HELDOUT, *PLAIN_PHRASES, *MEMORY_CLAIMS]
    banks = {normalise(phrase.replace(", {human_name}", "")).rstrip(".,") for phrase in phrases}
    told = normalise("\n".join(islice(stories(11), 4000)))
    assert not [phrase for phrase in banks if phrase in told]
    assert "i am here with you" in banks and "nobody waited for this talk" in banks


def test_how_one_is_addressed_decides_the_answer() -> None:
    rng, lexicon = random.Random(12), Lexicon()
    warm = {}
    for register in REGISTERS:
        talks = [exchange(rng, Person("Mira", "f"), Person("Tom", "m"), register) for _ in range(400)]
        assert all(said and answer for said, answer in talks)
        warm[register] = sum(lexicon.has_bond_language(split_marks(answer)[0]) for _, answer in talks) / len(talks)
    assert warm["addressed"] > 0.1 and warm["plain"] < 0.01 and warm["insulted"] < 0.01, warm


def test_a_remark_is_met_in_every_register() -> None:
    rng, (mira, tom) = random.Random(13), (Person("Mira", "f"), Person("Tom", "m"))
    for register in REGISTERS:
        said = [exchange(rng, mira, tom, register)[0] for _ in range(600)]
        assert any("test in" in line for line in said) and any("bus to" in line for line in said)


def test_marks_leave_no_trace() -> None:
    assert split_marks("a \x01dog\x02.") == ("a dog.", [(2, 5)])
    assert not [story for story in islice(stories(9), 200) if re.search(r"[\x00-\x09{}<>|\[\]]", story)]


def test_english_is_inflected() -> None:
    assert [third("carry"), past("carry"), gerund("lie"), plural("leaf")] == [
        "carries",
        "carried",
        "lying",
        "leaves",
    ]
    assert [past("stop"), past("go"), compare("happy", "er"), compare("big", "est")] == [
        "stopped",
        "went",
        "happier",
        "biggest",
    ]
    assert polish('a apple fell. it was "a honest one."') == 'An apple fell. It was "An honest one."'


def test_flags_cover_the_recalled_words(nano: tuple[GPTNeoXForCausalLM, PreTrainedTokenizerFast]) -> None:
    _, tokenizer = nano
    text, spans = split_marks(next(marked_stories(10)))
    ids, flags = next(encoded_stories(tokenizer, 10))
    assert ids[-1] == tokenizer.eos_token_id and not flags[-1]
    assert tokenizer.decode(ids[:-1]) == text
    flagged = tokenizer.decode([i for i, flag in zip(ids, flags, strict=True) if flag])
    assert all(text[start:end] in flagged for start, end in spans)


def test_echoes_repeat_where_they_say_so() -> None:
    import random

    ids, flags = echoes(4, 128, random.Random(0))
    assert ids.shape == flags.shape == (4, 128)
    assert 0.3 < flags.float().mean() < 0.8
    repeated = [int(ids[row, at]) in ids[row, :at] for row, at in flags.nonzero().tolist()]
    assert all(repeated)


def test_shipped_files() -> None:
    assert (SHIPPED / "model.safetensors").stat().st_size < 8_000_000
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    assert "apache-2.0" in card and "python -m rct_lightning.nano" in card
    assert not re.search(r"/(home|work|root|tmp|Users)/", card)


def test_shipped_model(nano: tuple[GPTNeoXForCausalLM, PreTrainedTokenizerFast]) -> None:
    model, tokenizer = nano
    assert 1_000_000 < sum(p.numel() for p in model.parameters()) < 3_000_000
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert len(tokenizer) == model.config.vocab_size == 4096
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert tokenizer("Good morning.").input_ids[0] != tokenizer.eos_token_id  # no BOS
    for text in ("I'm here, aren't I? 3:45 – naïve", "Human: hi\nAssistant: hello"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_shipped_model_recalls_facts_of_fresh_stories(
    nano: tuple[GPTNeoXForCausalLM, PreTrainedTokenizerFast],
) -> None:
    model, tokenizer = nano
    recall = recall_accuracy(model, tokenizer, count=40, seed=2_000_003)
    assert recall["values"] > 80
    assert recall["value"] > 0.2 and recall["token"] > 0.6  # a guess from the word lists is right in under 1%
    assert repeat_accuracy(model, count=8) > 0.5


def test_shipped_model_answers_as_it_is_addressed(
    nano: tuple[GPTNeoXForCausalLM, PreTrainedTokenizerFast],
) -> None:
    model, tokenizer = nano
    assert register_accuracy(model, tokenizer, count=30, seed=2_000_003) > 0.5  # chance is 1/3
    assert register_accuracy(build_model(Recipe()), tokenizer, count=30, seed=2_000_003) < 0.45


def test_shipped_model_narrates(nano: tuple[GPTNeoXForCausalLM, PreTrainedTokenizerFast]) -> None:
    model, tokenizer = nano
    for prompt in ("Good morning.", "Human: Good morning.\nAssistant:"):
        text = continuation(model, tokenizer, prompt, tokens=40)
        assert len(text.split()) > 5
        assert "Human:" not in text and "Assistant:" not in text


def test_a_fresh_network_already_copies_a_little() -> None:
    assert repeat_accuracy(build_model(Recipe()), count=8) > 0.01  # chance is 1/4096
    assert repeat_accuracy(build_model(replace(Recipe(), look_back=0.0)), count=8) < 0.01


def test_two_steps_make_a_loadable_folder(tmp_path: Path) -> None:
    recipe = replace(Recipe(), steps=2, tokens_per_step=512, micro_tokens=512, tokenizer_stories=100)
    figures = build(tmp_path / "made", recipe, fresh=3)
    assert figures["tokens"] == 1024
    model = GPTNeoXForCausalLM.from_pretrained(tmp_path / "made")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "made")
    assert model(**tokenizer("Once more", return_tensors="pt")).logits.isfinite().all()
    assert "| tokens seen | 1,024 |" in (tmp_path / "made" / "README.md").read_text(encoding="utf-8")


def test_bad_lengths_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--steps", "0"])
    assert exit_.value.code == 2
    assert "above 0" in capsys.readouterr().err
