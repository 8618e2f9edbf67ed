//! Nearest neighbours over unit rows: plain slices, exact, shared by evaluation and the screens.
