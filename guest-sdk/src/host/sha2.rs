//! The host's SHA-256.

#[link(wasm_import_module = "hourglass_v1")]
unsafe extern "C" {
    #[link_name = "sha256"]
    fn sha256_some(state: *mut u32, blocks: *const u8, count: usize) -> i32;
}

/// Adds blocks to a hash.
pub(crate) fn sha256(state: &mut [u32; 8], mut blocks: &[[u8; 64]]) {
    while !blocks.is_empty() {
        let (state, first) = (state.as_mut_ptr(), blocks.as_ptr().cast());
        // SAFETY: both ranges are borrowed for the duration of the call. The count passed is the
        // number of blocks.
        let done = unsafe { sha256_some(state, first, blocks.len()) };
        blocks = blocks.get(done.unsigned_abs() as usize..).unwrap_or_default();
    }
}
