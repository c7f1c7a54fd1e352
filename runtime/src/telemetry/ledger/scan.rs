//! Reads the blocks of a file in order, in bounded memory, past any damage.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::block::{self, Block, LONGEST, PREFIX};

/// The bytes that are read at once. More than the longest block.
const CHUNK: usize = 4 * LONGEST;

/// A part of a file.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Block(Block<'a>),
    /// Bytes that are no block.
    Damaged(u64),
}

/// The blocks of a file.
#[derive(Debug)]
pub(super) struct Scan<R = File> {
    source: R,
    buffer: Vec<u8>,
    /// The position in the buffer of what is not returned yet.
    at: usize,
    /// The position in the file of the buffer.
    offset: u64,
    is_complete: bool,
    /// The position in the file of the end of the last block.
    pub(super) valid: u64,
}

impl Scan {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::new(File::open(path)?))
    }
}

impl<R: Read> Scan<R> {
    pub(super) fn new(source: R) -> Self {
        let buffer = Vec::new();
        Self { source, buffer, at: 0, offset: 0, is_complete: false, valid: 0 }
    }

    /// The next part; `None` at the end of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Part<'_>>> {
        let mut damaged = 0;
        loop {
            self.fill()?;
            let bytes = self.buffer.get(self.at..).unwrap_or_default();
            let len = block::length(bytes).filter(|len| *len <= bytes.len());
            let len = len.filter(|len| {
                bytes.get(..*len).is_some_and(|block| Block::decode(block).is_some())
            });
            match len {
                Some(_) if damaged > 0 => return Ok(Some(Part::Damaged(damaged))),
                Some(len) => {
                    let start = self.at;
                    self.at += len;
                    self.valid = self.offset + self.at as u64;
                    let block = self.buffer.get(start..start + len).and_then(Block::decode);
                    return Ok(block.map(Part::Block));
                }
                None if bytes.is_empty() => {
                    return Ok((damaged > 0).then_some(Part::Damaged(damaged)));
                }
                None => {
                    let skipped = 1 + block::find(bytes.get(1..).unwrap_or_default());
                    self.at += skipped;
                    damaged += skipped as u64;
                }
            }
        }
    }

    /// Reads on until the buffer has a whole block, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        if self.is_complete || self.buffer.len() - self.at >= PREFIX + LONGEST {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.offset += self.at as u64;
        self.at = 0;
        while self.buffer.len() < CHUNK {
            let former = self.buffer.len();
            self.buffer.resize(CHUNK, 0);
            let read = self.source.read(self.buffer.get_mut(former..).unwrap_or_default());
            let len = read.as_ref().map_or(0, |len| *len);
            self.buffer.truncate(former + len);
            match read {
                Ok(0) => {
                    self.is_complete = true;
                    break;
                }
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::block::{Carry, Head, encode};
    use super::*;

    /// Reads a few bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = buffer.len().min(7);
            self.0.read(buffer.get_mut(..len).unwrap_or_default())
        }
    }

    fn block(written: u64) -> Vec<u8> {
        encode(&Head::Carry(Carry { written, ..Carry::default() }))
    }

    /// The numbers of the blocks, the damaged bytes, and the end of the last
    /// block.
    fn scan(bytes: &[u8]) -> (Vec<u64>, u64, u64) {
        let mut scan = Scan::new(Slow(bytes));
        let (mut blocks, mut damaged) = (Vec::new(), 0);
        while let Some(part) = scan.next().expect("no error") {
            match part {
                Part::Block(Block { head: Head::Carry(carry), .. }) => blocks.push(carry.written),
                Part::Block(block) => panic!("{block:?}"),
                Part::Damaged(bytes) => damaged += bytes,
            }
        }
        (blocks, damaged, scan.valid)
    }

    proptest! {
        #[test]
        fn every_block_is_found_between_garbage(
            garbage in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
        ) {
            let (mut bytes, mut expected) = (Vec::new(), Vec::new());
            for (garbage, number) in garbage.iter().zip(0..) {
                bytes.extend_from_slice(garbage);
                bytes.extend_from_slice(&block(number));
                expected.push(number);
            }
            let damaged: usize = garbage.iter().map(Vec::len).sum();
            prop_assert_eq!(scan(&bytes), (expected, damaged as u64, bytes.len() as u64));
        }
    }

    #[test]
    fn a_block_that_is_cut_off_is_no_block() {
        let whole = block(1);
        for len in 0..whole.len() {
            let bytes = [&whole, &whole[..len]].concat();
            assert_eq!(scan(&bytes), (vec![1], len as u64, whole.len() as u64), "{len}");
            // Another one behind it is found.
            let bytes = [&whole[..len], &whole].concat();
            assert_eq!(scan(&bytes), (vec![1], len as u64, bytes.len() as u64), "{len}");
        }
    }
}
