//! The ids of jobs.

use std::fmt;
use std::io;
use std::str::FromStr;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Random bits of an id.
const RANDOM: u32 = 80;

/// The id of a job: 32 lowercase hexadecimal digits.
///
/// Ids sort by the time of the submission. They contain 80 random bits of the
/// system, so knowing other ids does not help to guess one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub(super) u128);

/// A text is not the id of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of a job: it has 32 digits of 0-9 and a-f")]
pub struct JobIdError;

impl JobId {
    /// A new id.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn new(now: Timestamp) -> io::Result<Self> {
        let mut random = [0; 16];
        let (low, _) = random.split_at_mut(RANDOM as usize / 8);
        if getrandom(low, GetRandomFlags::empty())? != RANDOM as usize / 8 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self(u128::from(now.0) << RANDOM | u128::from_le_bytes(random)))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:032x}", self.0))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(text: &str) -> Result<Self, JobIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(JobIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| JobIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let id = JobId::new(Timestamp(1_796_000_000_123)).expect("random numbers");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 32);
        let longer = format!("{id}0");
        for bad in ["", "x", &longer, &id.to_string().replace(|c: char| c.is_numeric(), "+")] {
            assert_eq!(bad.parse::<JobId>(), Err(JobIdError), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_time_and_are_different() {
        let new = |millis| JobId::new(Timestamp(millis)).expect("random numbers");
        assert!(new(1) < new(2) && new(2) < new(1_000_000));
        assert_ne!(new(7), new(7));
    }
}
