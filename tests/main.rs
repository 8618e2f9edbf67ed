//! Everything that needs real processes, a real SQLite or a real terminal: one binary, because linking is slow.

mod walls;
