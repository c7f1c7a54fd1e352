//! A host that embeds the library, without server or command line. It invokes a
//! function with a timeout and reports the usage, and then runs task groups: one
//! that the first failure ends, and one that is shut down.
//! ```sh
//! cargo run --release -p hourglass -- build examples
//! cargo run --release --bin embed -- target/wasm32-wasip1/release/hello.wasm
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result};
use hourglass::{
    Context, Function, InvokeError, Key, Policy, Retry, Runtime, Task, TaskGroup, TaskResult,
    Usage, mib,
};

/// A value that the function can read by its wire name.
const TENANT: Key<String> = Key::new("tenant");

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("name a module: embed FILE.wasm")?;
    let runtime = Runtime::builder().max_in_flight(100).build()?;
    let function = Function::from_file("guest", &file)?.memory(mib(64));
    runtime.deploy(function.timeout(Duration::from_secs(2)))?;

    // The caller's deadline applies to everything done on its behalf.
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(200));
    let ctx = ctx.with_value(&TENANT, "acme".to_owned());
    match invoke(&runtime, &ctx, "guest", "/hello/embedder").await {
        Ok((text, usage)) => {
            print!("{text}");
            println!("took {:?}, {:?} of it on a processor", usage.wall, usage.cpu);
        }
        Err(error) => report(&error),
    }
    batch(&runtime, "guest", 20).await?;
    // Here the first failure cancels the others: half a batch is of no use.
    batch(&runtime, "missing", 20).await
}

/// Runs many invocations under one parent, eight at once. The first failure ends
/// those that are left.
async fn batch(runtime: &Runtime, function: &str, count: u32) -> Result<()> {
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(5));
    let group = TaskGroup::new(&ctx).parallelism(8).policy(Policy::FailFast);
    for number in 0..count {
        let request = http::Request::get(format!("/hello/{number}")).body("")?;
        let task = Task::new(runtime, function, request).retry(Retry::times(2));
        if group.submit(task).await.is_err() {
            break;
        }
    }
    // What has not ended within a second is canceled.
    let results = group.shutdown(Duration::from_secs(1)).await;
    let failures: Vec<_> = results.iter().filter(|ended| ended.is_failure()).collect();
    println!("a batch of {count}: {} of {} tasks failed", failures.len(), results.len());
    if let Some(TaskResult { result: Err(error), .. }) = failures.first() {
        report(error);
    }
    Ok(())
}

/// Runs one invocation and returns its whole text.
async fn invoke(
    runtime: &Runtime,
    ctx: &Context,
    function: &str,
    path: &str,
) -> Result<(String, Usage), InvokeError> {
    let mut request = http::Request::new(());
    *request.uri_mut() = path.parse().unwrap_or_default();
    let response = runtime.invoke(ctx, function, request).await?;
    let usage = response.extensions().get::<Usage>().copied().unwrap_or_default();
    // A function's body is buffered, so reading it never fails.
    let body = response.into_body().bytes().await.unwrap_or_default();
    Ok((String::from_utf8_lossy(&body).into_owned(), usage))
}

/// Reports an error. Every outcome has a name, and a cause if there is one.
fn report(error: &InvokeError) {
    let outcome = error.outcome();
    let cause = outcome.cause().map_or("none", |cause| cause.name());
    println!("{error} [{}, cause {cause}, after {:?}]", outcome.name(), error.usage().wall);
}
