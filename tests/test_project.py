"""What the project promises about itself: two commands, one version, nothing of the machine that it was made on."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rct_lightning

ROOT = Path(__file__).parents[1]
COMMANDS = ["pip install -e . && python train.py", 'pip install -e ".[dev]" && pytest']
TOP = {
    "rct_lightning", "conf", "data", "docs", "tests", ".ci",
    "train.py", "evaluate.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore",
}  # fmt: skip
NOT_OURS = {".git", ".venv", "venv", "build", "dist", "logs", "__pycache__"}
MACHINE = re.compile(r"(?<![\w.~}])/(?:work|home|root|Users|tmp|mnt|opt|workspace)/")
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|anaconda\.org|npmjs\.org|crates\.io|download\.pytorch\.org|proxy\.golang\.org|"
    r"(?:extra-)?index-url|trusted-host",
    re.I,
)


def tracked() -> list[Path]:
    """The project's files: as git says, or, in an unpacked archive, what no tool has made."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
        listed = [ROOT / name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        listed = []
    return [path for path in listed if path.is_file()] or [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(part in NOT_OURS or part.endswith((".egg-info", "_cache")) for part in path.relative_to(ROOT).parts)
    ]


def texts() -> dict[str, str]:
    """Every tracked text by its name from the top."""
    found = {}
    for path in tracked():
        try:
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # weights
            continue
    return found


@pytest.fixture(scope="module")
def project() -> dict[str, str]:
    return texts()


def commands(text: str) -> list[str]:
    """Lines that install the project and go on."""
    return [line.strip() for line in text.splitlines() if re.match(r"\s*pip install .*&&", line)]


def test_readme_and_ci_hold_the_same_two_commands(project: dict[str, str]) -> None:
    assert commands(project["README.md"]) == COMMANDS
    assert commands(project[".ci/run"]) == COMMANDS


def test_ci_runs_them_in_a_fresh_environment_and_checks_style_and_types(project: dict[str, str]) -> None:
    script = project[".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111, "it can be run as it stands"
    assert "set -euo pipefail" in script and "mktemp -d" in script and "-m venv" in script
    for line in ("ruff check .", "ruff format --check .", "mypy"):
        assert f"\n{line}\n" in script
    assert script.index("-m venv") < script.index(COMMANDS[0]) < script.index(COMMANDS[1])


def test_every_command_of_the_readme_names_an_entry_point_that_exists(project: dict[str, str]) -> None:
    for script in set(re.findall(r"python (\w+\.py)", project["README.md"])):
        assert script in project
    for module in set(re.findall(r"python -m (rct_lightning[\w.]*)", "".join(project.values()))):
        path = module.replace(".", "/")
        assert f"{path}.py" in project or f"{path}/__main__.py" in project, module


def test_links_of_the_pages_lead_somewhere(project: dict[str, str]) -> None:
    for name, text in project.items():
        if name.endswith(".md"):
            for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
                assert (ROOT / name).parent.joinpath(target).exists(), f"{name} links to {target}"


def test_the_top_holds_what_the_design_names(project: dict[str, str]) -> None:
    found = {name.split("/")[0] for name in project}
    assert TOP - found == set()
    assert found - TOP <= {"logs", ".github"}


def test_one_version(project: dict[str, str]) -> None:
    metadata = tomllib.loads(project["pyproject.toml"])["project"]
    assert metadata["version"] == rct_lightning.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"])
    assert "## [" in project["CHANGELOG.md"]
    assert "Apache License" in project["LICENSE"] and metadata["license"] == "Apache-2.0"


def test_dependencies_have_ranges(project: dict[str, str]) -> None:
    metadata = tomllib.loads(project["pyproject.toml"])["project"]
    assert {"torch", "lightning", "hydra-core", "peft", "bitsandbytes"} <= {
        re.split(r"[<>=!~; ]", one)[0] for one in metadata["dependencies"]
    }
    assert all(">=" in one for one in metadata["dependencies"])
    assert "dev" in metadata["optional-dependencies"]


def test_what_is_imported_is_declared(project: dict[str, str]) -> None:
    """A fresh environment has the declared packages alone; what comes along with them by chance is no promise."""
    metadata = tomllib.loads(project["pyproject.toml"])["project"]
    declared = {re.split(r"[<>=!~; ]", one)[0].replace("-", "_") for one in metadata["dependencies"]}
    provides = {"hydra_core": "hydra", "pyyaml": "yaml", "pillow": "PIL", "markdown_it_py": "markdown_it"}
    declared = {provides.get(name, name) for name in declared} | {"rct_lightning"}
    declared |= {"huggingface_hub", "tokenizers"}  # transformers is not itself without them
    for name, text in project.items():
        if name.endswith(".py") and not name.startswith("tests/"):
            missing = imported(text) - declared - sys.stdlib_module_names
            assert not missing, f"{name} imports {missing}"


def imported(source: str) -> set[str]:
    """Top-level names of what a file imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
    return found


def test_nothing_of_the_machine_it_was_made_on(project: dict[str, str]) -> None:
    for name, text in project.items():
        if not name.startswith("tests/"):
            for pattern in (MACHINE, REGISTRIES):
                found = pattern.search(text)
                assert found is None, f"{name}: {text[max(0, found.start() - 40) : found.end() + 40]!r}"


@pytest.mark.parametrize("text", ["see /work/main/x", "file:///home/me/x", "at /root/.cache", '"/tmp/x"', "(/Users/a)"])
def test_a_machines_path_would_be_seen(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["a home/work balance", "work/life", "https://x.org/home/page", "${HOME}/work/x"])
def test_other_slashes_are_none(text: str) -> None:
    assert not MACHINE.search(text)


def test_what_a_run_makes_is_not_tracked(project: dict[str, str]) -> None:
    assert not [name for name in project if name.startswith("logs/") and not name.endswith(".gitkeep")]
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in tracked()}
    assert max(size for name, size in sizes.items() if name.startswith("data/nano/")) < 8 * 2**20
    assert max(size for name, size in sizes.items() if not name.startswith("data/nano/")) < 2 * 2**20
