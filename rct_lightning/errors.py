"""The error that a user can cause, and the exceptions of interrupted runs and failed jobs."""


class UserError(Exception):
    """A mistake that the user can correct; the message says what is wrong, where, and what to do, in one paragraph.

    The entry points print the message without a traceback and exit with code 2. Raise it before anything
    is written to the run directory, so that a mistake leaves no incomplete run behind.

    Attributes:
        told: Whether the message was already printed.
    """

    told = False


class Interrupted(Exception):
    """A run was asked to stop, and stopped after a complete optimizer step, with a checkpoint.

    Attributes:
        exit_code: Exit code of the process: 128 plus the signal number, as in shells; 0 if the run's time was up.
    """

    def __init__(self, why: str, step: int, how_to_go_on: str, exit_code: int) -> None:
        super().__init__(f"{why} after step {step}. {how_to_go_on}")
        self.exit_code = exit_code


class JobFailed(Exception):
    """A job of a multirun failed; its traceback was printed, and its error is recorded in its status file."""
