"""No part of the program can run code that came with a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [*sorted((ROOT / "rct_lightning").rglob("*.py")), ROOT / "train.py", ROOT / "evaluate.py"]
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
ARGUMENTS = {"shell": True, "weights_only": False, "trust_remote_code": True, "allow_pickle": True}


def doors(source: str) -> Iterator[str]:
    """Yield what in a source could run code passed to it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield str(node.module)
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS:
                yield name
            if name.endswith("from_pretrained") and name.startswith("Auto"):
                if "trust_remote_code" not in [keyword.arg for keyword in node.keywords]:
                    yield f"{name}, which asks on the console whether to run what it finds"
            for keyword in node.keywords:
                if keyword.arg in ARGUMENTS:
                    value = keyword.value
                    if not isinstance(value, ast.Constant) or value.value is ARGUMENTS[keyword.arg]:
                        yield f"{name}({keyword.arg}={ast.unparse(value)})"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_door_is_open(path: Path) -> None:
    assert list(doors(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import torch; torch.load(path)",
        "import yaml; yaml.load(text)",
        "subprocess.run(line, shell=True)",
        "f(weights_only=False)",
        "AutoModel.from_pretrained(name, trust_remote_code=flag)",
        "AutoModel.from_pretrained(name)",
        "np.load(file, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_a_door_would_be_seen(source: str) -> None:
    assert list(doors(source))
