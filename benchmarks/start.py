"""The cost of a contender's first object: its import, its client and its first call, in a new process.

Run by `benchmarks.measure` as ``python -c "from benchmarks.start import main; main()" CONTENDER URL``.
"""

import sys
import time


def main() -> None:
    """Prints the seconds of CPU and of wall time, from before the import to all fields of an object read."""
    name, url = sys.argv[1:]
    wall, cpu = time.perf_counter(), time.process_time()
    module = __import__(f"benchmarks.contenders.{name}", fromlist=["Contender"])
    contender = module.Contender(url)
    base = sys.modules["benchmarks.contenders.base"]
    contender.get("plain", "01JGFJJZ000000BENCH0000000", base.reader("plain", contender.attributes))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(cpu, wall)
