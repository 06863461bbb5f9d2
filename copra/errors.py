"""The errors a user can cause. The command line prints their text, without a traceback, and exits with 2."""


def shown(text: object, keep: str = "") -> str:
    r"""The text with backslash escapes for what cannot be printed and is not in `keep`.

    Names of files and chains come from outside: a line break in one would end a line, an escape character would
    command the terminal, and bytes of a name that are no UTF-8 could not be written at all.
    """
    letters = (c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in str(text))
    return "".join(letters)


class CopraError(Exception):
    """Something in the input, the configuration or the machine that the user can mend.

    The message names the file, the row or chain, what was found and what was expected.
    """


class ConfigError(CopraError):
    """A value of the configuration is refused."""


class Diverged(CopraError):
    """A model that was trained in good order has come to numbers that are none."""


class InputError(CopraError):
    """An input file is not what it should be."""


class OutputError(CopraError):
    """A file or folder cannot be written: no space left, a quota, a read-only file system, no permission."""
