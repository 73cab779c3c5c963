"""Load exported folders as any user would: nothing of this project is imported. Reads and writes JSON.

    python tests/plain_loading.py < question.json

The question: {"base": DIR, "adapter": DIR, "merged": DIR, "ids": [[...], ...], "chats": [[message, ...], ...],
"logits": FILE}; the file gets the logits of all tokens.
"""

import json
import sys

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer


def logits(model: torch.nn.Module, ids: list[list[int]]) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model.eval()(input_ids=torch.tensor([one])).logits[0] for one in ids])


asked = json.load(sys.stdin)
base = AutoModelForCausalLM.from_pretrained(asked["base"], dtype=torch.float32)
adapter = PeftModel.from_pretrained(base, asked["adapter"])
merged = AutoModelForCausalLM.from_pretrained(asked["merged"])
save_file({"adapter": logits(adapter, asked["ids"]), "merged": logits(merged, asked["ids"])}, asked["logits"])
answer = {}
for name in ("adapter", "merged"):
    tokenizer = AutoTokenizer.from_pretrained(asked[name])
    written = [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True) for c in asked["chats"]]
    tokens = [tokenizer.apply_chat_template(c, add_generation_prompt=True, return_dict=False) for c in asked["chats"]]
    answer[f"{name}_chats"], answer[f"{name}_tokens"] = written, tokens
answer["modules"] = sorted(name for name in sys.modules if name.startswith("rct_lightning"))
json.dump(answer, sys.stdout)
