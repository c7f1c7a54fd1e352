//! Asks another host, in the way that its path says. The path's first segment is whatever name it
//! goes by; the header `x-url` says whom, and may be there several times.
//!
//! | path | what it does |
//! |---|---|
//! | `/pass` | sends its own method, headers and body there, and answers with what comes, as it comes |
//! | `/name` | answers with the failure's name, or with the status |
//! | `/why` | answers with the failure, in words |
//! | `/text` | waits for the whole answer, and answers with it |
//! | `/hand-on` | fails as the fetch does |
//! | `/follow/N` | follows so many redirects |
//! | `/written/N` | sends a body of N lines, each as it is written, and answers with what comes |
//! | `/torn` | sends a body whose writing fails, and answers with the failure's name |
//! | `/get-streamed` | the same, with a GET whose body is written |
//! | `/large` | sends 64 MiB as a whole, and answers with the status |
//! | `/hoard` | asks on and on, and gives no handle back |
//! | `/all` | asks all at once, and answers with their bodies in order |
//! | `/first` | asks all at once, and answers with the place and the body of the first that is there |
//! | `/brief` | asks under a context of a moment, and answers with the failure, in words |
//! | `/derived/MS` | answers with what comes under a context of so many milliseconds, as it comes |
//! | `/canceled` | the same under a context that it cancels once the head is there |
//! | `/rewritten` | the same as `/derived`, with a body of its own that reads the other |
//! | `/head/MS` | waits so long for the head, and answers with the failure's name or the status |
//! | `/json` | answers with the number that comes |
//! | `/start` | asks, prints that it has begun, and waits until its context is done |
//! | `/read` | asks, and once the head is there prints that and reads the rest |
//! | `/leave` | asks, and ends at once |

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
            let (place, answer) = select(&mut begun).ok_or_else(|| Error::new("nobody"))?;
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
