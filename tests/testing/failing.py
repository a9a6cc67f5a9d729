"""What the tests of bugs in blind spots share."""

import pytest

from minidrop.testing import CheckError


def failures(check, *arguments, **options):
    """The names of the checks that fail."""
    with pytest.raises(CheckError) as caught:
        check(*arguments, **options)
    return [outcome.check for outcome in caught.value.report.outcomes if outcome.status == "failed"]
