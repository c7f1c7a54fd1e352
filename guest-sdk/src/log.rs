//! The macros of the crate `log`, on their way to the host's log.
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
//!     log::info!("somebody buys at {}", req.uri().path());
//!     "thank you\n"
//! }
//! ```
//!
//! Every line has its level, its target and, with the feature `kv` of that crate, its own fields
//! (`info!(items = 3; "sold")`); and from the host the function's name, the request's id and the
//! step of its trace.

/// Lets what the macros of the crate `log` say reach the host's log. To be called once, first of
/// all in `main`; where a logger is set already, that stays.
///
/// What the host would not log is not sent to it, and costs as much as a comparison. Of a message
/// 8 KiB are logged, of a field's value 1 KiB, and of all fields the first 64. The host bounds what
/// one invocation logs, and what a function does in a second; its log says so where it does.
///
/// # Outside of a host
///
/// It does nothing, so that a test can set the logger that it likes.
pub fn init() {
    #[cfg(target_arch = "wasm32")]
    guest::init();
}

/// Inside of a host.
#[cfg(target_arch = "wasm32")]
mod guest {
    use log::kv::{Error, Key, Value, VisitSource, VisitValue};
    use log::{LevelFilter, Log, Metadata, Record};

    use crate::abi;
    use crate::record::{self, Fields};

    struct Host;

    pub(super) fn init() {
        if log::set_logger(&Host).is_ok() {
            note(abi::log::log(0, &[]).ok());
        }
    }

    /// Takes note of what the host logs now.
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
            let mut fields = Pairs(Fields::default());
            // An error is a field that cannot be shown.
            let _ = record.key_values().visit(&mut fields);
            let level = record.level() as i32;
            note(record::send(level, record.target(), record.args(), &fields.0));
        }

        fn flush(&self) {}
    }

    struct Pairs(Fields);

    impl<'kvs> VisitSource<'kvs> for Pairs {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            value.visit(OneValue(key.as_str(), &mut self.0))
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

    impl<'v> VisitValue<'v> for OneValue<'_> {
        fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
            self.1.text(self.0, value);
            Ok(())
        }

        fn visit_null(&mut self) -> Result<(), Error> {
            self.literal("null")
        }

        fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
            self.literal(value)
        }

        fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
            self.literal(value)
        }

        fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
            self.literal(value)
        }

        fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
            self.literal(value)
        }
    }
}
