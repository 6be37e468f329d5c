"""The table of docs/security.md lists these attacks, and says of each what its test checks."""

from __future__ import annotations

from bench import abuse
from tests.abuse.measure import name


def test_the_table_is_of_these_attacks(request):
    listed = abuse.PAGE.read_text().partition(abuse.BEGIN)[2].partition(abuse.END)[0]
    rows = dict(line.strip("| ").split(" | ")[:2] for line in listed.strip().splitlines()[2:])
    assert len(rows) >= 60 and set(rows.values()) == {"refused", "harmless"}
    for item in request.session.items:
        mark = item.get_closest_marker("outcome")
        if mark is not None:
            what, case = name(item)
            assert rows[abuse.title({"what": what, "case": case})] == mark.args[0], "run python -m bench.abuse"
