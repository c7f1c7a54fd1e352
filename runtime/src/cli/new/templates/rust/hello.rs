//! Says hello, and how much time is left.

use hourglass_sdk::{Context, Request, serve};

fn main() {
    serve(hello)
}

fn hello(ctx: &Context, req: Request) -> String {
    // The first part of the path is the function's name.
    let name = req
        .uri()
        .path()
        .split('/')
        .nth(2)
        .filter(|name| !name.is_empty());
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

    #[test]
    fn it_greets() -> Result<()> {
        for (path, name) in [("/{{name}}", "world"), ("/{{name}}/Ada", "Ada")] {
            let request = Request::get(path).body(().into())?;
            let expected = format!("hello {name}, take your time\n");
            assert_eq!(hello(&Context::background(), request), expected);
        }
        Ok(())
    }

    #[test]
    fn it_says_how_much_time_is_left() {
        let ctx = Context::background().with_timeout(Duration::ZERO);
        assert_eq!(hello(&ctx, Request::default()), "hello world, 0.0ns left\n");
    }
}
