//! What a function's `main` calls.

use crate::{Context, IntoResponse, Request};

/// Serves the one request of this invocation with `handler`. `main` has nothing else to do.
///
/// The request's whole body is read before the handler is called. How the invocation ends:
///
/// - The handler returns a response, or an [`Error`](crate::Error) that is answered: the client
///   gets it. That holds after the context is done as well, as long as the grace lasts.
/// - The handler returns [`Done`](crate::Done), mostly through `ctx.check()?`, or
///   [`CallError::Done`](crate::CallError::Done), and the context is done indeed: `serve` returns
///   without a response, and the host reports how the context ended. The same when the context is
///   done before the body is here.
/// - The request's body cannot be read, since the client broke off or sent too much: the process
///   exits with code 1 and a line on stderr, and the host reports that.
/// - The handler panics: the message goes to stderr, and the instance traps.
///
/// # Outside of a host
///
/// A function that is built for the machine itself and run there prints what to do instead, and
/// exits with code 2. Test handlers by calling them.
pub fn serve<H, R>(handler: H)
where
    H: FnOnce(&Context, Request) -> R,
    R: IntoResponse,
{
    #[cfg(target_arch = "wasm32")]
    guest::run(handler);
    #[cfg(not(target_arch = "wasm32"))]
    native::refuse(handler);
}

/// Inside of a host.
#[cfg(target_arch = "wasm32")]
mod guest {
    use std::io::Write;
    use std::mem::ManuallyDrop;

    use bytes::Bytes;

    use crate::abi::{self, exchange};
    use crate::{Body, Context, Done, Error, IntoResponse, Request, Response, Result, wire};

    /// The most that is allocated because a client announced it; a body that really is larger
    /// makes its buffer grow.
    const ANNOUNCED: u64 = 16 << 20;
    /// The least room that a read of a growing body is given.
    const PIECE: usize = 16 << 10;

    pub(super) fn run<H, R>(handler: H)
    where
        H: FnOnce(&Context, Request) -> R,
        R: IntoResponse,
    {
        let ctx = Context::of_invocation();
        let response = receive().and_then(|request| handler(&ctx, request).into_response());
        match response.or_else(|error| fail(&ctx, &error)) {
            Ok(response) => respond(response),
            // To return costs the host less than an exit, which unwinds the stack.
            Err(_done) => {}
        }
    }

    /// The request, with its body; an error when the context is done before that is here.
    fn receive() -> Result<Request> {
        // The instance ends with this request, so the memory need not be counted and given back.
        let head = Bytes::from_static(exchange::request_head().leak());
        match wire::request(head) {
            Ok(request) => {
                let (head, length) = request.into_parts();
                let body = if length == Some(0) { Body::default() } else { read_body(length)? };
                Ok(Request::from_parts(head, body))
            }
            Err(malformed) => exit(&malformed.to_string()),
        }
    }

    /// Reads all of the body. When its length is known, it is read into exactly as much memory,
    /// and nothing is read past its end.
    fn read_body(length: Option<u64>) -> Result<Body, Done> {
        let room = length.map_or(PIECE, |length| length.min(ANNOUNCED) as usize);
        let mut body = Vec::with_capacity(room);
        while length != Some(body.len() as u64) {
            if body.len() == body.capacity() {
                body.reserve(PIECE);
            }
            match exchange::read_body(&mut body) {
                Ok(0) => break,
                Ok(_) => {}
                Err(code) => match abi::done(code) {
                    Some(done) => return Err(done),
                    None => exit("the request's body could not be read"),
                },
            }
        }
        Ok(body.into())
    }

    /// The answer to a handler's error, unless there is none.
    #[cold]
    fn fail(ctx: &Context, error: &Error) -> Result<Response, Done> {
        let response = error.answer(ctx)?;
        if response.status().is_server_error() {
            log(&format!("{error:?}"));
        }
        Ok(response)
    }

    /// Gives the response. Nothing of it is dropped, as the instance ends with it.
    fn respond(response: Response) {
        let response = ManuallyDrop::new(response);
        let head = ManuallyDrop::new(wire::response(&response));
        if exchange::give_response(&head, response.body().as_ref()).is_err() {
            exit("the host did not accept the response");
        }
    }

    /// Ends the invocation without a response.
    #[cold]
    fn exit(message: &str) -> ! {
        log(message);
        std::process::exit(1)
    }

    /// Writes a message to stderr, in one call. That it may fail is no reason to fail.
    fn log(message: &str) {
        let _ = std::io::stderr().write_all(format!("{message}\n").as_bytes());
    }
}

/// Outside of a host.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    /// Says that there is nothing to run here, and exits.
    #[expect(clippy::print_stderr, reason = "it is what this is for")]
    pub(super) fn refuse<H>(_: H) -> ! {
        eprintln!(
            "This is a Hourglass function: it runs inside of a Hourglass host, and was built for \
             this machine instead.\n\n\
             To build it and serve it over HTTP:   hourglass up PATH_OF_ITS_CRATE\n\
             To build it and nothing else:         cargo build --release --target wasm32-wasip1"
        );
        std::process::exit(2)
    }
}
