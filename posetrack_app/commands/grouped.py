"""Help in groups, for commands of many options."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

__all__ = ["LIVE", "MANY", "NETWORK", "PICTURE", "Grouped"]

NETWORK = "What the network sees"
PICTURE = "The video that is written"
LIVE = "Cameras and streams"
MANY = "Many inputs"


class Grouped(TyperCommand):
    """A command whose help puts options of one `rich_help_panel` together; typer itself does so with colours only."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, options of no group, then the groups in the order of their first options."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                alone = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or alone, []).append(record)
        for name, records in groups.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
