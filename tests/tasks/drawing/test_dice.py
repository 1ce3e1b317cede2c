"""The figure of Dice by case shows every member's value, cases from the best to the worst."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.drawing import dice_by_case, png_bytes


def cases(count: int = 5, members: int = 2) -> pd.DataFrame:
    rows = [
        {
            "recording": f"case$_{number}",
            "member": member,
            "dice": number / count + 0.02 * member,
            "dice_by_chance": 0.1,
        }
        for number in range(count)
        for member in range(members)
    ]
    return pd.DataFrame(rows)


def test_every_member_has_a_point_per_case_sorted_by_their_mean() -> None:
    figure = dice_by_case(cases().sample(frac=1, random_state=0))
    first, second, chance = (line.get_ydata() for line in figure.axes[0].lines)
    assert first == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert second == pytest.approx([0.82, 0.62, 0.42, 0.22, 0.02])
    assert chance == pytest.approx([0.1] * 5)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [rf"case\$_{n}" for n in range(5)][::-1]
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "member 0", "member 1", "all signal"
    ]  # fmt: skip
    assert len(png_bytes(figure)) > 5_000


def test_samples_of_one_case_are_averaged_and_the_undefined_left_out() -> None:
    table = pd.DataFrame({"recording": "a", "member": 0, "dice": [0.2, 0.6, np.nan], "dice_by_chance": 0.0})
    assert dice_by_case(table).axes[0].lines[0].get_ydata() == pytest.approx([0.4])


def test_many_cases_are_not_named() -> None:
    assert not dice_by_case(cases(90, members=1)).axes[0].get_xticklabels()
    assert dice_by_case(cases(90, members=1)).axes[0].get_xlabel() == "90 cases"


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cases lacks \['dice'\]"):
        dice_by_case(cases().drop(columns="dice"))
    with pytest.raises(ValueError, match="cases has no rows"):
        dice_by_case(cases().head(0))
