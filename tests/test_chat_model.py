"""The model's side of the chat: it answers there as it does everywhere else."""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from short_runs import Corpus, configured
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.dialogue import Turn
from rct_lightning.errors import UserError
from rct_lightning.generation import Sampling, generate
from rct_lightning.scoring import base_model, score_continuations
from rct_lightning.template import DialogueTemplate
from rct_lightning.trained import Base, TrainedModel
from rct_lightning.tui.chat.serving import answer, room_for
from rct_lightning.tui.chat.settings import Settings
from rct_lightning.tui.chat.speaker import Done, Ended, Event, Loaded, NotLoaded, ProcessSpeaker, Question, Said

ROOT = Path(__file__).parents[1]
CONTEXT = (Turn("human", "My dog is called Bramble."), Turn("assistant", "A fine name."))
SHORT = Settings(temperature=1.0, top_p=0.9, max_tokens=8)
QUESTION = Question("Who sleeps on the porch?", CONTEXT, 5, SHORT)


@pytest.fixture
def trained(make_backbone: Callable[..., Any], corpus: Corpus, tmp_path: Path) -> TrainedModel:
    config = configured(corpus, tmp_path / "run")
    return TrainedModel(
        config, tmp_path, DialogueTemplate(), make_backbone(), "cpu", Base("tiny", "none", "auto", "cpu")
    )


def told(trained: TrainedModel, question: Question, stopped: Callable[[], bool] = lambda: False) -> list[Event]:
    return list(answer(trained, question, stopped))


def text_of(events: list[Event], side: str = "tuned") -> str:
    return "".join(event.text for event in events if isinstance(event, Said) and event.side == side)


def test_both_sides_answer_with_the_same_seed_one_base_in_memory(trained: TrainedModel) -> None:
    events = told(trained, replace(QUESTION, sides=("tuned", "base")))
    sampling, prompts = Sampling(1.0, 0.9, 1.0, 8), [(CONTEXT, QUESTION.text)]
    ask = (trained.model, trained.tokenizer, trained.template, prompts, sampling)
    assert text_of(events) == generate(*ask, seed=5)[0].text
    with base_model(trained.model):
        assert text_of(events, "base") == generate(*ask, seed=5)[0].text
    assert text_of(events) != text_of(events, "base"), "the adapter changes nothing, so nothing is tested"
    assert [event.side for event in events if isinstance(event, Ended)] == ["tuned", "base"]


@pytest.mark.parametrize("after", [1, 3])
def test_it_stops_within_one_token_and_the_other_side_is_not_asked(trained: TrainedModel, after: int) -> None:
    asked = iter(range(100))
    events = told(trained, replace(QUESTION, sides=("tuned", "base")), lambda: next(asked) == after - 1)
    (ended,) = [event for event in events if isinstance(event, Ended)]
    assert (ended.how, ended.tokens, ended.side) == ("stopped", after, "tuned")


def test_coherence_is_the_gain_from_the_history(trained: TrainedModel) -> None:
    events = told(trained, QUESTION)
    ended = events[-1]
    assert isinstance(ended, Ended) and ended.how == "limit" and ended.gain is not None
    template, tokenizer = trained.template, trained.tokenizer
    reply = tokenizer(template.reply(text_of(events)), add_special_tokens=False)["input_ids"]
    prompts = [template.encode_prompt(QUESTION.text, tokenizer, 256, context).ids for context in (CONTEXT, ())]
    scores = score_continuations(trained.model, [(prompt, reply) for prompt in prompts], tokenizer.pad_token_id, "cpu")
    assert ended.gain == pytest.approx(float(scores[0] - scores[1]), abs=1e-5)
    assert abs(ended.gain) > 1e-4, "the history changes nothing, so nothing is tested"


def test_without_a_history_there_is_no_coherence(trained: TrainedModel) -> None:
    ended = told(trained, replace(QUESTION, context=()))[-1]
    assert isinstance(ended, Ended) and ended.gain is None
    long = (Turn("human", "old words " * 600),)
    ended = told(trained, replace(QUESTION, context=long))[-1]
    assert isinstance(ended, Ended) and (ended.gain, ended.turns_cut) == (None, 1), "a history that did not fit is none"


def test_the_newest_turn_is_never_cut(trained: TrainedModel) -> None:
    limit = trained.model.config.max_position_embeddings
    for words in (1, 200, 440):
        question = Question("word " * words, CONTEXT * 40, 0, replace(SHORT, max_tokens=400))
        room, most = room_for(trained, question)
        encoded = trained.template.encode_prompt(question.text, trained.tokenizer, room, question.context)
        assert encoded.input_tokens_cut == 0 and encoded.turns_cut > 0
        assert 16 <= most <= 400 and len(encoded.ids) + most <= limit
    with pytest.raises(UserError, match=f"reads {limit} with its reply"):
        room_for(trained, replace(question, text="word " * 600))


