//! Which run goes next and what became of it: one file a verb.
//!
//! Owns workers, slots and the processes of trainers. Knows nothing of tensors or screens, and writes no SQL.
