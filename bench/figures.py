"""Interleaved rounds, medians, and how they are shown.

The machine's speed changes by the minute, so a rate alone means nothing: both sides of a comparison
run in every round, and what is reported is the median of the rounds' ratios."""

import dataclasses
import json
import statistics


@dataclasses.dataclass
class Figure:
    """One line of the table."""

    bench: str
    name: str
    value: float
    unit: str = "ratio"
    low: float | None = None
    high: float | None = None
    goal: float | None = None
    floor: float | None = None
    less_is_better: bool = False
    note: str = ""

    @property
    def verdict(self):
        if self.goal is None:
            return ""

        def reaches(limit):
            return self.value <= limit if self.less_is_better else self.value >= limit

        if reaches(self.goal):
            return "goal met"
        if self.floor is not None and reaches(self.floor):
            return "above floor"
        return "MISSED"


def rounds(count, legs):
    """Runs every leg once a round, in turn; each gives its figures."""
    results = []
    for number in range(count):
        order = list(legs.items())
        # The first of a round has no lasting advantage.
        if number % 2:
            order.reverse()
        results.append({name: leg() for name, leg in order})
    return results


def ratio(bench, name, results, over, under, key="rate", **options):
    """The figure `over` divided by `under`, taken within each round."""
    ratios = [each[over][key] / each[under][key] for each in results]
    median = {
        leg: statistics.median(each[leg][key] for each in results) for leg in (over, under)
    }
    note = options.pop("note", "")
    absolute = f"{shown(median[over])}/s against {shown(median[under])}/s"
    return Figure(
        bench, name, statistics.median(ratios), low=min(ratios), high=max(ratios),
        note=absolute + (f"; {note}" if note else ""), **options,
    )


def spread(bench, name, values, unit, **options):
    """The median of plain figures."""
    return Figure(
        bench, name, statistics.median(values), unit, low=min(values), high=max(values), **options
    )


def shown(number):
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}" if abs(number) < 10 else f"{number:.1f}"


def table(figures):
    """The figures as a Markdown table."""
    lines = [
        "| bench | figure | median | range | floor | goal | | measured |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in figures:
        unit = "" if each.unit == "ratio" else " " + each.unit
        sign = "<= " if each.less_is_better else ""
        extent = "" if each.low is None else f"{shown(each.low)}–{shown(each.high)}"
        floor = "" if each.floor is None else sign + shown(each.floor)
        goal = "" if each.goal is None else sign + shown(each.goal)
        lines.append(
            f"| {each.bench} | {each.name} | {shown(each.value)}{unit} | {extent} | {floor} "
            f"| {goal} | {each.verdict} | {each.note} |"
        )
    return "\n".join(lines)


def as_json(figures, about):
    entries = [dataclasses.asdict(each) | {"verdict": each.verdict} for each in figures]
    return json.dumps({"about": about, "figures": entries}, indent=2)
