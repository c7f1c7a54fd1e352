//! Calls other functions. The path selects how, after the function's name as the first segment. A
//! callee NAME gets the path `/NAME/REST`.
//!
//! | path | behavior |
//! |---|---|
//! | `/call/NAME/REST` | calls with this request's method, query, body and `x-` headers; responds with the callee's status and body, or the error's name and text |
//! | `/status/NAME/REST` | the same, and hands on the response, or the error by `?` |
//! | `/budget/NAME/REST` | prints how many microseconds are left, and calls as `/call` does |
//! | `/start/NAME/N/REST` | starts N calls and waits for all: a line for each, the status or the error's name |
//! | `/select/TARGET/...` | starts a call for each TARGET: a line `INDEX RESULT` for each, in the order of completion |
//! | `/hold/NAME/N/REST` | as `start`, and prints "begun" before it waits |
//! | `/leave/NAME/REST` | starts a call, prints "begun", and returns without dropping it |
//! | `/drop/NAME/REST` | starts a call and drops it |
//! | `/detach/NAME/REST` | starts a call without cancel, detaches it, prints "begun", and returns once its own body is here |
//! | `/loop/NAME/N/REST` | calls N times, one after the other, and responds with the last response |
//! | `/ring?next=NAME&REST` | calls NAME with `/ring?REST`; answers `N deep` once there is no next |
//! | `/group/LIMIT/TARGET/...` | calls all of them in a group: the error's name and the cause of its end, or a line for each |
//! | `/all/LIMIT/TARGET/...` | the same, and lets no failure end another call: a line for each |
//! | `/value/NAME/VALUE/CALLEE/REST` | adds a value and calls CALLEE, as `/call` does |
//! | `/forge/NAME` | sets a value, which should be the host's own |
//! | `/derive/timeout` | sleeps under a child of 1 ms: how and why it is done, and its parent |
//! | `/derive/cancel/CAUSE` | cancels a child with the cause of this text form: the same |
//! | `/derive/apart` | cancels a child, and reports on one that was derived from it without cancel |
//! | `/derive/many/N` | holds N contexts at once |
//! | `/derive/again/N` | derives N contexts, one after the other |
//! | `/within/MS/NAME/REST` | calls under a child with a timeout of MS milliseconds, as `/call` does |
//!
//! A TARGET is `NAME` or `NAME:WAY`, which gets the path `/NAME/WAY`. A LIMIT of 0 means no limit.

use std::time::Duration;

use hourglass_sdk::{
    Body, CallError, Cause, Context, Error, Group, Key, Pending, Request, Response, Result,
    join_all, select, serve,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    serve(caller)
}

fn caller(ctx: &Context, req: Request) -> Result<Response> {
    let path = req.uri().path().to_owned();
    let segments: Vec<&str> = path.split('/').skip(2).collect();
    let text = match *segments {
        ["call", name, ref rest @ ..] => return Ok(Response::new(call(ctx, req, name, rest)?)),
        ["budget", name, ref rest @ ..] => {
            println!("left: {}", ctx.remaining().unwrap_or_default().as_micros());
            return Ok(Response::new(call(ctx, req, name, rest)?));
        }
        ["status", name, ref rest @ ..] => return Ok(ctx.call(name, forward(req, name, rest)?)?),
        ["loop", name, times, ref rest @ ..] => return again(ctx, name, times.parse()?, rest),
        ["value", name, value, callee, ref rest @ ..] => {
            let ctx = ctx.with_value(&key(name), value);
            return Ok(Response::new(call(&ctx, req, callee, rest)?));
        }
        ["within", millis, name, ref rest @ ..] => {
            let ctx = ctx.with_timeout(Duration::from_millis(millis.parse()?));
            return Ok(Response::new(call(&ctx, req, name, rest)?));
        }
        ["start", name, times, ref rest @ ..] => lines(join_all(start(ctx, name, times, rest)?)),
        ["hold", name, times, ref rest @ ..] => hold(ctx, name, times, rest)?,
        ["select", ref targets @ ..] => in_turn(ctx, targets)?,
        ["leave", name, ref rest @ ..] => leave(ctx, name, rest)?,
        ["drop", name, ref rest @ ..] => drop_one(ctx, name, rest)?,
        ["detach", name, ref rest @ ..] => detach(ctx, &req, name, rest)?,
        ["ring"] => ring(ctx, req.uri().query().unwrap_or_default())?,
        ["group", limit, ref targets @ ..] => together(group(ctx, limit, targets)?),
        ["all", limit, ref targets @ ..] => lines(all(ctx, limit, targets)?),
        ["forge", name] => {
            ctx.with_value(&key(name), "forged").value_text(name).unwrap_or_default()
        }
        ["derive", ref how @ ..] => derive(ctx, how)?,
        _ => return Err(Error::new(format!("there is no such way: {path}"))),
    };
    Ok(Response::new(text.into()))
}

