"""The errors a user can cause. The command line prints their text, without a traceback, and exits with 2."""


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
