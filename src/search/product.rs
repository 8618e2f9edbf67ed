//! The matrix product behind the search, as a safe function.

/// out = queries · rowsᵀ, for row-major `queries` (q·dim), `rows` (r·dim) and `out` (q·r). One thread: the callers
/// are many.
#[expect(unsafe_code, reason = "gemm's only entry point takes raw pointers")]
pub fn products(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let (q, r) = (queries.len() / dim, rows.len() / dim);
    assert!(queries.len() == q * dim && rows.len() == r * dim && out.len() == q * r);
    let (d, width) = (dim as isize, r as isize);
    // SAFETY: with these strides every index of (q, r, dim) lies inside the three slices, whose lengths were just
    // checked, and `out` is borrowed exclusively. read_dst is false, so its old contents do not matter.
    unsafe {
        gemm::gemm(
            q,
            r,
            dim,
            out.as_mut_ptr(),
            1,
            width,
            false,
            queries.as_ptr(),
            1,
            d,
            rows.as_ptr(),
            d,
            1,
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
