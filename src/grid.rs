//! An experiment becomes an ordered list of runs: the product of its axes, seeds innermost. Pure.
