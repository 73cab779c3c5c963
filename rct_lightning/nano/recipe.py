"""The constants and the recipe that determine the weights of `nano`."""

from dataclasses import dataclass

EOS, PAD = "<|endoftext|>", "<|padding|>"
VOCAB_SIZE = 4096
HELD_OUT = 1_000_003  # seed of the stories that no training run sees


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the weights; lengths and sizes in tokens, `steps` in optimizer steps."""

    steps: int = 6000
    seed: int = 0
    tokens_per_step: int = 4096
    micro_tokens: int = 4096  # tokens per forward pass; small passes fit the processor's cache
    short_length: int = 256  # block length of the first part of the run
    length: int = 512  # block length of the rest
    short_share: float = 0.7  # share of the steps with short blocks
    learning_rate: float = 3e-3  # AdamW: embeddings, norms, biases
    muon_rate: float = 0.01  # Muon: weight matrices; 0 trains them with AdamW as well
    rehearsal: int = 60  # steps at the start on repeated random tokens
    echo_share: float = 0.03  # share of such blocks afterwards
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.1
    copy_weight: float = 3.0  # loss weight of a token that can be copied from earlier text
    hidden_size: int = 128
    layers: int = 6
    heads: int = 2
    intermediate_size: int = 512
    rotary_pct: float = 0.25
    embed_std: float = 0.1
    look_back: float = 8.0  # size of the biases of the look-back head; 0 starts without the copying circuit
    match: float = 3.0  # scale of the comparing heads' queries and keys
    tokenizer_stories: int = 20_000
