//! The screens: looks and asks. Quitting it stops nothing.
