"""Text in CSV cells: a spreadsheet must not run a label as a formula, and what was written must be read again."""

import re

# Some programs take the full-width forms for formulas, too.
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_QUOTED = re.compile(r"'+[=+\-@\t\r＝＋－＠]")


def quote_cell(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would take for a formula: one that begins with `= + - @`, a tab or
    a carriage return (or already with such a quoted text, so that `unquote_cell` always gives back what went in)."""
    return f"'{text}" if _FORMULA.match(text) else text


def unquote_cell(cell: str) -> str:
    """Undo `quote_cell`; any other text, such as `'til dawn`, stays as it is."""
    return cell[1:] if _QUOTED.match(cell) else cell
