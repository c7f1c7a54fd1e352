//! Sends one event per second until the client disconnects or the deadline passes, and then a final
//! event with the reason.
//!
//! ```text
//! $ curl -N 'http://127.0.0.1:8080/ticker?every=500'
//! event: tick
//! data: 1, 9.5s left
//! ```

use std::time::Duration;

use hourglass_sdk::{Body, Context, Error, Request, Response, Result, StatusCode, serve};

fn main() {
    serve(ticker)
}

fn ticker(ctx: &Context, req: Request) -> Result<Response> {
    let (ctx, every) = (ctx.clone(), every(req.uri().query().unwrap_or_default())?);
    let events = Body::stream(move |writer| {
        let mut tick = 0_u64;
        // A disconnected client ends the sleep, as the deadline does.
        while ctx.sleep(every).is_ok() {
            tick += 1;
            let left = ctx.remaining().unwrap_or(Duration::MAX);
            writer.event("tick", &format!("{tick}, {left:.1?} left"))?;
        }
        // The grace period leaves time to say why no more events follow.
        let cause = ctx.cause().map_or_else(String::new, |cause| cause.to_string());
        Ok(writer.event("end", &cause)?)
    });
    Ok(Response::builder()
        .header("content-type", "text/event-stream")
        .header("cache-control", "no-store")
        .body(events)?)
}

/// Returns the time between two ticks: `every=MILLISECONDS`, or one second.
fn every(query: &str) -> Result<Duration> {
    let given = query.split('&').find_map(|pair| pair.strip_prefix("every="));
    let millis = given.map_or(Ok(1_000), str::parse).map_err(|error| {
        Error::status(StatusCode::BAD_REQUEST, format!("every={}: {error}", given.unwrap_or("")))
    })?;
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_until_its_time_is_up() -> Result<()> {
        let ctx = Context::background().with_timeout(Duration::from_secs(1));
        let request = Request::get("/ticker?every=100").body(().into())?;
        let answer = ticker(&ctx, request)?;
        let text = answer.body().text()?;
        assert!(text.starts_with("event: tick\ndata: 1, "), "{text}");
        assert!(text.ends_with("event: end\ndata: deadline-exceeded\n\n"), "{text}");
        Ok(())
    }

    #[test]
    fn what_is_no_number_is_the_clients_mistake() {
        let error = every("every=often").expect_err("that is no number");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
    }
}