def wait_for(told: list[Event], kind: Any, seconds: float = 300) -> Event:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = [event for event in told if isinstance(event, kind)]
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(f"no {kind} came: {told}")


@pytest.fixture
def speaking() -> Iterator[Callable[[str], tuple[ProcessSpeaker, list[Event]]]]:
    speakers = []

    def start(run: str) -> tuple[ProcessSpeaker, list[Event]]:
        speaker, events = ProcessSpeaker(run, accelerator="cpu"), list[Event]()
        speakers.append(speaker)
        speaker.start(events.append)
        return speaker, events

    yield start
    for speaker in speakers:
        speaker.close()


def test_a_run_that_is_not_there_is_told_by_the_process(speaking: Any, tmp_path: Path) -> None:
    _, events = speaking(str(tmp_path / "nowhere"))
    told = wait_for(events, NotLoaded)
    assert isinstance(told, NotLoaded) and "not a run directory" in told.why
    time.sleep(0.2)
    assert len(events) == 1, "it is told once"


def test_a_process_that_dies_is_told(speaking: Any, run: Path) -> None:
    speaker, events = speaking(str(run))
    speaker._process.kill()  # while it loads, which takes seconds
    told = wait_for(events, NotLoaded)
    assert isinstance(told, NotLoaded) and "exit code -9" in told.why


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a few steps."""
    from rct_lightning.experiment import train

    folder = tmp_path_factory.mktemp("chat") / "run"
    train(configured(corpus, folder, "trainer.max_steps=2"))
    return folder


@pytest.mark.long
def test_a_run_answers_stops_and_answers_again_in_its_own_process(speaking: Any, run: Path) -> None:
    speaker, events = speaking(str(run))
    loaded = wait_for(events, (Loaded, NotLoaded))
    assert isinstance(loaded, Loaded) and (loaded.name, len(loaded.model)) == ("run", 64)
    speaker.ask(replace(QUESTION, settings=replace(SHORT, max_tokens=400)))
    wait_for(events, Said)
    speaker.stop()
    wait_for(events, Done)
    speaker.stop()  # too late: it must not stop the next answer
    events.clear()
    speaker.ask(replace(QUESTION, sides=("tuned", "base")))
    assert wait_for(events, Done) == Done()
    assert [type(event) for event in events if not isinstance(event, Said)] == [Ended, Ended, Done]
    speaker._process.kill()
    assert isinstance(wait_for(events, NotLoaded), NotLoaded)


def prompt(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["chat", *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_one_reply_is_printed_for_scripts(run: Path) -> None:
    hot = ("--temperature", "1.5", "--max-tokens", "8", "--accelerator", "cpu")
    logging.getLogger("bitsandbytes").setLevel(logging.NOTSET)
    code, first, beside = prompt(str(run), "--prompt", "Are you there?", "--seed", "1", *hot)
    assert beside == "" and not logging.getLogger("bitsandbytes").isEnabledFor(logging.WARNING), "a script reads both"
    assert code == 0 and first.strip()
    assert prompt(str(run), "--prompt", "Are you there?", "--seed", "1", *hot)[1] == first
    assert prompt(str(run), "--prompt", "Are you there?", "--seed", "2", *hot)[1] != first
    code, base, _ = prompt(str(run), "--prompt", "Are you there?", "--seed", "1", "--base", *hot)
    assert code == 0 and base.strip()


def test_a_prompt_of_bytes_that_are_no_text_is_answered(run: Path) -> None:
    text = "M\udcc3\udca4rz \udcff?"  # as an argument arrives in a locale that cannot decode it
    assert prompt(str(run), "--prompt", text, "--max-tokens", "2", "--accelerator", "cpu")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "--prompt", "Hi"), "not a run directory"),
        (("--prompt", "Hi"), "There is no run"),
        (("--prompt", "  "), "nothing to answer"),
        (("--prompt", "Hi", "--temperature", "9"), "temperature"),
        ((), "give --prompt"),
    ],
)
def test_without_a_model_there_is_no_reply_but_exit_code_2(
    arguments: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = prompt(*arguments)
    assert (code, out) == (2, "") and said in err and "Traceback" not in err


def test_a_damaged_run_is_told(run: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "adapter" / "adapter_model.safetensors").write_bytes(b"half")
    code, out, err = prompt(str(damaged), "--prompt", "Hi", "--accelerator", "cpu")
    assert (code, out) == (2, "") and "damaged" in err


def test_help_answers_without_a_terminal_library() -> None:
    script = (
        "import json, sys\nfrom rct_lightning.cli import app\n"
        "try: app(['chat', '--help'])\nfinally: print(json.dumps(sorted(sys.modules)))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert "--prompt" in done.stdout
    assert not {"textual", "torch", "sqlite3", "platformdirs"} & set(json.loads(done.stdout.splitlines()[-1]))
