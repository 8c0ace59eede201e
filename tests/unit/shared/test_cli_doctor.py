"""What `isthmus doctor` finds."""

from isthmus.doctor import examine


def test_a_data_folder_is_named_only_where_it_is(tmp_path):
    named = examine({"ISTHMUS_DATA": str(tmp_path), "OMP_NUM_THREADS": "3"}, tmp_path)
    assert named.data_folder == str(tmp_path)
    assert named.threads["OMP_NUM_THREADS"] == "3"
    absent = examine({"ISTHMUS_DATA": str(tmp_path / "none")}, tmp_path)
    assert absent.data_folder is None
    assert absent.threads["OMP_NUM_THREADS"] is None


def test_figures_are_plausible(tmp_path):
    found = examine({}, tmp_path)
    assert found.memory_gib > 0
    assert found.free_disk_gib >= 0
    assert found.libraries["numpy"]
    assert set(found.extras) == {"client", "server", "simulation"}


def test_the_driver_is_asked_for_gpus(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\n[ "$1" = --query-gpu=name ] && echo "Test Card 9"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert examine({}, tmp_path).gpus == ("Test Card 9",)
    tool.write_text("#!/bin/sh\necho no driver\nexit 9\n")
    assert examine({}, tmp_path).gpus == ()
