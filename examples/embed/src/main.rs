//! A host that embeds the library: no server, no command line, one function
//! called with a budget, and what it used.
//!
//! ```sh
//! cargo run --release -p hourglass -- build examples
//! cargo run --release --bin embed -- target/wasm32-wasip1/release/hello.wasm
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result};
use hourglass::{Context, Function, InvokeError, Key, Runtime, Usage, mib};

/// A value that the function can read under its wire name.
const TENANT: Key<String> = Key::new("tenant");

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("name a module: embed FILE.wasm")?;
    let runtime = Runtime::builder().max_in_flight(100).build()?;
    let function = Function::from_file("guest", &file)?.memory(mib(64));
    runtime.deploy(function.timeout(Duration::from_secs(2)))?;

    // The caller's budget: it holds for everything done on its behalf.
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(200));
    let ctx = ctx.with_value(&TENANT, "acme".to_owned());

    let request = http::Request::get("/hello/embedder").body(())?;
    match runtime.invoke(&ctx, "guest", request).await {
        Ok(response) => {
            let usage = response.extensions().get::<Usage>().copied().unwrap_or_default();
            let body = response.into_body().bytes().await.map_err(anyhow::Error::from_boxed)?;
            print!("{}", String::from_utf8_lossy(&body));
            println!("took {:?}, {:?} of it on a processor", usage.wall, usage.cpu);
        }
        Err(error) => report(&error),
    }
    Ok(())
}

/// Every way to end has a name, and a cause where there is one.
fn report(error: &InvokeError) {
    let outcome = error.outcome();
    let cause = outcome.cause().map_or("none", |cause| cause.name());
    println!("{error} [{}, cause {cause}, after {:?}]", outcome.name(), error.usage().wall);
}
