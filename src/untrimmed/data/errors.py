"""The one exception that means "the user's input is at fault"."""


class InputError(Exception):
    """Something the user gave is wrong: the message says in one line what, where, and how to mend it.

    The command line prints it and exits with 2; nothing has been written.
    """
