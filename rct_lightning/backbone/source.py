"""Where a model comes from (a folder, the hub's cache or the hub), and the error where it cannot be obtained."""

from __future__ import annotations

from pathlib import Path

from rct_lightning.errors import UserError


def check_obtainable(name_or_path: str) -> None:
    """Check once, without the loaders' minute of retries, that a model is on this machine or the hub has it.

    Raises:
        UserError: The model cannot be obtained.
    """
    from huggingface_hub import HfApi, try_to_load_from_cache

    if Path(name_or_path).is_dir():
        return
    try:
        if isinstance(try_to_load_from_cache(name_or_path, "config.json"), str):
            return
        HfApi().model_info(name_or_path, timeout=20)
    except Exception as error:  # no network, no such model, not a name: each ends the same way
        raise not_loadable(name_or_path, "model", error) from error


def files_of_base(name_or_path: str) -> list[Path]:
    """Return the files that a base is loaded from, in its folder or in the hub's cache; none if it is in neither."""
    from huggingface_hub import try_to_load_from_cache

    folder = Path(name_or_path)
    if not folder.is_dir():
        config = try_to_load_from_cache(name_or_path, "config.json")
        folder = Path(config).parent if isinstance(config, str) else folder
    return [path for path in sorted(folder.glob("*")) if path.suffix in (".safetensors", ".json")]


def not_loadable(name: str, what: str, error: Exception) -> UserError:
    """Return the error for a model or tokenizer (``what``) that cannot be loaded."""
    if "trust_remote_code" in str(error):
        return UserError(
            f"model.name_or_path={name}: the {what} needs code of its own, which is never run here. Use a model of an "
            f"architecture that transformers has itself."
        )
    if Path(name).exists():
        return UserError(
            f"model.name_or_path={name}: the {what} in this folder cannot be loaded ({_first_line(error)}). It needs "
            f"config.json, tokenizer files and weights as safetensors."
        )
    return UserError(
        f"model.name_or_path={name}: the {what} is neither a local folder nor in the local cache, and the hub did not "
        f"deliver it ({_first_line(error)}). Check the name and the network, or download it once while online; a new "
        f"run can have model=nano, which is bundled."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
