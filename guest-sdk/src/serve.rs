//! The entry points that a function's `main` calls.

use crate::{Context, Error, IntoResponse, Request, Response};

/// Serves the one request of this invocation with `handler`. `main` has nothing else to do.
///
/// The handler is called as soon as the request's head has arrived. The invocation ends in one of
/// these ways:
///
/// - The handler returns a response, or an [`Error`](crate::Error) that is answered: the client
///   gets it. This also works after the context is done, during the grace period.
/// - The handler returns [`Done`](crate::Done), usually through `ctx.check()?`, or
///   [`CallError::Done`](crate::CallError::Done), and the context is in fact done: `serve` returns
///   without a response, and the host reports how the context ended.
/// - The handler returns the [`BodyError`](crate::BodyError) of a request's body that the client
///   did not send in full: the process exits with code 1, and the host answers with 400 or 413.
/// - A [streamed](crate::Body::stream) body fails midway: the process exits with code 1, and the
///   client sees that the response broke off.
/// - The handler panics: the message goes to the log as one record at level `error`, with the
///   fields `file` and `line`, and the instance traps. A panic hook that is set after `serve` has
///   started, for example in the handler, replaces this.
///
/// # Outside a host
///
/// A function that is built for the native target and run there prints instructions, and exits with
/// code 2. Test handlers by calling them.
pub fn serve<H, R>(handler: H)
where
    H: FnOnce(&Context, Request) -> R,
    R: IntoResponse,
{
    serve_with(handler, |ctx, error| error.problem(ctx).response());
}

/// [`serve`] with a different response to errors than a [`Problem`](crate::Problem).
///
/// `on_error` makes the response to an error that the handler returned, unless the error is [not
/// answered](Error::done). The error is logged as usual: a status of 500 or more in the response is
/// a failure. The host answers failures that only it sees, such as a trap or a deadline, with a
/// problem document.
///
/// ```no_run
/// use hourglass_sdk::{Context, Request, Response, Result, serve_with};
///
/// fn main() {
///     serve_with(shop, |ctx, error| {
///         let mut response = error.problem(ctx).response();
///         *response.body_mut() = format!("<h1>{}</h1>", response.status()).into();
///         response.headers_mut().insert("content-type", "text/html".parse().unwrap());
///         response
///     })
/// }
///
/// fn shop(_: &Context, _: Request) -> Result<Response> {
///     Ok(Response::default())
/// }
/// ```
pub fn serve_with<H, R, F>(handler: H, on_error: F)
where
    H: FnOnce(&Context, Request) -> R,
    R: IntoResponse,
    F: FnOnce(&Context, &Error) -> Response,
{
    #[cfg(target_arch = "wasm32")]
    guest::run(handler, on_error);
    #[cfg(not(target_arch = "wasm32"))]
    native::refuse(handler, on_error);
}

/// Inside a host.
#[cfg(target_arch = "wasm32")]
mod guest {
    use std::io::Write;
    use std::mem::ManuallyDrop;
    use std::panic::{self, PanicHookInfo};

    use bytes::Bytes;
    use http::StatusCode;
    use http::header::CONTENT_LENGTH;

    use crate::abi::exchange;
    use crate::body::{Source, copy};
    use crate::record::{self, Fields};
    use crate::{
        Body, BodyError, Context, Done, Error, IntoResponse, Request, Response, Writer, wire,
    };

    /// A request's body up to this length, in bytes, is sent back as a buffered response.
    const SMALL: usize = 16 << 10;

    pub(super) fn run<H, R, F>(handler: H, on_error: F)
    where
        H: FnOnce(&Context, Request) -> R,
        R: IntoResponse,
        F: FnOnce(&Context, &Error) -> Response,
    {
        panic::set_hook(Box::new(panicked));
        let ctx = Context::of_invocation();
        let response = handler(&ctx, receive()).into_response().and_then(readable);
        match response.or_else(|error| fail(&ctx, &error, on_error)) {
            Ok(response) => respond(&ctx, response),
            // Returning costs the host less than an exit, which unwinds the stack.
            Err(_done) => {}
        }
    }

    /// Returns the response, unless reading its body failed.
    fn readable(response: Response) -> Result<Response, Error> {
        response.body().check()?;
        Ok(response)
    }

    /// Reads the request. Its body may still be in transit.
    fn receive() -> Request {
        // The instance ends with this request, so the memory need not be counted and freed.
        let head = Bytes::from_static(exchange::request_head().leak());
        match wire::request(head) {
            Ok(request) => request.map(Body::of_request),
            Err(malformed) => exit(&malformed.to_string()),
        }
    }

    /// Ends the invocation because the request's body did not arrive. The host knows the reason. It
    /// sends the response and logs it, as the client's mistake if it is one.
    #[cold]
    fn unreadable() -> ! {
        exit("")
    }

