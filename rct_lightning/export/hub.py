"""Upload an exported folder to the hub, when asked to."""

from __future__ import annotations

from pathlib import Path

from rct_lightning.errors import UserError
from rct_lightning.export.request import Push


def push(folder: Path, to: Push) -> str:
    """Create a repository and upload the folder's files to it.

    Never upload into an existing repository: it may hold something else, and be public where this was to be private.

    Returns:
        The repository's address.

    Raises:
        UserError: The hub refused, or cannot be reached; the folder is left as it was.
    """
    from huggingface_hub import HfApi

    try:
        hub = HfApi()
        address = hub.create_repo(to.name, private=to.private, exist_ok=False)
        hub.upload_folder(repo_id=to.name, folder_path=folder, commit_message="Export of rct_lightning")
    except Exception as error:  # no network, no permission, a name that is taken: all end the same way
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(
            f"--push {to.name}: the hub did not take it ({lines[0][:200]}). The export itself is whole, in {folder}; "
            f"'hf upload {to.name} {folder}' puts it into a repository that is there."
        ) from error
    return str(address)
