//! A tensor's numbers without a copy, for kernels that work on plain slices.

use tch::{Device, Kind, Tensor};

/// The numbers of `tensor`, row-major.
///
/// # Panics
/// Where they do not lie so: another device than the CPU, other numbers than fp32, strides.
#[expect(unsafe_code, reason = "tch hands out the address alone")]
pub fn floats(tensor: &Tensor) -> &[f32] {
    let lies_so = tensor.device() == Device::Cpu
        && tensor.kind() == Kind::Float
        && tensor.is_contiguous()
        && !tensor.is_sparse();
    assert!(lies_so, "found {tensor:?}, expected contiguous fp32 on the CPU");
    if tensor.numel() == 0 {
        return &[];
    }
    // SAFETY: a contiguous fp32 tensor on the CPU has `numel` of them from `data_ptr` on, aligned by libtorch's
    // allocator to 64 bytes or by a view to a multiple of its elements. The borrow keeps the tensor and so its storage;
    // that nobody writes to it meanwhile through another handle is what the callers, who hold the slice for one
    // computation on constants, have to see to.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>(), tensor.numel()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_read_in_place_and_strides_are_refused() {
        let rows = Tensor::from_slice(&[0f32, 1.0, 2.0, 3.0, 4.0, 5.0]).view([3, 2]);
        assert_eq!(floats(&rows.narrow(0, 1, 2)), [2.0, 3.0, 4.0, 5.0]);
        assert!(floats(&rows.narrow(0, 1, 0)).is_empty());
        for wrong in [rows.tr(), rows.to_kind(Kind::Double)] {
            assert!(std::panic::catch_unwind(|| floats(&wrong).len()).is_err());
        }
    }
}