/// `/call`: the status and the body, or the error's name and text.
fn call(ctx: &Context, req: Request, name: &str, rest: &[&str]) -> Result<Body> {
    let answer = match ctx.call(name, forward(req, name, rest)?) {
        Ok(answer) => answer,
        Err(error) => return Ok(format!("{} {error}", error.name()).into()),
    };
    let mut text = format!("{} ", answer.status().as_u16()).into_bytes();
    text.extend_from_slice(&answer.body().collect()?);
    Ok(text.into())
}

/// This request, forwarded to the callee.
fn forward(req: Request, name: &str, rest: &[&str]) -> Result<Request> {
    let (head, body) = req.into_parts();
    let query = head.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = (target(name, rest) + &query).try_into()?;
    let own = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-"));
    request.headers_mut().extend(own.map(|(name, value)| (name.clone(), value.clone())));
    Ok(request)
}

/// `/loop`: the last of N responses.
fn again(ctx: &Context, name: &str, times: u32, rest: &[&str]) -> Result<Response> {
    let target = target(name, rest);
    let mut last = Response::default();
    for _ in 0..times {
        last = ctx.call(name, Request::get(&target).body(())?)?;
    }
    Ok(last)
}

fn start(ctx: &Context, name: &str, times: &str, rest: &[&str]) -> Result<Vec<Pending>> {
    (0..times.parse()?).map(|_: u32| begin(ctx, name, rest)).collect()
}

/// Starts one call.
fn begin(ctx: &Context, name: &str, rest: &[&str]) -> Result<Pending> {
    Ok(ctx.start(name, Request::get(target(name, rest)).body(())?))
}

fn hold(ctx: &Context, name: &str, times: &str, rest: &[&str]) -> Result<String> {
    let pending = start(ctx, name, times, rest)?;
    println!("begun");
    Ok(lines(join_all(pending)))
}

fn in_turn(ctx: &Context, targets: &[&str]) -> Result<String> {
    let begin = |target: &&str| {
        let (name, way) = name_and_way(target);
        begin(ctx, name, &way)
    };
    let mut pending = targets.iter().map(begin).collect::<Result<Vec<_>>>()?;
    let mut text = String::new();
    while let Some((place, result)) = select(&mut pending) {
        text.push_str(&format!("{place} {}", line(result)));
    }
    Ok(text)
}

fn leave(ctx: &Context, name: &str, rest: &[&str]) -> Result<String> {
    std::mem::forget(begin(ctx, name, rest)?);
    println!("begun");
    Ok("left".to_owned())
}

fn drop_one(ctx: &Context, name: &str, rest: &[&str]) -> Result<String> {
    drop(begin(ctx, name, rest)?);
    Ok("dropped".to_owned())
}

fn detach(ctx: &Context, req: &Request, name: &str, rest: &[&str]) -> Result<String> {
    begin(&ctx.without_cancel(), name, rest)?.detach();
    println!("begun");
    req.body().collect()?;
    Ok("detached".to_owned())
}

