import numpy as np

from isthmus.progress import Silent
from isthmus_client.contract.loading import load_contract
from isthmus_client.reading import read_tables
from isthmus_simulations.demo.shops import SCENARIO, open_shops
from isthmus_simulations.scenarios.loading import load_scenario
from isthmus_simulations.scenarios.prepare import read_platforms


def test_each_shop_has_the_tables_of_its_platform(tmp_path):
    homes = open_shops(tmp_path, Silent(), seed=7)
    plans = load_scenario(SCENARIO).quickened().platforms
    whole = read_platforms(plans, None, 7, Silent())
    assert [home.folder.name for home in homes] == [plan.name for plan in plans]
    for home, tables in zip(homes, whole, strict=True):
        found = read_tables(load_contract(home.contract))
        assert found.catalogue.item_ids == tables.catalogue.item_ids
        assert found.histories.events > 0.999 * tables.histories.events  # two rows repeat
        assert {*np.unique(found.histories.behaviours)} == {*np.unique(tables.histories.behaviours)}
        assert len(found.histories.user_ids) == len(tables.histories.user_ids)
