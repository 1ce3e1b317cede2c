"""One unit of work each: read, fit, register, explain, score, judge, draw, publish, record."""
