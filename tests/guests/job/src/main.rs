//! Runs as a job. It says which attempt it is, in the way that its path names.

use hourglass_sdk::{Context, Error, Request, Result, StatusCode, serve};

fn main() {
    serve(job)
}

fn job(ctx: &Context, req: Request) -> Result<String> {
    let header = |name: &str| {
        let value = req.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (id, attempt) = (header("hourglass-job"), header("hourglass-attempt"));
    let said = format!("{attempt} {id}");
    let path = req.uri().path().to_owned();
    let mut segments = path.split('/').skip(2);
    match (segments.next().unwrap_or_default(), segments.next().unwrap_or_default()) {
        // Fails in its first attempts.
        ("flaky", failures) if attempt.parse::<u32>()? <= failures.parse()? => {
            Err(Error::status(StatusCode::SERVICE_UNAVAILABLE, "not yet"))
        }
        // Reports its attempt to the URL in its body.
        ("report", _) => {
            let url = format!("{}/{attempt}/{id}", req.body().text()?);
            let answer = ctx.fetch(Request::get(url).body(())?)?;
            answer.body().collect()?;
            Ok(said)
        }
        // Waits until it is canceled.
        ("wait", _) => {
            println!("waits in attempt {attempt}");
            ctx.done();
            println!("cause: {}", ctx.cause().map_or_else(String::new, |cause| cause.to_string()));
            ctx.check()?;
            Ok(said)
        }
        // Submits a job that calls another function.
        ("enqueue", function) => {
            let request =
                Request::post("/").header("idempotency-key", "once").body("from a job")?;
            Ok(ctx.enqueue(function, request)?)
        }
        // Tells what it knows about the request that has submitted it.
        ("context", name) => Ok(ctx.value_text(name).unwrap_or_default()),
        _ => Ok(format!("{said} {}", req.body().text()?)),
    }
}
