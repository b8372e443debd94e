"""What the kernels of a timeline take: python3 timeline.py kernels.tsv [LAST]

Of the last LAST kernels (all): for each name and grid how many there are, its mean time, the mean time by which the card
had been idle before it began (or, negative, by which it began before all earlier ones had ended), and the mean step from
the end of the one before to its own end: these steps add up to the time of all.
"""

import sys


def main() -> None:
    rows = [line.rstrip("\n").split("\t") for line in open(sys.argv[1])]
    kernels = sorted((int(r[0]), int(r[1]), f"{r[5][:60]} {r[2]} x {r[3]}") for r in rows if len(r) == 6)
    if len(sys.argv) > 2:
        kernels = kernels[-int(sys.argv[2]) :]
    sums: dict[str, list[float]] = {}
    end = kernels[0][0]
    for start, stop, name in kernels:
        entry = sums.setdefault(name, [0, 0, 0, 0])
        entry[0] += 1
        entry[1] += stop - start
        entry[2] += start - end
        entry[3] += max(stop - end, 0)
        end = max(end, stop)
    total = end - kernels[0][0]
    print(f"{len(kernels)} kernels in {total / 1e3:.1f} us")
    print(f"{'count':>7} {'us':>8} {'gap':>8} {'step':>8} {'share':>6}  kernel, blocks x threads")
    for name, (count, busy, gap, step) in sorted(sums.items(), key=lambda item: -item[1][3]):
        print(
            f"{count:7.0f} {busy / count / 1e3:8.2f} {gap / count / 1e3:8.2f} {step / count / 1e3:8.2f}"
            f" {100 * step / total:5.1f}%  {name}"
        )


main()
