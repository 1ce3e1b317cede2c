"""Whether people can read a figure: all of its text inside, large enough, and none over another."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tasks.drawing.style import WIDTH


def assert_readable(figure: Figure) -> None:
    """Draws the figure; titles, labels, ticks and words in panels must lie inside it and apart from each other."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    inked = figure.get_tightbbox(renderer)
    assert figure.get_figwidth() == WIDTH
    assert min(inked.x0, inked.y0) >= 0, "something is cut off at the left or lower edge"
    assert inked.x1 <= WIDTH, "something is cut off at the right"
    assert inked.y1 <= figure.get_figheight(), "something is cut off on top"
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    assert min(text.get_fontsize() for text in shown) / 72 * 1000 / WIDTH > 11, "too small at 1000 px"
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in _labels(figure) if text.get_text()]
    for place, (one, first) in enumerate(boxes):
        for other, second in boxes[place + 1 :]:
            wide = min(first.x1, second.x1) - max(first.x0, second.x0)
            high = min(first.y1, second.y1) - max(first.y0, second.y0)
            assert min(wide, high) < 2, f"{one!r} lies on {other!r}"


def _labels(figure: Figure) -> list[Text]:
    labels: list[Text] = [*figure.texts]
    for axes in filter(lambda each: each.get_visible(), figure.axes):
        labels += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]  # type: ignore[attr-defined]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            drawn = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            labels += [tick.label1 for tick in drawn if tick.label1.get_visible()]
    return labels
