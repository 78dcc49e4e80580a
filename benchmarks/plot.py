"""A run as a picture, by matplotlib, which is loaded only when somebody asks for one."""

import statistics

from .report import Result

INCHES_PER_BAR = 0.32


def draw(result: Result, path: str) -> None:
    """
    Write curves where the result has them, else its samples: median, spread, and each one as a dot.

    :param path: Ends in .png, .svg or .pdf.
    :raises SystemExit: without matplotlib, or for a file that it cannot write.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install parlour[plot]") from None
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    if result.curves:
        for name, curve in result.curves.items():
            xs, ys = zip(*sorted(curve), strict=True)
            axes.plot(xs, ys, marker="o", label=name)
        axes.set_xlabel(result.axes[0])
        axes.set_ylabel(result.axes[1])
        axes.legend()
    else:
        names = list(result.samples)
        figure.set_size_inches(8, 1.2 + INCHES_PER_BAR * len(names))
        for place, name in enumerate(names):
            values = result.samples[name]
            axes.barh(place, statistics.median(values), color="#9db8d9")
            axes.plot(values, [place] * len(values), ".", color="#1f3b5c", markersize=4)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel(result.unit)
    axes.set_title(result.scenario)
    axes.grid(visible=True, alpha=0.3)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise SystemExit(f"the plot cannot be written: {error}") from None
