"""A group of commands whose errors are sentences, and whose exit status says how it went."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from typing import Any

import click

from intake_tcga.errors import IntakeTcgaError, OptionError

_SPELT = {
    "regex=False": "--literal",
    "errors='skip'": "--skip-failed",
    "pass offline=False": "leave out --offline",
    "replace=True": "--replace",
    ", or pass missing='ignore'": "",
    "as list_archs4 shows it": "as 'intake-tcga archs4 list' shows it",
    "storage_options": "--storage-options",
}
"""How a command line says what Python's options are called; those of the same name it finds by itself."""


class Commands(click.Group):
    """Commands whose own errors end in one sentence on stderr and exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands as they were added."""
        return list(self.commands)  # in the order of a day's work, not of the alphabet

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; turn what it raises into a sentence and an exit status."""
        warnings.showwarning = self._show_warning
        logging.getLogger("intake_tcga").addHandler(
            logging.NullHandler()
        )  # what matters is said by the commands
        try:
            return super().invoke(ctx)
        except OptionError as error:
            raise click.UsageError(self._as_typed(error)) from error
        except IntakeTcgaError as error:
            raise click.ClickException(self._as_typed(error)) from error
        except BrokenPipeError:
            # `intake-tcga list | head`: the reader has what it wanted. Python would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except OSError as error:
            raise click.ClickException(f"The output cannot be written: {error.strerror or error}.") from error
        except MemoryError as error:
            raise click.ClickException(
                "There is not enough memory for this; choose fewer samples, features or pixels."
            ) from error
        except KeyboardInterrupt as error:
            raise click.ClickException(
                "Interrupted; no output is half-written, and the cache keeps what it has."
            ) from error

    def _show_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        click.echo(f"Warning: {self._as_typed(message)}", err=True)

    def _as_typed(self, sentence: object) -> str:
        """Return a sentence in which options are as one types them here: ``--upsample``, not ``upsample=True``."""
        text = str(sentence)
        for python, typed in _SPELT.items():
            text = text.replace(python, typed)
        options = {
            str(option.name): max(option.opts, key=len)
            for command in self.commands.values()
            for option in command.params
            if isinstance(option, click.Option)
        }

        def typed_option(found: re.Match[str]) -> str:
            name, value = found[1], found[2] or ""
            if name not in options:
                return found[0]
            if value == "False":
                return f"without {options[name]}"
            return options[name] if value in {"", "True"} else f"{options[name]} {value.strip(chr(39))}"

        return re.sub(r"\b([a-z_]+)=('[\w-]*'|True\b|False\b|-?(?:\d[\w.]*|nan|inf)\b)?", typed_option, text)
