"""What schemathesis holds the admin API to, loaded by its command line: no answer is a defect."""

import schemathesis


@schemathesis.check
def no_defect(_context, response, _case) -> None:
    """An upstream that is away is told with 502; 500 says that we are at fault."""
    assert response.status_code != 500, response.text
