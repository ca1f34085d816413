"""Names of subscribers."""

import pytest

from finkray.errors import SettingsError
from finkray.streamout.subscribers import refuse_shared_groups


@pytest.mark.parametrize("name", ["ann", "annabel"])
def test_a_name_whose_groups_another_subscriber_could_use_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="the subscriber 'anna' one begins with the other"):
        refuse_shared_groups(name, ["bob", "anna"])


def test_a_subscriber_may_be_added_again_beside_others() -> None:
    refuse_shared_groups("anna", ["anna", "bob"])
