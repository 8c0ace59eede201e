from pathlib import Path

from isthmus_client.home import Home


def test_everything_of_a_platform_lies_beside_its_contract():
    home = Home(Path("shop/platform.toml"))
    assert home.folder == Path("shop")
    assert home.keys == Path("shop/keys")
    assert home.store == Path("shop/store")
    assert home.reports == Path("shop/reports")
    assert home.receipts == Path("shop/receipts")


def test_a_platform_is_looked_for_where_the_command_is_called():
    assert Home().contract == Path("platform.toml")
    assert Home().store == Path("store")