    /// Returns the response to a handler's error, unless the error is not answered.
    #[cold]
    fn fail<F>(ctx: &Context, error: &Error, on_error: F) -> Result<Response, Done>
    where
        F: FnOnce(&Context, &Error) -> Response,
    {
        if error.is_incomplete() {
            unreadable();
        }
        let response = error.answer_with(ctx, on_error)?;
        if response.status().is_server_error() {
            log(error);
        }
        Ok(response)
    }

    /// Logs an error, and the sender of the body that the error is about.
    #[cold]
    fn log(error: &Error) {
        let mut fields = Fields::default();
        let mut sender = |name, sender: &str, status: &StatusCode| {
            fields.text(name, sender);
            fields.literal("upstream_status", status.as_u16());
        };
        match error.find() {
            Some(BodyError::Upstream { host, status, .. }) => sender("upstream", host, status),
            Some(BodyError::Callee { function, status, .. }) => sender("callee", function, status),
            Some(_) | None => {}
        }
        record::error(format_args!("{error:?}"), &fields);
    }

    /// Logs a panic. The instance traps after it.
    #[cold]
    fn panicked(info: &PanicHookInfo<'_>) {
        let mut fields = Fields::default();
        let message = info.payload_as_str().unwrap_or("no message");
        let Some(location) = info.location() else {
            return record::error(format_args!("panicked: {message}"), &fields);
        };
        let (file, line) = (location.file(), location.line());
        fields.text("file", file);
        fields.literal("line", line);
        record::error(format_args!("panicked at {file}:{line}: {message}"), &fields);
    }

    /// Sends the response. Nothing in it is dropped, because the instance ends with it.
    fn respond(ctx: &Context, response: Response) {
        let response = ManuallyDrop::new(response);
        match response.body().pieces() {
            Err(whole) => send(&response, whole),
            Ok(Source::Host(length)) => echo(ctx, &response, length),
            Ok(Source::Fetched(fetched, length)) => {
                begin_sized(&response, length);
                let mut body = response.body().resume(Source::Fetched(fetched, length));
                let sent = copy(&mut body, &mut Writer::client());
                sent.unwrap_or_else(|error| break_off(ctx, &error.into()));
            }
            Ok(Source::Written(write)) => {
                begin(&response);
                write(&mut Writer::client()).unwrap_or_else(|error| break_off(ctx, &error));
            }
            Ok(Source::Gone) => send(&response, &[]),
        }
    }

    fn send(response: &Response, body: &[u8]) {
        let head = ManuallyDrop::new(wire::response(response));
        accepted(exchange::give_response(&head, body));
    }

    fn begin(response: &Response) {
        accepted(exchange::begin_response(&wire::response(response)));
    }

    /// Begins a response with a body whose length may be known.
    fn begin_sized(response: &Response, length: Option<u64>) {
        let mut response = response.clone();
        if let Some(length) = length {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        }
        begin(&response);
    }

    fn accepted(result: Result<(), i32>) {
        if result.is_err() {
            exit("the host did not accept the response");
        }
    }

    /// Responds with the request's own body, piece by piece unless it is small.
    fn echo(ctx: &Context, response: &Response, length: Option<u64>) {
        let mut start = Vec::with_capacity(SMALL);
        while start.len() < SMALL {
            match exchange::read_body(&mut start) {
                Ok(0) => return send(response, &start),
                Ok(_) => {}
                Err(_) => unreadable(),
            }
        }
        begin_sized(response, length);
        let rest = || -> Result<(), Error> {
            let mut writer = Writer::client();
            writer.write_all(&start)?;
            Ok(copy(&mut Body::of_request(None), &mut writer)?)
        };
        rest().unwrap_or_else(|error| break_off(ctx, &error));
    }

    /// Aborts a response midway. The host makes sure that the client sees it as incomplete.
    #[cold]
    fn break_off(ctx: &Context, error: &Error) -> ! {
        if !error.is_incomplete() && error.answer(ctx).is_ok() {
            log(error);
        }
        exit("")
    }

    /// Ends the invocation without a response.
    #[cold]
    fn exit(message: &str) -> ! {
        if !message.is_empty() {
            record::error(message, &Fields::default());
        }
        std::process::exit(1)
    }
}

/// Outside a host.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    /// Prints that there is nothing to run here, and exits.
    #[expect(clippy::print_stderr, reason = "it is what this is for")]
    pub(super) fn refuse<H, F>(_: H, _: F) -> ! {
        eprintln!(
            "This is a Hourglass function: it runs inside of a Hourglass host, and was built for \
             this machine instead.\n\n\
             To build it and serve it over HTTP:   hourglass up PATH_OF_ITS_CRATE\n\
             To build it and nothing else:         cargo build --release --target wasm32-wasip1"
        );
        std::process::exit(2)
    }
}
