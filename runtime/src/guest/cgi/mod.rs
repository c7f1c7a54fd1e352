//! CGI guests: programs for WASI preview 1 that do not use the exchange.
//! Standard input is the request and standard output is the response, as for a
//! CGI script (RFC 3875).
//!
//! A module is a CGI guest if it imports none of
//! [`exchange`](super::hourglass::exchange)'s functions. This is decided once,
//! when the module is prepared. It is linked against WASI calls of its own, at
//! no cost to other guests. The context and calls of other functions work as
//! for any other guest.
//!
//! # Layout
//! - [`environment`]: the request's head, as variables.
//! - [`stdio`]: its body, and the response, buffered until the guest has to
//!   wait.
//! - [`head`]: splits a response into head and body.

mod environment;
mod head;
mod stdio;

use wasmtime::{Linker, Result};

use self::environment::Variables;
use self::stdio::Stdout;
use super::state::run::Run;
use super::state::{Call, State};
use super::wasi::MODULE;

pub(crate) use environment::is_requests_own;

/// How a guest reads its request and writes its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Through the exchange of the context ABI.
    Exchange,
    /// As a CGI script.
    Cgi,
}

/// The state of one invocation that only a CGI guest has.
#[derive(Default)]
pub(crate) struct Cgi {
    stdout: Stdout,
    /// The length of the input, if it was known before the first byte.
    length: Option<u64>,
    /// The environment, once the guest has read it.
    variables: Option<Variables>,
    /// Whether the input ended because the context is done, unknown to the
    /// guest. Once the guest knows it, its later output is a deliberate answer.
    pub(crate) cut: bool,
}

/// Adds the calls of CGI guests to a linker of their own, which allows
/// shadowing.
pub(crate) fn add_to(linker: &mut Linker<State>) -> Result<()> {
    define!(
        linker, MODULE:
        environment { environ_sizes_get, environ_get } {},
        stdio {} { fd_read, fd_write },
    );
    Ok(())
}

impl Cgi {
    /// The state for a request with a body of this length, if it is known.
    pub(crate) fn new(length: Option<u64>) -> Box<Self> {
        Box::new(Self { length, ..Self::default() })
    }
}

impl State {
    /// Forwards the output of a CGI guest. Call it before the guest waits.
    pub(crate) async fn flush(&mut self) {
        if self.is_cgi() {
            // Boxed, so that it does not enlarge the futures of other guests.
            Box::pin(stdio::flush(self)).await;
        }
    }

    /// Completes the response of a guest that has ended successfully.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the response incomplete.
    pub(crate) async fn finish(&mut self) {
        stdio::finish(self).await;
        let Run { cgi, body, response, .. } = &mut self.run;
        if body.failure.is_some() || cgi.as_ref().is_some_and(|cgi| cgi.cut) {
            // The response to a part of a request does not answer the whole.
            // The outcome says why the rest is missing.
            *response = None;
        }
    }
}
