//! Says hello, and how much time was left.
//!
//! ```text
//! $ curl http://127.0.0.1:8080/hello/world
//! hello world, 10.0s left
//! ```

use hourglass_sdk::{Context, Request, serve};

fn main() {
    serve(hello)
}

fn hello(ctx: &Context, req: Request) -> String {
    let name = req.uri().path().strip_prefix("/hello/").filter(|name| !name.is_empty());
    let name = name.unwrap_or("world");
    match ctx.remaining() {
        Some(left) => format!("hello {name}, {left:.1?} left\n"),
        None => format!("hello {name}, take your time\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hourglass_sdk::Result;

    use super::*;

    fn get(uri: &'static str) -> Result<Request> {
        Ok(Request::builder().uri(uri).body(().into())?)
    }

    #[test]
    fn greets_whom_the_path_names() -> Result<()> {
        let answer = hello(&Context::background(), get("/hello/Ada")?);
        assert_eq!(answer, "hello Ada, take your time\n");
        Ok(())
    }

    #[test]
    fn greets_the_world_when_nobody_is_named() -> Result<()> {
        for uri in ["/hello", "/hello/"] {
            let answer = hello(&Context::background(), get(uri)?);
            assert_eq!(answer, "hello world, take your time\n");
        }
        Ok(())
    }

    #[test]
    fn says_how_much_time_is_left() -> Result<()> {
        let ctx = Context::background().with_timeout(Duration::ZERO);
        assert_eq!(hello(&ctx, get("/hello")?), "hello world, 0.0ns left\n");
        Ok(())
    }
}
