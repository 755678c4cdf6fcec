"""Tables on a phone: each row of a table of sentences becomes a card. Tables of numbers scroll sideways, because their
columns are there to be compared.
"""

import re
from html import escape, unescape

TABLE = re.compile(r"<table>(.*?)</table>", re.DOTALL)
HEADING = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
ROW = re.compile(r"<tr>(.*?)</tr>", re.DOTALL)
CELL = re.compile(r"<td([^>]*)>(.*?)</td>", re.DOTALL)
MIN_COLUMNS = 3  # two columns fit
MIN_WORDS = 16  # characters of a cell on average, from which on cells hold sentences


def with_cards(html: str) -> str:
    """Return a page whose tables of sentences are marked, and whose cells there know the headings of their columns.

    The style sheet shows such a table as cards on a phone. The roles keep it a table for screen readers, which would
    otherwise take it for what it looks like.
    """
    return TABLE.sub(_card_table, html)


def _card_table(found: re.Match[str]) -> str:
    table = found[1]
    headings = [_text(heading) for heading in HEADING.findall(table)]
    head, end_of_head, body = table.partition("</thead>")
    cells = [_text(cell) for _, cell in CELL.findall(body)]
    if len(headings) < MIN_COLUMNS or sum(map(len, cells)) < MIN_WORDS * len(cells):
        return found[0]

    def card(row: re.Match[str]) -> str:
        labels = iter(headings)

        def labeled(cell: re.Match[str]) -> str:
            label = escape(next(labels, ""))
            return f'<td role="cell" data-label="{label}"{cell[1]}>{cell[2]}</td>'

        return f'<tr role="row">{CELL.sub(labeled, row[1])}</tr>'

    head = head.replace("<thead>", '<thead role="rowgroup">').replace("<tr>", '<tr role="row">')
    head = re.sub(r"<th(?![a-z])", '<th role="columnheader"', head)
    body = ROW.sub(card, body).replace("<tbody>", '<tbody role="rowgroup">')
    return f'<table data-cards role="table">{head}{end_of_head}{body}</table>'


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", "", html)).split())
