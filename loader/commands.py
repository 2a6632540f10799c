"""The command `tokens`."""

from typing import Annotated

import typer


def tokens(
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="An export's folder or URL.")],
    tokenizer: Annotated[str, typer.Option(help="bytes, words:FILE, or a tokenizer.json.")] = "bytes",
) -> None:
    """Count the tokens of every text of an export, beside its index; the tars stay untouched."""
    from thresher.loader.tokens import count, open_tokenizer

    print(f"Counted: {count(export, open_tokenizer(tokenizer))}")
