//! Sends the records of the crate `log` to the host's log.
//!
//! ```no_run
//! use hourglass_sdk::{Context, Request, serve};
//!
//! fn main() {
//!     hourglass_sdk::log::init();
//!     serve(shop)
//! }
//!
//! fn shop(_: &Context, req: Request) -> &'static str {
//!     log::info!("a sale at {}", req.uri().path());
//!     "thank you\n"
//! }
//! ```
//!
//! Every line has its level, its target and, with the `kv` feature of that crate, its own fields
//! (`info!(items = 3; "sold")`). The host adds the function's name, the request id and the trace
//! context.

/// Sends the records of the crate `log` to the host's log. Call it once, first in `main`. If a
/// logger is already set, that one stays.
///
/// Records that the host would not log are not sent to it; they cost one comparison. A message is
/// truncated to 8 KiB and a field's value to 1 KiB, and only the first 64 fields are logged. The
/// host limits what it logs per invocation, and per function and second; its log says when it drops
/// records.
///
/// # Outside a host
///
/// This does nothing, so that a test can set a logger of its own.
pub fn init() {
    #[cfg(target_arch = "wasm32")]
    guest::init();
}

/// Inside a host.
#[cfg(target_arch = "wasm32")]
mod guest {
    use log::kv::{Error, Key, Value, VisitSource, VisitValue};
    use log::{LevelFilter, Log, Metadata, Record};

    use crate::host;
    use crate::record::Fields;

    struct Host;

    pub(super) fn init() {
        if log::set_logger(&Host).is_ok() {
            note(host::log::log(0, &[]));
        }
    }

    /// Records the last level that the host logs.
    fn note(last: Option<usize>) {
        if let Some(last) = last {
            log::set_max_level(LevelFilter::iter().nth(last).unwrap_or(LevelFilter::Trace));
        }
    }

    impl Log for Host {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= log::max_level()
        }

        fn log(&self, record: &Record<'_>) {
            if !self.enabled(record.metadata()) {
                return;
            }
            let mut fields = Fields::default();
            // An error means that a field cannot be formatted.
            let _ = record.key_values().visit(&mut fields);
            let level = record.level() as i32;
            note(host::log::send(level, record.target(), record.args(), &fields));
        }

        fn flush(&self) {}
    }

    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            value.visit(OneValue(key.as_str(), self))
        }
    }

    /// One field, which keeps its type.
    struct OneValue<'a>(&'a str, &'a mut Fields);

    impl OneValue<'_> {
        fn literal(&mut self, value: impl std::fmt::Display) -> Result<(), Error> {
            self.1.literal(self.0, value);
            Ok(())
        }
    }

    macro_rules! literals {
        ($($visit:ident: $Type:ty),+) => {$(
            fn $visit(&mut self, value: $Type) -> Result<(), Error> {
                self.literal(value)
            }
        )+};
    }

    impl<'v> VisitValue<'v> for OneValue<'_> {
        fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
            self.1.text(self.0, value);
            Ok(())
        }

        fn visit_null(&mut self) -> Result<(), Error> {
            self.literal("null")
        }

        literals!(visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_bool: bool);
    }
}
