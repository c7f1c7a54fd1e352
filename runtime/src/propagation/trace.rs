//! W3C Trace Context: the trace that an invocation belongs to, and its span.
//!
//! The host forwards the trace that came in, with a span of its own for every
//! invocation, so that the logs and traces of other services can be joined. An
//! exporter sends these spans to a collector.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::str::FromStr;

use crate::context::Key;

/// The context value of the invocation's span, under the wire name
/// `traceparent`.
pub const TRACE: Key<Trace> = Key::protected(hourglass_abi::key::TRACEPARENT);

/// The context value of other vendors' trace state, under the wire name
/// `tracestate`.
pub const TRACE_STATE: Key<String> = Key::protected(hourglass_abi::key::TRACESTATE);

/// The length of a `traceparent` of version 00, which is written here.
const LENGTH: usize = 55;

/// The flag of a random trace id.
const RANDOM: u8 = 0b10;

/// The flag of a trace that is sampled.
const SAMPLED: u8 = 0b01;

/// The known flags. All others must be written as zero.
const FLAGS: u8 = SAMPLED | RANDOM;

/// A span of a trace. Displays as a `traceparent` header, and parses from one.
///
/// ```
/// use hourglass::Trace;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let caller: Trace = text.parse()?;
/// let step = caller.child();
/// assert_eq!(step.trace_id(), caller.trace_id());
/// assert_ne!(step.span_id(), caller.span_id());
/// # Ok::<(), hourglass::TraceError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    trace: TraceId,
    span: SpanId,
    /// The span that it was derived from.
    parent: Option<SpanId>,
    flags: u8,
}

/// The id that all spans of a trace share. Displays as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(NonZero<u128>);

/// The id of one span. Displays as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(NonZero<u64>);

/// A text is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent: `00`, 32 and 16 digits that are not all zero, and 2 for the flags, with `-` between them"
)]
#[non_exhaustive]
pub struct TraceError;

impl Trace {
    /// The root span of a new trace. It is not marked as sampled: that would
    /// tell other services that it was recorded here.
    pub fn root() -> Self {
        let id = u128::from(random()) << 64 | u128::from(random());
        let trace = TraceId(NonZero::new(id).unwrap_or(NonZero::<u128>::MIN));
        Self { trace, span: SpanId::new(), parent: None, flags: RANDOM }
    }

    /// A child span: of the same trace, with the same flags.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: SpanId::new(), parent: Some(self.span), ..*self }
    }

    /// The same span, of a trace that is or is not sampled: recorded somewhere as
    /// a whole.
    #[must_use]
    pub fn with_sampled(self, is_sampled: bool) -> Self {
        let flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// Whether the trace is sampled.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> TraceId {
        self.trace
    }

    /// The id of this span.
    pub fn span_id(&self) -> SpanId {
        self.span
    }

    /// The id of the span that this one is a [child](Self::child) of. A parsed
    /// span has none: the header does not tell.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.parent
    }

    fn parse(text: &str) -> Option<Self> {
        let (known, more) = text.split_at_checked(LENGTH)?;
        let mut fields = known.split('-');
        let mut field = |digits| number(fields.next()?, digits);
        let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        // Later versions may have more fields, which are ignored.
        let ends = more.is_empty() || version != 0 && more.starts_with('-');
        if version == 0xff || !ends {
            return None;
        }
        Some(Self {
            trace: TraceId(NonZero::new(trace)?),
            span: SpanId(NonZero::new(span as u64)?),
            parent: None,
            flags: flags as u8 & FLAGS,
        })
    }
}

