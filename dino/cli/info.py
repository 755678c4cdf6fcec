"""`dino info`: what a run or a weights file holds."""

from ..common.errors import shell_command
from .app import app
from .options import Debug, Weights
from .output import say


@app.command(
    epilog="""
[bold]Examples[/bold]

dino info                      [dim]the newest run[/dim]

dino info model.safetensors    [dim]any weights file that dino wrote[/dim]
"""
)
def info(weights: Weights = None, debug: Debug = False) -> None:
    """Show what a run or a weights file holds."""
    from ..trainer.run_folder import describe, find_weights

    path, _ = find_weights(weights)
    for name, value in describe(path).items():
        resume = f"; resume with: {shell_command('dino', 'train', '--resume', path)}"
        say(name, value + resume * (name == "run" and value != "complete"))