/// `/ring`: one call deeper, or how deep it is.
fn ring(ctx: &Context, query: &str) -> Result<String> {
    const DEPTH: Key<u32> = Key::new("depth");
    let depth = ctx.value(&DEPTH).unwrap_or(0);
    let Some(query) = query.strip_prefix("next=") else {
        return Ok(format!("{depth} deep"));
    };
    let (next, rest) = query.split_once('&').unwrap_or((query, ""));
    let request = Request::get(format!("/{next}/ring?{rest}")).body(())?;
    let answer = ctx.with_value(&DEPTH, depth + 1).call(next, request);
    Ok(match answer {
        Ok(answer) => answer.body().text()?.to_owned(),
        Err(error) => format!("{} at {depth}", error.name()),
    })
}

fn group(ctx: &Context, limit: &str, targets: &[&str]) -> Result<Group> {
    let limit = limit.parse()?;
    let mut group = Group::new(ctx).limit(if limit == 0 { usize::MAX } else { limit });
    add(&mut group, targets)?;
    Ok(group)
}

fn all(ctx: &Context, limit: &str, targets: &[&str]) -> Result<Vec<Result<Response, CallError>>> {
    let mut group = group(ctx, limit, &[])?.collect_all();
    add(&mut group, targets)?;
    Ok(group.wait_all())
}

fn add(group: &mut Group, targets: &[&str]) -> Result<()> {
    for (name, way) in targets.iter().map(|target| name_and_way(target)) {
        group.start(name, Request::get(target(name, &way)).body(())?);
    }
    Ok(())
}

/// The responses of a group, or its first failure and the cause of the others' cancellation.
fn together(group: Group) -> String {
    let ctx = group.context().clone();
    match group.wait() {
        Ok(answers) => lines(answers.into_iter().map(Ok)),
        Err(error) => format!("{}\n{}\n", error.name(), cause(&ctx)),
    }
}

fn derive(ctx: &Context, how: &[&str]) -> Result<String> {
    match *how {
        ["timeout"] => {
            let child = ctx.with_timeout(Duration::from_millis(1));
            let slept = child.sleep(HOUR).map_or_else(|done| done.name(), |()| "not done");
            Ok(format!("{slept} {}\n{}\n", cause(&child), cause(ctx)))
        }
        ["cancel", text] => {
            let (child, cancel) = ctx.with_cancel();
            cancel.cancel_with(Cause::from(&*text.replace("%20", " ")));
            Ok(format!("{} {}\n{}\n", child.done().name(), cause(&child), cause(ctx)))
        }
        ["apart"] => {
            let (child, cancel) = ctx.with_cancel();
            let apart = child.without_cancel();
            cancel.cancel();
            Ok(format!("{}\n{}\n", cause(&child), cause(&apart)))
        }
        ["many", count] => {
            let held: Vec<_> = (0..count.parse()?).map(|_: u32| ctx.with_cancel()).collect();
            Ok(format!("{} held\n", held.len()))
        }
        ["again", count] => {
            let count: u32 = count.parse()?;
            for _ in 0..count {
                let _child = ctx.with_timeout(HOUR);
            }
            Ok(format!("{count} derived\n"))
        }
        _ => Err(Error::new("there is no such way to derive a context")),
    }
}

/// The path for a callee.
fn target(name: &str, rest: &[&str]) -> String {
    [&[name], rest].concat().iter().map(|segment| format!("/{segment}")).collect()
}

fn name_and_way(target: &str) -> (&str, Vec<&str>) {
    match target.split_once(':') {
        Some((name, way)) => (name, vec![way]),
        None => (target, Vec::new()),
    }
}

/// A key with a dynamic name. The leaked memory is freed with the instance, at the end of this
/// request.
fn key(name: &str) -> Key<&str> {
    Key::new(name.to_owned().leak())
}

fn cause(ctx: &Context) -> String {
    ctx.cause().map_or_else(|| "none".to_owned(), |cause| cause.to_string())
}

fn lines(results: impl IntoIterator<Item = Result<Response, CallError>>) -> String {
    results.into_iter().map(line).collect()
}

/// The status, or the error's name.
fn line(result: Result<Response, CallError>) -> String {
    match result {
        Ok(answer) => format!("{}\n", answer.status().as_u16()),
        Err(error) => format!("{}\n", error.name()),
    }
}
