"""A question before something is removed."""

import sys
from collections.abc import Callable

import typer

from services.cli.failures import WRONG_USE, Failure


def confirm(is_confirmed: bool, question: Callable[[], str]) -> None:
    """Ask, unless it is confirmed already. A no ends the command."""
    if is_confirmed:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure("delete asks first; without a terminal pass --yes", exit_code=WRONG_USE)
    typer.confirm(question(), abort=True, err=True)