/// Parses a number of exactly `digits` lowercase hexadecimal digits.
fn number(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != digits || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

impl TraceId {
    #[cfg(feature = "otlp")]
    pub(crate) fn get(self) -> u128 {
        self.0.get()
    }
}

impl SpanId {
    #[cfg(feature = "otlp")]
    pub(crate) fn get(self) -> u64 {
        self.0.get()
    }

    fn new() -> Self {
        Self(NonZero::new(random()).unwrap_or(NonZero::<u64>::MIN))
    }
}

impl FromStr for Trace {
    type Err = TraceError;

    /// Parses a `traceparent` of any version.
    fn from_str(text: &str) -> Result<Self, TraceError> {
        Self::parse(text).ok_or(TraceError)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

thread_local! {
    /// The state of [`random`], which is odd. The keys of std's hash maps are
    /// random numbers of the system, different in every thread.
    static STATE: Cell<u128> = Cell::new({
        let keys = RandomState::new();
        u128::from(keys.hash_one(0)) << 64 | u128::from(keys.hash_one(1)) | 1
    });
}

/// A random number for ids, different in every thread and every process. It is
/// not secret: an observer of some of them can compute the next ones.
///
/// This is Lehmer's generator. Its state has 128 bits, so the sequences of two
/// threads never overlap.
pub(crate) fn random() -> u64 {
    let state = STATE.get().wrapping_mul(0xda94_2042_e4dd_58b5);
    STATE.set(state);
    // The lower half is less random.
    (state >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(text: &str) -> Option<String> {
        text.parse::<Trace>().ok().map(|trace| trace.to_string())
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        assert_eq!(read(GOOD).as_deref(), Some(GOOD));
        for more in ["", "-", "-what-the-future-will-be-like"] {
            let later = GOOD.replacen("00", "cc", 1) + more;
            assert_eq!(read(&later).as_deref(), Some(GOOD), "{later}");
        }
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for bad in [
            "",
            "00",
            &GOOD[..54],
            &format!("{GOOD}-"),
            &format!("{GOOD}-00"),
            &format!(" {GOOD}"),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("00", "0x", 1),
            &format!("{}.what", GOOD.replacen("00", "cc", 1)),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.to_uppercase(),
            &GOOD.replace("0af", "+af"),
            &GOOD.replace('-', "_"),
            &GOOD.replace("-01", "-1g"),
            // The right length, with a dash in the wrong place.
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn flags_without_a_meaning_are_not_handed_on() {
        assert_eq!(read(&GOOD.replace("-01", "-ff")), Some(GOOD.replace("-01", "-03")));
    }

    #[test]
    fn a_child_is_another_step_of_the_same_trace() {
        let parent: Trace = GOOD.parse().expect("a traceparent");
        let child = parent.child();
        assert_eq!((child.trace_id(), child.flags), (parent.trace_id(), parent.flags));
        assert_ne!(child.span_id(), parent.span_id());
        assert_eq!(child.parent_id(), Some(parent.span_id()));
        assert_eq!(parent.parent_id(), None);
        assert_ne!(Trace::root().trace_id(), Trace::root().trace_id());
    }

    #[test]
    fn all_spans_of_a_trace_are_sampled_or_none() {
        assert!(!Trace::root().is_sampled());
        let sampled = Trace::root().with_sampled(true);
        assert!(sampled.child().is_sampled() && sampled.to_string().ends_with("-03"));
        assert!(!sampled.with_sampled(false).child().is_sampled());
    }

    #[test]
    fn no_thread_has_anothers_numbers() {
        let some = || (0..1_000).map(|_| random()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| thread::spawn(some)).collect();
        let all = threads.into_iter().flat_map(|thread| thread.join().expect("no panic"));
        assert_eq!(all.collect::<HashSet<_>>().len(), 8_000);
    }

    #[test]
    fn every_bit_is_as_often_set_as_not() {
        for bit in 0..64 {
            let set = (0..10_000).filter(|_| random() >> bit & 1 == 1).count();
            // Ten standard deviations.
            assert!((4_500..5_500).contains(&set), "bit {bit}: {set}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: String, near in "[0-9a-f]{1,3}-[0-9a-fä]{31,33}-[0-9a-f+]{15,17}-.{1,3}") {
            let _ = (read(&text), read(&near));
        }

        #[test]
        fn what_is_shown_is_read_as_the_same(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags in 0..=FLAGS) {
            let text = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
            prop_assert_eq!(read(&text), Some(text));
            let root = Trace::root();
            prop_assert_eq!(root.to_string().parse(), Ok(root));
        }
    }
}
