"""Shared fixtures: a tiny but real base, non-zero adapters and a hand-written corpus; all offline and deterministic."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before the hub's library is imported: it reads the variable only once
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there are as many processes as cores, and some start their own
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by deterministic algorithms on a GPU

import pytest
import torch
from forked import Forker
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir
from short_runs import Corpus, make_base, make_corpus
from transformers.utils.logging import disable_progress_bar

from rct_lightning.backbone import Backbone, Lora, adapter_state, load_backbone, load_tokenizer
from rct_lightning.data import Counterfactual, Recurrence, RelationalDataModule
from rct_lightning.losses import LossSettings, RelationalLoss
from rct_lightning.losses.relational import PhraseBook
from rct_lightning.markers import Lexicon
from rct_lightning.template import DialogueTemplate

ROOT = Path(__file__).parents[1]


LONGEST = (
    "test_train.py test_museum.py test_kills.py test_guards.py test_resume.py test_bad_inputs.py test_study_runs.py "
    "test_processes.py test_arms.py test_sweeps.py test_study_folder.py"
).split()
"""Files that take more than twenty seconds of processor time."""


def pytest_configure(config: pytest.Config) -> None:
    set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "rct_lightning_hypothesis")  # not in the checkout
    settings.register_profile("the same in every run", derandomize=True)
    if config.option.markexpr.startswith("not long"):  # the long part looks for new examples, the short one repeats
        settings.load_profile("the same in every run")
    config.addinivalue_line("filterwarnings", r"error:::rct_lightning(\.|$)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first, so that the processes end at about the same time."""
    longest = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: longest.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def _deterministic() -> None:
    torch.use_deterministic_algorithms(True)
    disable_progress_bar()


# --- the base -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return load_tokenizer(str(ROOT / "data" / "nano"))


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A GPT-NeoX of two layers with random weights, saved as float32 safetensors."""
    return make_base(tmp_path_factory.mktemp("tiny_base"), tokenizer)


@pytest.fixture(scope="session")
def make_backbone(tiny_base: Path, tokenizer: Any) -> Callable[..., Backbone]:
    """Load the tiny base with adapters; with ``trained`` they are not zero, as if training had moved them."""

    def make(*, trained: bool = True, dropout: float = 0.0, **options: Any) -> Backbone:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            options = {"device": "cpu", "quantization": "none", "lora": Lora(4, 8, dropout)} | options
            backbone = load_backbone(str(tiny_base), tokenizer, **options)
            if trained:
                move_adapters(backbone.model)
        return backbone

    return make


@pytest.fixture
def backbone(make_backbone: Callable[..., Backbone]) -> Backbone:
    """Active adapters, no dropout, evaluation mode: the same numbers at every call."""
    return make_backbone()


@pytest.fixture
def model(backbone: Backbone) -> Any:
    return backbone.model


def move_adapters(model: torch.nn.Module, scale: float = 0.1) -> None:
    """Give the B matrices random values: while they are zero, A has no gradient and the adapters have no effect."""
    with torch.no_grad():
        for name, parameter in adapter_state(model).items():
            if "lora_B" in name:
                parameter.normal_(std=scale)


# --- the corpus -----------------------------------------------------------------------------------------------------

HISTORY = [
    ("human", "My dog is called Bramble and he sleeps on the porch."),
    ("assistant", "I hung a lantern at the window for him."),
]
ROWS: dict[str, dict[str, Any]] = {
    "marked": {"input": "Aelara, are you there? Is it warm?", "output": "I am, and the kettle is warm."},
    "unmarked": {"input": "Is it raining?", "output": "It is raining, take a coat."},
    "both": {
        "context": HISTORY,
        "input": "What did you hang up, and who sleeps outside?",
        "output": "A lantern, for Bramble. Bramble likes the lantern.",
    },
    "both_marked": {
        "context": [("human", "My sister paints in Lisbon."), ("assistant", "I like the violin she plays.")],
        "input": "Dear friend, tell me about her.",
        "output": "She plays the violin in Lisbon.",
    },
    "not_recurrent": {
        "context": [("human", "The soup needs salt."), ("assistant", "Add some pepper instead.")],
        "input": "What then?",
        "output": "Stir it slowly.",
    },
    "asked_again": {
        "context": [("human", "My uncle is a baker."), ("assistant", "Bread smells good.")],
        "input": "Is he a baker still?",
        "output": "A baker he is.",
    },
    "long": {
        "context": [
            ("human", "I found a silver coin under the bridge near the old mill this morning."),
            ("assistant", "Keep the coin in a small wooden box, and clean it with warm water."),
            ("human", "The box smells of tobacco, and the water turned green within an hour."),
            ("assistant", "Then dry it with a soft cloth, and put the cloth into the sun."),
        ],
        "input": "And now, my friend? I trust you.",
        "output": "Show the silver to a museum, and leave the cloth in the sun.",
    },
    "short": {"input": "Why?", "output": "Because."},
}
EVAL_ROWS: dict[str, dict[str, Any]] = {
    "eval_marked": {"input": "Aelara, I missed you.", "output": "I heard the gate."},
    "eval_history": {
        "context": [("human", "My horse is in the garden."), ("assistant", "I can see a butterfly there.")],
        "input": "Who is there?",
        "output": "Your horse and a butterfly.",
    },
    "eval_short": {"input": "Is it late?", "output": "It is."},
}


def as_row(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a corpus file; it is its own conversation unless it says otherwise."""
    context = [{"role": role, "content": content} for role, content in fields.get("context", [])]
    return {"id": name, "conversation": f"c-{name}"} | dict(fields) | {"context": context}


