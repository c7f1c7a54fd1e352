//! Guests that know nothing of the exchange: any program for WASI preview 1
//! whose standard input and output are its request and its response, as those
//! of a CGI script are (RFC 3875).
//!
//! A module is such a guest if it imports none of [`exchange`](super::hourglass::exchange)'s
//! functions, which is decided once, when it is made ready. It is linked against
//! a few calls of WASI of its own, so that no other guest pays for them; the
//! context, and calls of other functions, are there for it as for any other.
//!
//! # Layout
//! - [`environment`]: the request's head, as variables.
//! - [`stdin`]: its body.
//! - [`stdout`]: the response, held back as long as the guest has not to wait.
//! - [`head`]: tells a response's head from its body.

mod environment;
mod head;
mod stdin;
mod stdout;

use wasmtime::Linker;

use self::environment::Variables;
use self::stdout::Stdout;
use super::state::run::Run;
use super::state::{Call, State};
use super::wasi::MODULE;

pub(crate) use environment::is_requests_own;

/// How a guest takes its request and gives its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Through the exchange of the context ABI.
    Exchange,
    /// As a CGI script does.
    Cgi,
}

/// What one invocation of such a guest has, beside what every other has.
#[derive(Default)]
pub(crate) struct Cgi {
    stdout: Stdout,
    /// How long its input is, where that was known before the first of it.
    length: Option<u64>,
    /// Its environment, once it has asked for it.
    variables: Option<Variables>,
    /// Whether its context has ended its input, and it can't know.
    cut: bool,
}

/// To be called for a linker of its own that allows shadowing.
pub(crate) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap(MODULE, "environ_sizes_get", environment::sizes_get)?
        .func_wrap(MODULE, "environ_get", environment::get)?
        .func_wrap_async(
            MODULE,
            "fd_read",
            |call: Call<'_>, (fd, ranges, count, read): (u32, u32, u32, u32)| {
                Box::new(stdin::fd_read(call, fd, ranges, count, read))
            },
        )?
        .func_wrap_async(
            MODULE,
            "fd_write",
            |call: Call<'_>, (fd, ranges, count, written): (u32, u32, u32, u32)| {
                Box::new(stdout::fd_write(call, fd, ranges, count, written))
            },
        )?;
    Ok(())
}

impl Cgi {
    /// Takes note that the guest was told that its context is done: what it
    /// answers from then on is meant to be the answer.
    pub(crate) fn knows(&mut self) {
        self.cut = false;
    }
}

impl State {
    /// Makes the invocation ready for a guest of such a style.
    pub(crate) fn prepare(&mut self) {
        if self.style == Style::Cgi {
            let length = self.run.body.body.len();
            self.run.cgi = Some(Box::new(Cgi { length, ..Cgi::default() }));
        }
    }

    /// Whether the guest's standard output is its response.
    pub(crate) fn is_cgi(&self) -> bool {
        self.style == Style::Cgi
    }

    /// Hands on what the guest has printed of its response, where that is it.
    /// To be called before the guest waits.
    pub(crate) async fn flush(&mut self) {
        if self.is_cgi() {
            // By itself, so that it makes no other guest's wait larger.
            Box::pin(stdout::flush(self)).await;
        }
    }

    /// Completes the response of a guest that ended well.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the response incomplete.
    pub(crate) async fn finish(&mut self) {
        stdout::finish(self).await;
        let Run { cgi, body, response, .. } = &mut self.run;
        if body.failure.is_some() || cgi.as_ref().is_some_and(|cgi| cgi.cut) {
            // Made of half a request it is no answer to the whole. Why there
            // was no more of that is the outcome.
            *response = None;
        }
    }
}
