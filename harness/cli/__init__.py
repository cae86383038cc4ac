"""The command line: one verb a file. This package is where core, plugins and reports are put together."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from typing import Any, Final, NoReturn, final

import click

VERBS: Final = {
    "list": "what is registered: problems, methods, estimands and suites",
    "plan": "what a suite would run, and what it would skip and why",
    "train": "train the network of a problem and keep its weights",
    "run": "run or resume a suite, and print its cost ledger",
    "answer": "which method answers within 10, 1 and 0.1 %, and what it costs",
    "advise": "which method to take for your own question, at what cost",
    "spectrum": "draw a spectrum, of a run or a problem, and what of it to trust",
    "report": "write the report of a run: one static folder",
    "compare": "compare two runs; exit code 1 on a regression",
    "check": "hold a method of your own against the laws and the baselines",
    "replay": "run one cell of a ledger again by its id, and compare",
    "rescore": "score kept estimates again, without computing any",
    "references": "compute references of problems, as files that can ship",
    "operators": "time products beside one gradient, by engine; writes a page",
    "study": "run a study that ships and write its page",
    "leaderboard": "who is best within 1 %, and where a method of your own stands",
    "claims": "the verdicts on published claims of studies that were run",
    "export": "the rows of a ledger as one table",
    "merge": "put several runs, such as shards, into one folder",
    "doctor": "what this machine can measure, and what it cannot build",
}
"""Each verb in one line that fits a terminal of 80 columns, so that `--help` imports none of them."""


@final
class Verbs(click.Group):
    """Loads a verb's module when it is asked for, and turns what went wrong into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of a day's work."""
        del ctx
        return list(VERBS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        return import_module(f"hessbench.cli.{cmd_name}_verb").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown verb with the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from hessbench.specs import suggest

            raise click.UsageError(f"unknown verb {args[0]!r}{suggest(args[0], VERBS)}; accepted: {', '.join(VERBS)}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an unknown option before the verb like everything else."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as misuse:
            _refuse_use(misuse, ctx)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; bad input and a full disk end it with a sentence and exit code 2."""
        try:
            return super().invoke(ctx)
        except click.UsageError as misuse:
            _refuse_use(misuse, ctx)
        except ValueError as refusal:
            _refuse(str(refusal))
        except BrokenPipeError:
            raise  # the reader of a pipe had enough, as `head` does: click ends in silence
        except OSError as failure:
            _refuse(_said(failure))
        except KeyboardInterrupt:
            click.echo("interrupted; the same command completes the rest", err=True)
            sys.exit(130)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hessbench")
def main() -> None:
    """Compare matrix-free estimators of curvature spectra, with a ledger of what each one cost."""


def _refuse(sentence: str) -> NoReturn:
    click.echo(f"hessbench: {' '.join(sentence.split())}", err=True)
    sys.exit(2)


def _refuse_use(misuse: click.UsageError, ctx: click.Context) -> NoReturn:
    path = (misuse.ctx or ctx).command_path
    _refuse(f"{misuse.format_message().rstrip('.')}; `{path} --help` shows what is accepted")


def _said(failure: OSError) -> str:
    from pathlib import Path

    where = f" ({Path(failure.filename).name})" if isinstance(failure.filename, str) else ""
    if failure.errno == errno.ENOSPC:
        return "the disk is full; every row written before is kept, and the same command completes the rest" + where
    if failure.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
        return f"the folder cannot be written{where}: {failure.strerror}; a writable folder is accepted"
    return f"{failure.strerror or failure}{where}"
