"""The `vitrina` command: its subcommands, and how it ends."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli import (
    caching,
    failures,
    importing,
    index_check,
    options,
    products,
    searching,
    similar,
    spaces,
    status,
    suggesting,
    up,
)
from services.cli.failures import EXIT_CODES, Failure
from services.cli.judgment import command as judging
from services.cli.lines import holds_bad_bytes
from services.cli.output import error_console, inert
from services.cli.tuning import rules, synonyms

EPILOG = f"""Examples

  vitrina up --sample examples/catalog.jsonl

  vitrina import products.csv --map id=SKU,name=Title --wait

  vitrina search wireless headphones

{EXIT_CODES}"""

app = typer.Typer(
    name="vitrina",
    help="The search backend that a shop can own: products in, plain words asked, "
    "the right products back.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version  # takes a tenth of our start

        typer.echo(f"vitrina {version('vitrina')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            envvar="VITRINA_ADDRESS",
            help=f"The gateway; {options.DEFAULT_ADDRESS} by default.",
        ),
    ] = None,
    timeout: options.Timeout = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Keep what stands before the subcommand."""
    context.obj = {"address": address, "timeout": timeout}


app.command("up", epilog=up.EPILOG)(up.up)
app.command("import", epilog=importing.EPILOG)(importing.import_products)
app.command("search", epilog=searching.EPILOG)(searching.search)
app.command("similar", epilog=similar.EPILOG)(similar.similar)
app.command("suggest", epilog=suggesting.EPILOG)(suggesting.suggest)
app.add_typer(rules.app, name="rules")
app.add_typer(synonyms.app, name="synonyms")
app.add_typer(spaces.app, name="spaces")
app.add_typer(index_check.app, name="index")
app.command("eval", epilog=judging.EPILOG)(judging.evaluate_answers)
app.command("get", epilog=products.GET_EPILOG)(products.get)
app.command("delete", epilog=products.DELETE_EPILOG)(products.delete)
app.command("status", epilog=status.EPILOG)(status.status)
app.add_typer(caching.app, name="cache")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code. No traceback reaches the user."""
    for stream in (sys.stdout, sys.stderr):
        # Text that the terminal's encoding lacks becomes "?".
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        if any(holds_bad_bytes(argument) for argument in arguments or sys.argv[1:]):
            raise Failure("an argument is not text", exit_code=failures.WRONG_USE)
        app(args=arguments, prog_name="vitrina")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else failures.FAILED
    except Failure as failure:
        _complain(failure.message, failure.hint)
        return failure.exit_code
    except KeyboardInterrupt:
        return failures.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone, as with `| head`; what remains in the buffer has no one either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failures.FAILED
    except Exception as defect:
        if os.environ.get("VITRINA_DEBUG"):
            raise
        _complain(
            f"a defect of vitrina: {type(defect).__name__}: {defect}",
            "VITRINA_DEBUG=1 shows where; please report it",
        )
        return failures.DEFECT
    return failures.OK


def _complain(message: str, hint: str) -> None:
    console = error_console()
    console.print(f"error: {inert(message, keep_lines=True)}", style="red", soft_wrap=True)
    if hint:
        console.print(inert(hint), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
