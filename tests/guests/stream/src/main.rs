//! Streams its request and its response. The path selects how, after the function's name as the
//! first segment.
//!
//! | path | behavior |
//! |---|---|
//! | `/echo` | responds with its request body |
//! | `/count` | prints the length of each of the first ten pieces, and responds with the total |
//! | `/whole/LEN` | responds with LEN bytes at once |
//! | `/pieces/N` | writes N lines, and prints each |
//! | `/wait` | writes a line, and waits until its context is done |
//! | `/hold` | the same, and does not read its request |
//! | `/spin` | writes a line, and ignores its context |
//! | `/fail` | writes a line, and fails once it has read its request |
//! | `/trap` | writes a line, and panics once it has read its request |
//! | `/flood` | writes until that fails, and prints how many KiB it wrote and why it stopped |
//! | `/events/N` | sends N server-sent events |
//! | `/pause` | writes a line, waits a while, and prints that its context is not done |
//! | `/announce/LEN/...` | any of these, with a head that announces a length |
//! | `/twice` | reads all of the body at once, and then piece by piece |
//! | `/own` | answers with status 422 if the body cannot be read |

use std::io::{Read, Write};
use std::time::Duration;

use hourglass_sdk::{Body, Context, Error, Request, Response, Result, serve};

const HOUR: Duration = Duration::from_secs(3_600);

fn main() {
    serve(stream)
}

fn stream(ctx: &Context, req: Request) -> Result<Response> {
    let path = req.uri().path().to_owned();
    let ctx = ctx.clone();
    let words: Vec<_> = path.split('/').skip(2).collect();
    let (announced, way) = match &*words {
        ["announce", length, way @ ..] => (Some(*length), way),
        way => (None, way),
    };
    let body = match *way {
        ["echo"] => req.into_body(),
        ["count"] => count(req.into_body())?.into(),
        ["whole", len] => vec![b'x'; len.parse()?].into(),
        ["pieces", times] => pieces(times.parse()?),
        ["wait"] => after_a_line(move || Ok(ctx.sleep(HOUR)?)),
        ["hold"] => after_a_line(move || {
            let slept = ctx.sleep(HOUR);
            drop(req);
            Ok(slept?)
        }),
        ["spin"] => after_a_line(|| {
            loop {
                std::hint::black_box(());
            }
        }),
        ["fail"] => after_a_line(move || {
            std::io::copy(&mut req.into_body(), &mut std::io::sink())?;
            Err(Error::new("half-way"))
        }),
        ["trap"] => after_a_line(move || {
            let len = req.body().collect()?.len();
            panic!("half-way, after {len} bytes")
        }),
        ["flood"] => flood(),
        ["events", times] => {
            let events = events(times.parse()?);
            return Ok(Response::builder()
                .header("content-type", "text/event-stream")
                .body(events)?);
        }
        ["pause"] => after_a_line(move || {
            ctx.sleep(Duration::from_millis(300))?;
            println!("not told to end");
            Ok(())
        }),
        ["twice"] => twice(req.into_body())?.into(),
        ["own"] => match req.body().collect() {
            Ok(whole) => whole.into(),
            Err(_) => {
                return Ok(Response::builder().status(422).body("the handler answers".into())?);
            }
        },
        _ => return Err(Error::new(format!("there is no such way: {path}"))),
    };
    let mut response = Response::builder();
    if let Some(length) = announced {
        response = response.header("content-length", length);
    }
    Ok(response.body(body)?)
}

fn count(mut body: Body) -> Result<String> {
    let (mut room, mut bytes, mut told) = (vec![0; 1 << 16], 0, 0);
    while let read @ 1.. = body.read(&mut room)? {
        bytes += read;
        if told < 10 {
            println!("read {read}");
            told += 1;
        }
    }
    Ok(format!("{bytes} bytes"))
}

fn pieces(times: u32) -> Body {
    Body::stream(move |writer| {
        for piece in 0..times {
            writeln!(writer, "piece {piece}")?;
            println!("wrote {piece}");
        }
        Ok(())
    })
}

fn after_a_line(rest: impl FnOnce() -> Result<()> + Send + 'static) -> Body {
    Body::stream(|writer| {
        writer.write_all(b"a line\n")?;
        println!("begun");
        rest()
    })
}

fn flood() -> Body {
    Body::stream(|writer| {
        let block = [b'x'; 1 << 16];
        for blocks in 0_u64.. {
            if let Err(error) = writer.write_all(&block) {
                println!("flooded with {} KiB", blocks * 64);
                return Err(error.into());
            }
            println!("flooding");
        }
        Ok(())
    })
}

fn events(times: u32) -> Body {
    Body::stream(move |writer| {
        for event in 0..times {
            writer.event("tick", &format!("number {event}"))?;
        }
        Ok(())
    })
}

fn twice(mut body: Body) -> Result<String> {
    let (whole, mut read) = (body.text()?.to_owned(), String::new());
    body.read_to_string(&mut read)?;
    Ok(format!("{whole} {read}"))
}
