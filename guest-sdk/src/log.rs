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
    use std::fmt::{self, Display, Write};

    use log::kv::{Error, Key, Value, VisitSource};
    use log::{LevelFilter, Log, Metadata, Record};

    use crate::{abi, wire};

    /// How much of a message is sent, and of a field's value, in bytes.
    const MESSAGE: usize = 8 << 10;
    const VALUE: usize = 1 << 10;
    /// How many fields are.
    const FIELDS: usize = 64;

    struct Host;

    pub(super) fn init() {
        if log::set_logger(&Host).is_ok() {
            send(0, &[]);
        }
    }

    /// Sends a record, and takes note of what the host logs now.
    fn send(level: i32, record: &[u8]) {
        if let Ok(last) = abi::log::log(level, record) {
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
            let mut fields = Fields(Vec::new());
            // An error is a field too many, or one that can't be shown.
            let _ = record.key_values().visit(&mut fields);
            let message = shown(record.args(), MESSAGE);
            send(record.level() as i32, &wire::record(&message, record.target(), &fields.0));
        }

        fn flush(&self) {}
    }

    struct Fields(Vec<(String, String)>);

    impl<'kvs> VisitSource<'kvs> for Fields {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
            if self.0.len() >= FIELDS {
                return Err(Error::msg("too many fields"));
            }
            self.0.push((key.to_string(), shown(&value, VALUE)));
            Ok(())
        }
    }

    /// What something displays as, or as much of it as is wanted.
    fn shown(what: &dyn Display, most: usize) -> String {
        let mut text = Text { text: String::new(), most };
        // An error is that it is longer.
        if write!(text, "{what}").is_err() {
            text.text.push('\u{2026}');
        }
        text.text
    }

    struct Text {
        text: String,
        most: usize,
    }

    impl Write for Text {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let room = self.most.saturating_sub(self.text.len());
            if part.len() <= room {
                self.text.push_str(part);
                return Ok(());
            }
            self.text.push_str(part.get(..part.floor_char_boundary(room)).unwrap_or_default());
            Err(fmt::Error)
        }
    }
}
