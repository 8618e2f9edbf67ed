//! Instance discrimination as algebra; the only room with tensors. Knows nothing of SQL, queues or screens.
