"""How the command ends: exit codes, and the error that a user sees as one line."""

OK = 0
FAILED = 1
WRONG_USE = 2
SOME_REJECTED = 3
NOT_FOUND = 4
DEFECT = 70
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 ok, 1 failed, 2 wrong use, 3 imported but some rows were rejected, "
    "4 not found, 70 a defect of vitrina, 130 interrupted."
)


class Failure(Exception):
    """Ends the command with a message for people, and a hint of what to do next."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
