//! Fetches a page of another host, and says how long it is.

use hourglass_sdk::{Context, Error, Request, Result, StatusCode, serve};

fn main() {
    serve(measure)
}

fn measure(ctx: &Context, req: Request) -> Result<String> {
    // hourglass.toml sets it, and lists the hosts that this function may reach.
    let upstream = ctx.config("UPSTREAM").ok_or_else(|| {
        Error::status(
            StatusCode::NOT_IMPLEMENTED,
            "set UPSTREAM in hourglass.toml",
        )
    })?;
    // The first part of the path is the function's name.
    let path = req.uri().path().splitn(3, '/').nth(2).unwrap_or_default();
    let page = ctx.fetch(Request::get(format!("{upstream}/{path}")).body(())?)?;
    Ok(format!(
        "{} has {} bytes\n",
        page.status(),
        page.body().collect()?.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_measures_the_page_of_its_path() -> Result<()> {
        let ctx = Context::background().with_config("UPSTREAM", "https://pages.example");
        let ctx = ctx.with_fetch(|_, req: Request| req.uri().to_string());
        let answer = measure(&ctx, Request::get("/{{name}}/a/b").body(().into())?)?;
        assert_eq!(
            answer,
            format!("200 OK has {} bytes\n", "https://pages.example/a/b".len())
        );
        Ok(())
    }

    #[test]
    fn without_an_upstream_it_says_what_to_set() {
        let error = measure(&Context::background(), Request::default()).expect_err("no upstream");
        assert_eq!(error.status_code(), StatusCode::NOT_IMPLEMENTED);
    }
}
