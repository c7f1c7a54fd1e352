//! SHA-256, computed by the host at the speed of its processor, which has instructions for it:
//! several times faster than in WebAssembly.
//!
//! ```
//! use hourglass_sdk::sha2::{Digest, Sha256};
//!
//! let mut hasher = Sha256::new();
//! hasher.update("te");
//! hasher.update("st");
//! assert_eq!(hasher.finalize()[..4], [0x9f, 0x86, 0xd0, 0x81]);
//! ```
//!
//! [`Sha256`] is a hasher of the crate `digest` 0.11 and works where one is required, for example
//! in an HMAC. Outside a host it is the one of the crate `sha2`. The input is not copied. The time
//! counts as the function's, and the hashing can be interrupted after every 64 KiB.

pub use digest::Digest;

#[cfg(target_arch = "wasm32")]
pub use self::guest::Sha256;
#[cfg(not(target_arch = "wasm32"))]
pub use ::sha2::Sha256;

/// Inside a host.
#[cfg(target_arch = "wasm32")]
mod guest {
    use std::fmt;

    use digest::array::Array;
    use digest::block_api::{
        AlgorithmName, Block, BlockSizeUser, Buffer, BufferKindUser, Eager, FixedOutputCore,
        OutputSizeUser, Reset, UpdateCore,
    };
    use digest::typenum::{U32, U64};
    use digest::{HashMarker, Output};

    use crate::host;

    digest::buffer_fixed!(
        /// A SHA-256 hasher.
        pub struct Sha256(Core);
        impl: BaseFixedTraits AlgorithmName Default Clone HashMarker Reset FixedOutputReset;
    );

    /// The state of a hash between two blocks.
    #[derive(Clone)]
    pub struct Core {
        state: [u32; 8],
        blocks: u64,
    }

    impl Default for Core {
        /// The first 32 bits of the fractional parts of the square roots of the first eight primes.
        fn default() -> Self {
            let state = [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ];
            Self { state, blocks: 0 }
        }
    }

    impl UpdateCore for Core {
        fn update_blocks(&mut self, blocks: &[Block<Self>]) {
            self.blocks += blocks.len() as u64;
            host::sha2::sha256(&mut self.state, Array::cast_slice_to_core(blocks));
        }
    }

    impl FixedOutputCore for Core {
        fn finalize_fixed_core(&mut self, buffer: &mut Buffer<Self>, out: &mut Output<Self>) {
            let bits = 8 * (buffer.get_pos() as u64 + 64 * self.blocks);
            buffer.len64_padding_be(bits, |block| {
                host::sha2::sha256(&mut self.state, &[block.0]);
            });
            for (bytes, word) in out.chunks_exact_mut(4).zip(self.state) {
                bytes.copy_from_slice(&word.to_be_bytes());
            }
        }
    }

    impl Reset for Core {
        fn reset(&mut self) {
            *self = Self::default();
        }
    }

    impl AlgorithmName for Core {
        fn write_alg_name(f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Sha256")
        }
    }

    impl HashMarker for Core {}

    impl BlockSizeUser for Core {
        type BlockSize = U64;
    }

    impl BufferKindUser for Core {
        type BufferKind = Eager;
    }

    impl OutputSizeUser for Core {
        type OutputSize = U32;
    }
}
