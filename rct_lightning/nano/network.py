"""The network of `nano` and its initialisation."""

import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from rct_lightning.nano.recipe import VOCAB_SIZE, Recipe


def build_model(recipe: Recipe) -> GPTNeoXForCausalLM:
    """Return a GPT-NeoX with new weights, seeded by the recipe."""
    torch.manual_seed(recipe.seed)
    config = GPTNeoXConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=recipe.intermediate_size,
        rotary_pct=recipe.rotary_pct,
        max_position_embeddings=1024,
        use_parallel_residual=True,
        tie_word_embeddings=False,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    model = GPTNeoXForCausalLM(config)
    if recipe.look_back > 0:
        seed_copying(model, recipe)
    return model


@torch.no_grad()
def seed_copying(model: GPTNeoXForCausalLM, recipe: Recipe) -> None:
    """Initialise a rough induction circuit (Olsson et al. 2022), which training then sharpens.

    Layer 0, head 0 looks one token back (its query and key biases differ by one rotary step) and writes what
    it finds into one half of the residual space; in the next two layers head 0 compares that half, at every
    earlier position, with its own token and passes on the token that followed. Without this start, a model of this
    size needs far more text before it copies.
    """
    width = recipe.hidden_size // recipe.heads
    rotary = int(width * recipe.rotary_pct)
    layers = model.gpt_neox.layers
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    basis = torch.linalg.qr(torch.randn(recipe.hidden_size, recipe.hidden_size, generator=generator))[0]
    read, write = (
        basis[:width],
        basis[-width:],
    )  # (width, hidden): what is compared, where the last token is kept
    embed = model.gpt_neox.embed_in.weight
    embed.copy_(torch.randn(embed.shape, generator=generator) * recipe.embed_std)
    model.get_output_embeddings().weight.copy_(embed * 0.02 / recipe.embed_std)

    angle = 10000.0 ** -(torch.arange(0, rotary, 2) / rotary)
    bias = layers[0].attention.query_key_value.bias
    loud = recipe.look_back * (angle > 0.01)
    bias[: rotary // 2] = loud
    bias[width : width + rotary // 2] = loud * angle.cos()
    bias[width + rotary // 2 : width + rotary] = loud * angle.sin()
    layers[0].attention.query_key_value.weight[2 * width : 3 * width] = read
    layers[0].attention.dense.weight[:, :width] = write.T * recipe.embed_std
    for layer in layers[1:3]:
        qkv, dense = layer.attention.query_key_value.weight, layer.attention.dense.weight
        still = torch.arange(width) >= rotary  # channels that carry no position
        qkv[:width] = read * still[:, None] * recipe.match
        qkv[width : 2 * width] = write * still[:, None] * recipe.match
        qkv[2 * width : 3 * width] = read
        dense[:, :width] = read.T * recipe.embed_std
