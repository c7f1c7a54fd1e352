//! Records that wait for the writer.

use super::record::Record;

/// The buffer of a core.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    records: Vec<Record>,
    /// The principals of the records that have one, in their order. Most
    /// records have none, and are smaller for it.
    principals: Vec<Box<str>>,
}

impl Buffer {
    pub(super) fn with_capacity(records: usize) -> Self {
        Self { records: Vec::with_capacity(records), principals: Vec::with_capacity(records) }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The most records that fit. It never grows.
    pub(super) fn capacity(&self) -> usize {
        self.records.capacity()
    }

    /// Adds a record. The caller has seen that it fits.
    #[inline]
    pub(super) fn push(&mut self, mut record: Record, principal: Option<Box<str>>) {
        record.has_principal = principal.is_some();
        self.records.push(record);
        if let Some(principal) = principal {
            self.principals.push(principal);
        }
    }

    /// Takes the records out, each with its principal.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Record, Option<Box<str>>)> {
        let mut principals = self.principals.drain(..);
        self.records.drain(..).map(move |record| {
            let principal = if record.has_principal { principals.next() } else { None };
            (record, principal)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Amounts;
    use super::*;

    #[test]
    fn each_record_has_its_own_principal() {
        let mut buffer = Buffer::with_capacity(5);
        let principals = [None, Some("ann"), None, Some(""), Some("bob")];
        for _ in 0..2 {
            for (function, principal) in (0..).zip(principals) {
                let record = Record {
                    function,
                    outcome: 0,
                    cause: None,
                    has_principal: false,
                    ended: 0,
                    amounts: Amounts::default(),
                };
                buffer.push(record, principal.map(Into::into));
            }
            assert_eq!((buffer.len(), buffer.capacity()), (5, 5));
            let taken: Vec<_> = buffer.drain().collect();
            assert_eq!(taken.iter().map(|(record, _)| record.function).max(), Some(4));
            let taken: Vec<_> = taken.iter().map(|(_, name)| name.as_deref()).collect();
            assert_eq!(taken, principals);
            assert_eq!(buffer.len(), 0);
        }
    }
}
