//! Draws the Mandelbrot set as precisely as the time allows. It draws coarse blocks first and finer
//! ones over them, checks its context, and once the context is done, responds with what it has.
//!
//! ```text
//! $ curl http://127.0.0.1:8080/mandelbrot --output whole.png
//! $ curl http://127.0.0.1:8080/mandelbrot --output hasty.png \
//!       -H 'x-envoy-expected-rq-timeout-ms: 30'
//! ```
//!
//! The header `x-complete` gives the percentage of the picture that was computed. `?width`,
//! `?height` and `?iterations` change the amount of work.

mod picture;

use std::io::Cursor;

use hourglass_sdk::{Context, Error, Request, Response, Result, StatusCode, header, serve};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use picture::{Picture, View};

/// The largest width and height in pixels: the picture must be encoded within the grace period.
const LARGEST: u32 = 1_000;

fn main() {
    serve(mandelbrot)
}

fn mandelbrot(ctx: &Context, req: Request) -> Result<Response> {
    let query = req.uri().query().unwrap_or_default();
    let mut picture = Picture::new(View {
        width: number(query, "width=", 800, LARGEST)?,
        height: number(query, "height=", 600, LARGEST)?,
        iterations: number(query, "iterations=", 1_000, 1_000_000)?,
    });
    picture.draw(|| ctx.err().is_some());

    // From here on the function may be in its grace period: it only responds.
    let response = Response::builder()
        .header(header::CONTENT_TYPE, "image/png")
        .header("x-complete", format!("{}%", picture.percent()));
    Ok(response.body(encode(&picture)?.into())?)
}

/// Returns the number of a query parameter, as in `?width=800`.
fn number(query: &str, name: &str, default: u32, most: u32) -> Result<u32> {
    let Some(text) = query.split('&').find_map(|pair| pair.strip_prefix(name)) else {
        return Ok(default);
    };
    text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
        let text = format!("{name} takes a number from 1 to {most}, not {text:?}");
        Error::status(StatusCode::BAD_REQUEST, text)
    })
}

/// Encodes the picture as a PNG, fast rather than small.
fn encode(picture: &Picture) -> image::ImageResult<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Fast, FilterType::Up);
    picture.pixels().write_with_encoder(encoder)?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &'static str) -> Result<Request> {
        Ok(Request::builder().uri(uri).body(().into())?)
    }

    fn size(answer: &Response) -> Result<(u32, u32)> {
        let picture = image::load_from_memory(&answer.body().collect()?)?;
        Ok((picture.width(), picture.height()))
    }

    #[test]
    fn without_a_deadline_the_picture_is_whole() -> Result<()> {
        let req = get("/mandelbrot?width=80&height=60&iterations=50")?;
        let answer = mandelbrot(&Context::background(), req)?;
        assert_eq!(answer.headers()["content-type"], "image/png");
        assert_eq!(answer.headers()["x-complete"], "100%");
        assert_eq!(size(&answer)?, (80, 60));
        Ok(())
    }

    #[test]
    fn a_done_context_is_answered_with_what_there_is() -> Result<()> {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let answer = mandelbrot(&ctx, get("/mandelbrot")?)?;
        assert_eq!(answer.headers()["x-complete"], "0%");
        assert_eq!(size(&answer)?, (800, 600));
        Ok(())
    }

    #[test]
    fn numbers_out_of_range_are_refused() -> Result<()> {
        for uri in ["/?width=0", "/?height=1001", "/?iterations=many"] {
            let error = mandelbrot(&Context::background(), get(uri)?).expect_err(uri);
            assert_eq!(error.status_code(), StatusCode::BAD_REQUEST);
        }
        Ok(())
    }
}
