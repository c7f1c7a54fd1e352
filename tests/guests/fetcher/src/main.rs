//! Fetches from other hosts. The path selects how, after the function's name as the first segment.
//! The header `x-url` has the URL, and may be repeated.
//!
//! | path | behavior |
//! |---|---|
//! | `/pass` | forwards its own method, headers and body, and streams the response |
//! | `/name` | responds with the failure's name, or with the status |
//! | `/why` | responds with the failure, in words |
//! | `/text` | waits for the whole response, and responds with it |
//! | `/hand-on` | fails as the fetch does |
//! | `/follow/N` | follows at most N redirects |
//! | `/written/N` | sends a streamed body of N lines, and responds with the response |
//! | `/torn` | sends a body whose writing fails, and responds with the failure's name |
//! | `/get-streamed` | the same, with a GET whose body is written |
//! | `/large` | sends 64 MiB as a whole, and responds with the status |
//! | `/hoard` | fetches in a loop, and keeps the handles |
//! | `/all` | fetches all at once, and responds with their bodies in order |
//! | `/first` | fetches all at once, and responds with the index and the body of the first response |
//! | `/brief` | fetches under a short timeout, and responds with the failure, in words |
//! | `/derived/MS` | streams the response under a context with a timeout of MS milliseconds |
//! | `/canceled` | the same under a context that it cancels after the head |
//! | `/rewritten` | the same as `/derived`, with a body of its own that reads the other |
//! | `/head/MS` | waits MS milliseconds for the head, and responds with the failure's name or the status |
//! | `/json` | responds with the number in the response |
//! | `/start` | starts a fetch, prints that it has begun, and waits until its context is done |
//! | `/read` | fetches, prints a line after the head, and reads the rest |
//! | `/leave` | starts a fetch, and ends at once |

use std::io::Write;
use std::time::Duration;

use hourglass_sdk::{
    Body, Context, Error, FetchError, HeadTimeout, Pending, Redirects, Request, Response, Result,
    join_all, select, serve,
};

const MOMENT: Duration = Duration::from_millis(500);

fn main() {
    serve(fetcher)
}

fn fetcher(ctx: &Context, req: Request) -> Result<Response> {
    let path = req.uri().path().to_owned();
    let urls: Vec<String> = req
        .headers()
        .get_all("x-url")
        .iter()
        .filter_map(|url| url.to_str().ok().map(str::to_owned))
        .collect();
    let url = urls.first().cloned().unwrap_or_default();
    let text = match *path.split('/').skip(2).collect::<Vec<_>>() {
        ["pass"] => return pass(ctx, &url, req),
        ["name"] => name(ctx.fetch(get(&url)?)),
        ["why"] => ctx.fetch(get(&url)?).err().map_or_else(String::new, |error| error.to_string()),
        ["text"] => ctx.fetch(get(&url)?)?.body().text()?.to_owned(),
        ["hand-on"] => return Ok(ctx.fetch(get(&url)?)?),
        ["follow", times] => {
            let mut request = req;
            *request.uri_mut() = url.parse()?;
            request.extensions_mut().insert(Redirects(times.parse()?));
            return match ctx.fetch(request) {
                Ok(response) => Ok(response),
                Err(error) => Ok(Response::new(error.name().to_owned().into())),
            };
        }
        ["written", lines] => {
            let lines: usize = lines.parse()?;
            let body = Body::stream(move |writer| {
                (0..lines).try_for_each(|line| Ok(writeln!(writer, "line {line}")?))
            });
            ctx.fetch(Request::post(&url).body(body)?)?.body().text()?.to_owned()
        }
        ["torn"] => {
            let body = Body::stream(|writer| {
                writeln!(writer, "half")?;
                Err(Error::new("it is torn"))
            });
            name(ctx.fetch(Request::post(&url).body(body)?))
        }
        ["get-streamed"] => {
            let body = Body::stream(|writer| Ok(writeln!(writer, "a line")?));
            name(ctx.fetch(Request::get(&url).body(body)?))
        }
        ["large"] => name(ctx.fetch(Request::post(&url).body(vec![b'x'; 64 << 20])?)),
        ["hoard"] => loop {
            std::mem::forget(ctx.start_fetch(get(&url)?));
        },
        ["all"] => {
            let begun = start_all(ctx, &urls)?;
            let answers = join_all(begun).into_iter();
            answers.map(|answer| Ok(answer?.body().text()?.to_owned())).collect::<Result<_>>()?
        }
        ["first"] => {
            let mut begun = start_all(ctx, &urls)?;
            let (place, answer) = select(&mut begun).ok_or_else(|| Error::new("no response"))?;
            format!("{place} {}", answer?.body().text()?)
        }
        ["brief"] => {
            let brief = ctx.with_timeout(MOMENT);
            brief.fetch(get(&url)?).err().map_or_else(String::new, |error| error.to_string())
        }
        ["derived", millis] => {
            let ctx = ctx.with_timeout(Duration::from_millis(millis.parse()?));
            return Ok(ctx.fetch(get(&url)?)?);
        }
        ["canceled"] => {
            let (ctx, cancel) = ctx.with_cancel();
            let response = ctx.fetch(get(&url)?)?;
            cancel.cancel();
            return Ok(response);
        }
        ["rewritten"] => {
            let ctx = ctx.with_timeout(Duration::from_secs(60));
            let mut body = ctx.fetch(get(&url)?)?.into_body();
            return Ok(Response::new(Body::stream(move |writer| {
                std::io::copy(&mut body, writer)?;
                Ok(ctx.check()?)
            })));
        }
        ["head", millis] => {
            let limit = HeadTimeout(Duration::from_millis(millis.parse()?));
            name(ctx.fetch(Request::get(&url).extension(limit).body(())?))
        }
        ["json"] => ctx.fetch(get(&url)?)?.body().json::<u32>()?.to_string(),
        ["start"] => {
            let _begun = ctx.start_fetch(get(&url)?);
            println!("begun");
            return Err(ctx.done().into());
        }
        ["read"] => {
            let answer = ctx.fetch(get(&url)?)?;
            println!("the head is there");
            answer.body().text()?.to_owned()
        }
        ["leave"] => {
            let begun = ctx.start_fetch(get(&url)?);
            std::mem::forget(begun);
            "left".to_owned()
        }
        _ => return Err(Error::new(format!("there is no such way: {path}"))),
    };
    Ok(Response::new(text.into()))
}

fn get(url: &str) -> Result<Request<()>> {
    Ok(Request::get(url).body(())?)
}

fn name(fetched: std::result::Result<Response, FetchError>) -> String {
    match fetched {
        Ok(response) => response.status().as_str().to_owned(),
        Err(error) => error.name().to_owned(),
    }
}

fn pass(ctx: &Context, url: &str, mut req: Request) -> Result<Response> {
    *req.uri_mut() = url.parse()?;
    req.headers_mut().remove("x-url");
    Ok(ctx.fetch(req)?)
}

fn start_all(ctx: &Context, urls: &[String]) -> Result<Vec<Pending<FetchError>>> {
    urls.iter().map(|url| Ok(ctx.start_fetch(get(url)?))).collect()
}