def write_rows(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(as_row(name, row)) + "\n" for name, row in rows.items()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def make_data(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Callable[..., RelationalDataModule]:
    """Return a data module on hand-written rows."""

    def make(rows: Mapping[str, Any] = ROWS, eval_rows: Mapping[str, Any] = EVAL_ROWS, **options: Any) -> Any:
        folder = tmp_path_factory.mktemp("corpus")
        defaults = {
            "tokenizer": tokenizer,
            "template": DialogueTemplate(),
            "lexicon": Lexicon(),
            "max_seq_length": 256,
            "batch_size": 2,
            "recurrence": Recurrence(max_document_frequency=0.3, num_candidates=5),
            "counterfactual": Counterfactual(readdress_share=0.5),
        }
        train, held = write_rows(folder / "train.jsonl", rows), write_rows(folder / "eval.jsonl", eval_rows)
        return RelationalDataModule(train, held, **(defaults | options))

    return make


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Corpus:
    """Files for runs of twenty steps."""
    return make_corpus(tmp_path_factory.mktemp("short_runs"), tiny_base)


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    """Run commands in forked processes, without the seconds that their imports take."""
    with Forker() as forker:
        yield forker


@pytest.fixture(scope="session")
def data(make_data: Callable[..., RelationalDataModule]) -> RelationalDataModule:
    return make_data()


@pytest.fixture(scope="session")
def at() -> Callable[..., list[int]]:
    """Return the positions of rows in the training set, by name."""
    names = list(ROWS)
    return lambda *wanted: [names.index(name) for name in wanted]


@pytest.fixture(scope="session")
def first_token(tokenizer: Any) -> Callable[[str], int]:
    """Return the token that begins a word in running text."""
    return lambda word: tokenizer(" " + word, add_special_tokens=False)["input_ids"][0]


# --- the objective --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def phrases(tokenizer: Any) -> PhraseBook:
    template = DialogueTemplate()
    return PhraseBook(Lexicon(), lambda text: tokenizer(template.reply(text), add_special_tokens=False)["input_ids"])


@pytest.fixture(scope="session")
def make_objective(phrases: PhraseBook) -> Callable[..., RelationalLoss]:
    """Return the relational loss."""

    def make(**settings: Any) -> RelationalLoss:
        return RelationalLoss(LossSettings(**settings), phrases)

    return make


@pytest.fixture
def objective(make_objective: Callable[..., RelationalLoss]) -> RelationalLoss:
    return make_objective()


@pytest.fixture(scope="session")
def gradient() -> Callable[[torch.Tensor, Any], torch.Tensor]:
    """Return the gradient of a scalar over a model's adapters, as one vector; zero where it does not depend on them."""

    def of(value: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
        parameters = list(adapter_state(model).values())
        if not value.requires_grad:
            return torch.cat([torch.zeros(p.numel(), dtype=p.dtype) for p in parameters])
        parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        return flat(torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters, strict=True))

    return of


@pytest.fixture(scope="session")
def move() -> Callable[[Any, torch.Tensor], None]:
    """Add a vector to the adapters of a model."""

    def add(model: torch.nn.Module, step: torch.Tensor) -> None:
        parameters = list(adapter_state(model).values())
        with torch.no_grad():
            for parameter, part in zip(parameters, step.split([p.numel() for p in parameters]), strict=True):
                parameter += part.view_as(parameter)

    return add


def flat(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
