"""What every command does with a mistake."""

from isthmus.cli import run


def refuse(arguments, code, said, capsys):
    """It ends with its code and a message, prints no result and no trace."""
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert "Traceback" not in shown.err
