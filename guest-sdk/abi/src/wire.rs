//! The encoding of data in a function's memory: little endian, and each text or byte string after
//! its length as a `u32`.

use alloc::vec::Vec;

/// Appends encoded data.
pub trait Writer {
    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// Appends a text or a byte string.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn field(&mut self, field: &[u8]) {
        self.put(&(field.len() as u32).to_le_bytes());
        self.put(field);
    }

    /// Appends names and values after their number.
    fn pairs<'a>(&mut self, count: usize, pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        self.put(&(count as u32).to_le_bytes());
        for (name, value) in pairs {
            self.field(name);
            self.field(value);
        }
    }
}

impl Writer for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Fills the slice from its start. Bytes that do not fit are dropped.
impl Writer for &mut [u8] {
    fn put(&mut self, bytes: &[u8]) {
        if let Some((start, rest)) = core::mem::take(self).split_at_mut_checked(bytes.len()) {
            start.copy_from_slice(bytes);
            *self = rest;
        }
    }
}

/// The encoded length of names and values.
#[must_use]
pub fn pairs_len<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> usize {
    4 + pairs.map(|(name, value)| 8 + name.len() + value.len()).sum::<usize>()
}

/// Reads encoded data from its start. Each method returns `None` if the data is too short.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    /// Reads a number of 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads a text or a byte string.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    pub fn field(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (field, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(field)
    }

    /// Reads the number of pairs that follow, which is at most as large as the rest allows: it may
    /// determine the size of an allocation.
    pub fn count(&mut self) -> Option<usize> {
        let count = self.u32()? as usize;
        (count <= self.0.len() / 8).then_some(count)
    }
}
