"""A group of commands whose errors are sentences, and whose exit status says how it went."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

import click

from intake_tcga.errors import IntakeTcgaError, OptionError


class Commands(click.Group):
    """Commands whose own errors end in one sentence on stderr and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands as they were added."""
        return list(self.commands)  # in the order of a day's work, not of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what it raises into a sentence and an exit status."""
        warnings.showwarning = _show_warning
        logging.getLogger("intake_tcga").addHandler(
            logging.NullHandler()
        )  # what matters is said by the commands
        try:
            return super().invoke(ctx)
        except OptionError as error:
            raise click.UsageError(str(error)) from error
        except IntakeTcgaError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            # `intake-tcga list | head`: the reader has what it wanted. Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OSError as error:
            raise click.ClickException(f"The output cannot be written: {error.strerror or error}.") from error
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "Interrupted; the same command goes on with what was downloaded."
            ) from error


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"Warning: {message}", err=True)
