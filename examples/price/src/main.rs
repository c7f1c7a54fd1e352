//! Returns the price of an item at a shop, after the shop's response time.
//!
//! ```text
//! $ hourglass invoke price --path '/price/market?delay=40'
//! market: 24
//! ```
//!
//! The example `fanout` makes several such calls at once.

use std::time::Duration;

use hourglass_sdk::{Context, Error, Request, Result, StatusCode, serve};

fn main() {
    serve(price)
}

fn price(ctx: &Context, req: Request) -> Result<String> {
    let shop = req.uri().path().rsplit('/').next().unwrap_or_default();
    // The caller may not wait that long; then the sleep ends early.
    ctx.sleep(delay(&req)?)?;
    Ok(format!("{shop}: {}\n", price_at(shop)))
}

/// Returns the response time from the query: `?delay=40`, in milliseconds.
fn delay(req: &Request) -> Result<Duration> {
    let query = req.uri().query().unwrap_or_default();
    let Some(text) = query.split('&').find_map(|pair| pair.strip_prefix("delay=")) else {
        return Ok(Duration::ZERO);
    };
    let millis = text.parse().map_err(|_| {
        Error::status(StatusCode::BAD_REQUEST, "delay= takes a number of milliseconds")
    })?;
    Ok(Duration::from_millis(millis))
}

/// Returns a price that is always the same for one shop, and usually differs between shops.
fn price_at(shop: &str) -> u32 {
    10 + shop.bytes().map(u32::from).sum::<u32>() % 90
}

#[cfg(test)]
mod tests {
    use hourglass_sdk::Done;

    use super::*;

    fn get(uri: &'static str) -> Result<Request> {
        Ok(Request::get(uri).body(().into())?)
    }

    #[test]
    fn a_shop_has_its_price() -> Result<()> {
        let answer = price(&Context::background(), get("/price/market?delay=0")?)?;
        assert_eq!(answer, "market: 24\n");
        assert_eq!(price(&Context::background(), get("/price/market")?)?, answer);
        Ok(())
    }

    #[test]
    fn a_slow_shop_is_given_up_when_the_time_is_over() -> Result<()> {
        let ctx = Context::background().with_timeout(Duration::from_millis(1));
        let error = price(&ctx, get("/price/warehouse?delay=3600000")?).expect_err("no time");
        assert_eq!(error.done(), Some(Done::DeadlineExceeded));
        Ok(())
    }

    #[test]
    fn a_delay_that_is_no_number_is_refused() -> Result<()> {
        let error = price(&Context::background(), get("/price/market?delay=long")?);
        let error = error.expect_err("it is no number");
        assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        Ok(())
    }
}
