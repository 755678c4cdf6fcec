"""The Typer application. The files beside this one add their commands to it."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from ..common.version import VERSION

Command = TypeVar("Command", bound=Callable[..., Any])


class _PlainFlags:
    """A command whose help shows flags without a type. Typer writes <bool> beside them, as if they took a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    pass


class _App(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:
        """Add a command, as in Typer."""
        return super().command(name, cls=_Command, **options)


app = _App(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with [bold]dino train[/bold], then [bold]dino sample[/bold]. Each command has its own --help.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dino {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Dino Diffusion: train a bare-bones diffusion model and draw with it."""
