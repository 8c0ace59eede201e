import os
import subprocess
import sys

from isthmus.offline import OFFLINE, stay_offline


def test_every_variable_is_set_whatever_it_was():
    environment = {"HF_HUB_OFFLINE": "0", "HOME": "/home/someone"}
    stay_offline(environment)
    assert environment == {**OFFLINE, "HOME": "/home/someone"}


def test_child_processes_inherit_it():
    code = (
        "import os, subprocess, sys; from isthmus.offline import stay_offline; stay_offline();"
        "print(subprocess.run([sys.executable, '-c', 'import os; "
        'print(os.environ["FLWR_TELEMETRY_ENABLED"])\'], capture_output=True, text=True).stdout)'
    )
    clean = {name: value for name, value in os.environ.items() if name not in OFFLINE}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"


def test_flower_reads_the_variables_that_we_set():
    code = (
        "from isthmus.offline import stay_offline; stay_offline();"
        "from flwr.supercore import telemetry; print(telemetry.FLWR_TELEMETRY_ENABLED)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
