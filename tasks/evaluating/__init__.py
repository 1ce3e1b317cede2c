"""One evaluation, from its plan to its judgement: explain, score, judge, illustrate, recheck."""
