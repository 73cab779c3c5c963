"""The one kind of error a user can cause, and other ends of a run."""


class UserError(Exception):
    """Something the user can put right: says what is wrong, where, and what to do, in one paragraph.

    The entry points print the message without a traceback and exit with code 2. Raise it before anything
    is written to the run directory, so that a mistake leaves nothing half-made behind.

    Attributes:
        told: Whether it was printed already.
    """

    told = False


class Interrupted(Exception):
    """A run was asked to end, and did so after a whole optimizer step and with a checkpoint.

    Attributes:
        exit_code: Of the process: 128 plus the number of a signal, as shells have it; 0 where its time was over.
    """

    def __init__(self, why: str, step: int, how_to_go_on: str, exit_code: int) -> None:
        super().__init__(f"{why} after step {step}. {how_to_go_on}")
        self.exit_code = exit_code


class JobFailed(Exception):
    """A job of a multirun broke; its traceback was printed, and its error stands in the status of its folder."""
