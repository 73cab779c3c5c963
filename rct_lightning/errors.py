"""The one kind of error a user can cause."""


class UserError(Exception):
    """Something the user can put right: says what is wrong, where, and what to do, in one paragraph.

    The entry points print the message without a traceback and exit with code 2. Raise it before anything
    is written to the run directory, so that a mistake leaves nothing half-made behind.
    """
