//! Asks three shops for a price at once and responds with the first two. The third is slow, and its
//! call is canceled.
//!
//! ```text
//! $ curl http://127.0.0.1:8080/fanout
//! corner: 29
//! market: 24
//! 1 not waited for
//! ```
//!
//! Each request to a shop is a call of the function `price`, which the host has to allow: see
//! `examples/hourglass.toml`.

use hourglass_sdk::{Context, Error, Pending, Request, Result, StatusCode, select, serve};

/// The shops, and their response times in milliseconds.
const SHOPS: [(&str, u32); 3] = [("corner", 20), ("market", 40), ("warehouse", 60_000)];
/// The number of prices to wait for.
const ENOUGH: usize = 2;

fn main() {
    serve(fanout)
}

fn fanout(ctx: &Context, _: Request) -> Result<String> {
    let mut asked = SHOPS.map(|shop| ask(ctx, shop)).into_iter().collect::<Result<Vec<_>>>()?;
    let mut prices = Vec::new();
    while prices.len() < ENOUGH {
        let Some((_, result)) = select(&mut asked) else {
            // All of them may have failed because the time ran out.
            ctx.check()?;
            return Err(Error::status(StatusCode::BAD_GATEWAY, "too few shops have answered"));
        };
        match result {
            Ok(answer) if answer.status().is_success() => prices.push(answer),
            Ok(answer) => eprintln!("a shop answered {}", answer.status()),
            Err(error) => eprintln!("{error}"),
        }
    }
    let texts: Result<String, _> = prices.iter().map(|price| price.body().text()).collect();
    // Dropping `asked` cancels the remaining calls.
    Ok(format!("{}{} not waited for\n", texts?, asked.len()))
}

/// Starts a call to a shop.
fn ask(ctx: &Context, (shop, delay): (&str, u32)) -> Result<Pending> {
    let request = Request::get(format!("/price/{shop}?delay={delay}")).body(())?;
    Ok(ctx.start("price", request))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use hourglass_sdk::{Cause, Done};

    use super::*;

    fn lines(answer: &str) -> Vec<&str> {
        let mut lines: Vec<_> = answer.lines().collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn the_first_two_are_the_answer_and_the_third_is_cancelled() -> Result<()> {
        let ((begin, begun), (tell, told)) = (channel(), channel());
        let begun = std::sync::Mutex::new(begun);
        let ctx =
            Context::background().with_function("price", move |ctx: &Context, req: Request| {
                let shop = req.uri().path().to_owned();
                if shop == "/price/warehouse" {
                    let _ = begin.send(());
                    ctx.done();
                    let _ = tell.send(ctx.cause());
                } else if shop == "/price/market" {
                    // Makes sure that the warehouse is asked before there are enough prices.
                    let _ = begun.lock().map(|begun| begun.recv());
                }
                format!("{shop}\n")
            });
        let answer = fanout(&ctx, Request::default())?;
        assert_eq!(lines(&answer), ["/price/corner", "/price/market", "1 not waited for"]);
        assert_eq!(told.recv()?, Some(Cause::Canceled));
        Ok(())
    }

    #[test]
    fn a_shop_that_fails_is_made_up_for_by_another() -> Result<()> {
        let ctx = Context::background().with_function("price", |_, req: Request| {
            assert!(!req.uri().path().ends_with("corner"), "the corner shop is closed");
            format!("{}\n", req.uri().path())
        });
        let answer = fanout(&ctx, Request::default())?;
        assert_eq!(lines(&answer)[..2], ["/price/market", "/price/warehouse"]);
        Ok(())
    }

    #[test]
    fn too_few_prices_are_none() {
        let error = fanout(&Context::background(), Request::default());
        let error = error.expect_err("there is nobody to ask");
        assert_eq!(error.status_code(), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn prices_that_come_too_late_are_not_waited_for() {
        let slow = |ctx: &Context, _: Request| -> Result<()> { Err(ctx.done().into()) };
        let ctx = Context::background().with_function("price", slow);
        let ctx = ctx.with_timeout(Duration::from_millis(1));
        let error = fanout(&ctx, Request::default()).expect_err("no time");
        assert_eq!(error.done(), Some(Done::DeadlineExceeded));
    }
}
