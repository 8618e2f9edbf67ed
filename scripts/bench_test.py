"""The arithmetic of bench.py: medians, ratios within a round, goals. Nothing is timed here."""

import unittest

from bench import Goal, Measure, ratio_of, row, table


def measure(**goal):
    return Measure("some", "something", Goal(**goal), {"slow": [], "quick": []})


class Arithmetic(unittest.TestCase):
    def test_a_ratio_above_one_means_that_ours_is_better(self):
        self.assertEqual(ratio_of(2.0, 8.0, "ms"), 4.0)
        self.assertEqual(ratio_of(8.0, 2.0, "images/s"), 4.0)

    def test_ratios_are_taken_within_a_round(self):
        # The machine is half as fast in the second round, for both sides.
        entry = row(measure(ratio=2.0), "ms", [1.0, 2.0, 1.0], {"quick": [2.0, 4.0, 3.0]}, None)
        self.assertEqual((entry["ratio"], entry["ratio_min"], entry["ratio_max"]), (2.0, 2.0, 3.0))
        self.assertEqual((entry["ours"], entry["peer"], entry["met"]), (1.0, 3.0, True))

    def test_ours_is_held_against_the_best_peer(self):
        for unit, best, ratio in [("ms", "quick", 2.0), ("points/s", "slow", 0.25)]:
            entry = row(measure(), unit, [1.0], {"slow": [4.0], "quick": [2.0]}, None)
            self.assertEqual((entry["peer_name"], entry["ratio"]), (best, ratio))
            self.assertEqual(list(entry["others"]), ["slow" if best == "quick" else "quick"])

    def test_a_goal_is_met_missed_or_unknown(self):
        for goal, ours, ratio, step, met in [
            (Goal(ratio=3.5), 1, 3.5, None, True),
            (Goal(ratio=3.5), 1, 3.4, None, False),
            (Goal(ratio=3.5), 1, None, None, None),
            (Goal(at_most=8), 8.0, None, None, True),
            (Goal(at_most=8), 8.1, None, None, False),
            (Goal(at_least=500_000), 499_999, None, None, False),
            (Goal(share=0.05), 4000, None, 200, True),
            (Goal(share=0.05), 3999, None, 200, False),
            (Goal(share=0.05), 4000, None, None, None),
        ]:
            self.assertEqual(goal.met(ours, ratio, step), met, (goal, ours, ratio, step))

    def test_without_peers_ours_stands_alone(self):
        entry = row(measure(at_most=8), "ms", [3.0, 1.0, 2.0], {}, None)
        self.assertEqual((entry["ours"], entry["peer"], entry["ratio"], entry["met"]), (2.0, None, None, True))
        self.assertEqual(
            {"name", "unit", "ours", "peer", "peer_name", "ratio", "ratio_min", "ratio_max", "goal", "met"} - set(entry),
            set())
        self.assertIn("≤ 8", table([entry]))


if __name__ == "__main__":
    unittest.main()
