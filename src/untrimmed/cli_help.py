"""How the command line explains itself: commands in the order of use, options in groups, and examples of each command."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

ORDER = {
    "Try it": ("demo", "doctor"),
    "Your videos, in this order": ("init", "extract", "validate", "train", "refine", "localize", "report", "export"),
    "Correct and name": ("review", "clips", "names"),
    "Measure": ("evaluate", "compare"),
    "Other people's data": ("convert", "import", "recipe"),
    "Look up": ("methods", "extractors"),
}
"""The commands as one uses them. One that is missing here comes last."""

GROUPS = {
    "Videos, features and what is known of them": (
        "features videos labels unlabelled clusters trimmed trimmed_labels only classes annotations subset subset_from "
        "names ids test_labels activations beside parts layout fps stride frames every exclude flow_first allow_pickle "
        "label unchecked"
    ),
    "How": (
        "method preset set_ seed seeds init rounds extractor flow download protocol tiou map_clusters map_clusters_oracle "
        "min_score quick published where pad copy"
    ),
    "What is written": "out format report no_activations as_json diagnose proxies keep force",
    "Where it runs": "engine workers device resume port open_ who measure",
}
"""The options, by the names of their parameters. One that is missing here stands under "Other"."""

EXAMPLES = {
    "demo": ("untrimmed demo", "untrimmed demo --quick --method selftrain --out quick"),
    "doctor": ("untrimmed doctor", "untrimmed doctor > doctor.txt"),
    "init": ("untrimmed init videos/train --out labels.csv", "untrimmed init videos/train --ids relative --force"),
    "extract": (
        "untrimmed extract videos/train --out features",
        "untrimmed extract match_01.mp4 match_02.mp4 --out features --set fps=12 --workers 4",
    ),
    "validate": (
        "untrimmed validate --features features --labels labels.csv",
        "untrimmed validate --features features --labels labels.csv --annotations annotations.json",
    ),
    "train": (
        "untrimmed train dgam --features features --labels labels.csv --out runs/first",
        "untrimmed train tcam --features features --unlabelled --clusters 6 --out runs/groups",
    ),
    "refine": (
        "untrimmed refine runs/first --out runs/second",
        "untrimmed refine runs/first runs/second --annotations corrections.json --out runs/third",
    ),
    "localize": (
        "untrimmed localize runs/second videos/new --out new.json",
        "untrimmed localize runs/second --features features --min-score 0.4 --out all.json",
    ),
    "report": (
        "untrimmed report new.json --videos videos/new --out new.html",
        "untrimmed report new.json --annotations annotations.json --subset test --beside old.json",
    ),
    "export": (
        "untrimmed export new.json --format csv --min-score 0.4 --out new.csv",
        "untrimmed export new.json --format edl --videos videos/new --out cuts.edl",
    ),
    "import": (
        "untrimmed import marks.csv --videos videos/train --out annotations.json",
        "untrimmed import marked.eaf --videos videos/train --unchecked --out corrected.json",
    ),
    "clips": (
        "untrimmed clips new.json --videos videos/new --min-score 0.4 --out clips",
        "untrimmed clips new.json --videos videos/new --label goal --pad 2 --copy --out goals",
    ),
    "review": (
        "untrimmed review runs/first --videos videos/train",
        "untrimmed review new.json --videos videos/new --annotations corrections.json",
    ),
    "names": (
        "untrimmed names groups.json --out names.csv",
        "untrimmed names groups.json --names names.csv --out labels.csv",
    ),
    "evaluate": (
        "untrimmed evaluate new.json --annotations annotations.json --subset test",
        "untrimmed evaluate new.json --annotations annotations.json --tiou 0.5 --diagnose mistakes",
    ),
    "compare": (
        "untrimmed compare experiment.yaml --seeds 5 --out compared",
        "untrimmed compare --published --where method=DGAM",
    ),
    "convert": (
        "untrimmed convert shared/thumos --layout dgam --out thumos",
        "untrimmed convert shared/pack --layout basnet --fps 25 --stride 16 --out pack",
    ),
    "recipe": (
        "untrimmed recipe thumos14 --features shared/thumos --out thumos",
        "untrimmed recipe activitynet-1.2 --features shared/anet --method wtalc --out anet",
    ),
    "methods": ("untrimmed methods", "untrimmed methods dgam --preset thumos14"),
    "extractors": ("untrimmed extractors", "untrimmed extractors dinov2 --measure"),
}
"""Two calls of each command."""


class Command(TyperCommand):
    """A command whose help has its options in groups, and ends with examples."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        params = [(param, param.get_help_record(ctx)) for param in self.get_params(ctx)]
        rows = {param.name: row for param, row in params if row is not None}
        arguments = [param.name for param, row in params if row is not None and param.param_type_name == "argument"]
        left = [name for name in rows if name not in arguments and name != "help"]
        groups = {"Arguments": arguments}
        for title, names in GROUPS.items():
            groups[title] = [name for name in names.split() if name in left]
        placed = {name for names in groups.values() for name in names}
        groups["Other"] = [name for name in (*left, "help") if name not in placed]
        for title, of_group in groups.items():
            if shown := [rows[name] for name in of_group if name in rows]:
                with formatter.section(title):
                    formatter.write_dl(shown)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        if self.name in EXAMPLES:
            with formatter.section("Examples"):
                for example in EXAMPLES[self.name]:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


class Commands(TyperGroup):
    """All commands, in the order of use."""

    def list_commands(self, ctx: Any) -> list[str]:
        ordered = [name for names in ORDER.values() for name in names if name in self.commands]
        return [*ordered, *(name for name in self.commands if name not in ordered)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        limit = formatter.width - width - 6
        left = list(self.list_commands(ctx))
        for title, names in (*ORDER.items(), ("Other", tuple(left))):
            here = [name for name in names if name in left]
            left = [name for name in left if name not in here]
            if here:
                with formatter.section(title):
                    rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in here]
                    formatter.write_dl(rows)


class App(typer.Typer):
    """A command line whose every command is a `Command`."""

    def command(self, *args: Any, **more: Any) -> Any:
        return super().command(*args, **{"cls": Command, **more})
