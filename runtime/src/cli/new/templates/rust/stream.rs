//! Sends an event each second, until the client disconnects or the deadline passes.

use std::time::Duration;

use hourglass_sdk::{Body, Context, Request, Response, Result, serve};

const EVERY: Duration = Duration::from_secs(1);

fn main() {
    serve(ticks)
}

fn ticks(ctx: &Context, _: Request) -> Result<Response> {
    let ctx = ctx.clone();
    let events = Body::stream(move |writer| {
        for tick in 1.. {
            let left = ctx.remaining().unwrap_or(Duration::MAX);
            writer.event("tick", &format!("{tick}, {left:.1?} left"))?;
            // It fails once the client has disconnected, or the deadline has passed.
            if ctx.sleep(EVERY).is_err() {
                break;
            }
        }
        // The grace period leaves time to say why no more events follow.
        let cause = ctx
            .cause()
            .map_or_else(String::new, |cause| cause.to_string());
        Ok(writer.event("end", &cause)?)
    });
    Ok(Response::builder()
        .header("content-type", "text/event-stream")
        .header("cache-control", "no-store")
        .body(events)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ticks_until_its_time_is_up() -> Result<()> {
        let ctx = Context::background().with_timeout(Duration::from_millis(100));
        let response = ticks(&ctx, Request::default())?;
        let text = response.body().text()?;
        assert!(text.starts_with("event: tick\ndata: 1, "), "{text}");
        assert!(
            text.ends_with("event: end\ndata: deadline-exceeded\n\n"),
            "{text}"
        );
        Ok(())
    }
}
