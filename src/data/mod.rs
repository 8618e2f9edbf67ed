//! Data sets as bytes and labels. Knows nothing of tensors, SQL or screens; the screens use it too.
