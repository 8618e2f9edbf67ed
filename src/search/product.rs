//! The matrix product behind the search, as a safe function.

/// out = queries · rowsᵀ, for row-major `queries` (q·dim), `rows` (r·dim) and `out` (q·r). One thread: the callers
/// are many.
#[expect(unsafe_code, reason = "the kernel takes raw pointers")]
pub fn products(queries: &[f32], rows: &[f32], dim: usize, out: &mut [f32]) {
    let (q, r) = (queries.len() / dim, rows.len() / dim);
    assert!(queries.len() == q * dim && rows.len() == r * dim && out.len() == q * r);
    let (d, width) = (dim as isize, r as isize);
    // The kernel wants its result column by column, so it is given outᵀ = rows · queriesᵀ.
    // SAFETY: with these strides every index of (r, q, dim) lies inside the three slices, whose lengths were just
    // checked, and `out` is borrowed exclusively. read_dst is false, so its old contents do not matter.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            r,
            q,
            dim,
            out.as_mut_ptr(),
            width,
            1,
            false,
            rows.as_ptr(),
            1,
            d,
            queries.as_ptr(),
            d,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}
