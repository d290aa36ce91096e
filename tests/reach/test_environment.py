"""The variables and the endpoint; that they work is shown with each real client, in ``tests/clients``."""

from emulator.reach import environment


def test_the_endpoint_has_a_user_part() -> None:
    assert environment.endpoint("http://127.0.0.1:4580") == "http://emulator@127.0.0.1:4580"


def test_the_variables() -> None:
    assert environment.variables("http://127.0.0.1:1") == {
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": "http://127.0.0.1:1",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
    }
