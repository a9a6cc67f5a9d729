"""What the tests of threads share: an error that a share raises."""


class StopError(Exception):
    """What no other code raises."""


def error_of(call, *arguments):
    """What a call raises, or None."""
    try:
        call(*arguments)
    except BaseException as error:
        return error
    return None
