"""`python -m posetrack_app`: runs the command line and turns errors into one line each."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from posetrack_app.cli import app
from posetrack_app.errors import UserError

# Typer's own copy of click, or click itself in older versions: found through a class that both export.
_CLICK_ERROR: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """Run the command line; exit code 0, 1 for a failure, 2 for a wrong call, 130 when interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except _CLICK_ERROR as error:
        message = error.format_message()  # type: ignore[attr-defined]
        # Where a command is missing the message is the help.
        print(message if message.startswith("Usage: ") else f"error: {message} (--help tells more)", file=sys.stderr)
        code = 2
    except (KeyboardInterrupt, typer.Abort):
        print(
            "interrupted: what was finished is kept, incomplete files as .partial; run goes on by the same command",
            file=sys.stderr,
        )
        code = 130
    except MemoryError:
        print("error: this machine's memory does not hold that; a smaller --short-side takes less", file=sys.stderr)
        code = 1
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
