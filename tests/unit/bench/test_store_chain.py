"""The bench of the archive on several storages compares each with the first."""

from bench.store_chain import Measured, render


def test_the_ratios_are_to_the_first_storage() -> None:
    text = render([Measured("folder", 3000.0, 0.300), Measured("s3", 2400.0, 0.375)])
    folder, s3 = text.splitlines()[1:]
    assert folder.split() == ["folder", "3000", "100%", "0.300", "100%"]
    assert s3.split() == ["s3", "2400", "80%", "0.375", "80%"]
