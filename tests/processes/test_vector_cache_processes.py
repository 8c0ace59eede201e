"""Several processes on one cache, and one that is killed while it writes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from tiny_encoder import HashEncoder

from isthmus.progress import Silent
from isthmus_client.vector_cache import BLOCK_TEXTS, encode_cached

SUPPORT = Path(__file__).parents[1] / "support"
TEXTS = [f"text {number:05}" for number in range(4 * BLOCK_TEXTS)]
FILL = f"""
import sys
import numpy as np
from pathlib import Path
sys.path.insert(0, {str(SUPPORT)!r})
from tiny_encoder import HashEncoder
from isthmus.progress import Silent
from isthmus_client.vector_cache import encode_cached

class Own(HashEncoder):
    "Each process's vectors differ in the last bits, as those of other batches do."
    def vector(self, text):
        return super().vector(text) * np.float32(1 + 1e-6 * int(sys.argv[2]))

    def encode(self, texts, progress):
        print("block", flush=True)
        sys.stdin.readline()
        return super().encode(texts, progress)

texts = [f"text {{number:05}}" for number in range({len(TEXTS)})]
vectors = encode_cached(texts, Own(), Path(sys.argv[1]), Silent())
sys.stdout.write(str(hash(vectors.tobytes())))
"""


def start(cache, number):
    return subprocess.Popen(
        [sys.executable, "-c", FILL, str(cache), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )


def test_processes_that_fill_the_same_cache_end_with_the_same_bytes(tmp_path):
    processes = [start(tmp_path, number) for number in range(3)]
    for process in processes:  # all are past the look-up and hold the same list of missing texts
        assert process.stdout.readline() == "block\n"
    results = []
    for process in processes:
        out, _ = process.communicate("\n" * 9, timeout=60)
        results.append(out.splitlines()[-1])
        assert process.returncode == 0
    assert len(set(results)) == 1


def test_a_killed_process_loses_its_last_block_at_most(tmp_path):
    process = start(tmp_path, 0)
    for _ in range(2):
        assert process.stdout.readline() == "block\n"
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.stdout.readline() == "block\n"  # two blocks are stored, the third is not
    process.send_signal(signal.SIGKILL)
    process.communicate()
    encoder = HashEncoder()
    vectors = encode_cached(TEXTS, encoder, tmp_path, Silent())
    assert len(encoder.asked) == 2 * BLOCK_TEXTS
    np.testing.assert_array_equal(vectors[-1], encoder.vector(TEXTS[-1]))
