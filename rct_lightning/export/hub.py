"""An exported folder on the hub, when that was asked for."""

from __future__ import annotations

from pathlib import Path

from rct_lightning.errors import UserError
from rct_lightning.export.request import Push


def push(folder: Path, to: Push) -> str:
    """Make a repository and put the folder's files into it.

    Never into one that is there: it may hold something else, and be public where this was to be private.

    Returns:
        Its address.

    Raises:
        UserError: The hub refused, or cannot be reached; the folder is as it was.
    """
    from huggingface_hub import HfApi

    try:
        hub = HfApi()
        address = hub.create_repo(to.name, private=to.private, exist_ok=False)
        hub.upload_folder(repo_id=to.name, folder_path=folder, commit_message="Export of rct_lightning")
    except Exception as error:  # no network, no permission, a name that is taken: each ends the same way
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"--push {to.name}: the hub did not take it ({lines[0][:200]}). The export itself is whole, in {folder}; "
            f"'hf upload {to.name} {folder}' puts it into a repository that is there."
        ) from error
    return str(address)
